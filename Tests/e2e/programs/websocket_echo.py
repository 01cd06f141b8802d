"""A WebSocket echo server: websocket_echo.py PORT."""

import asyncio
import os
import sys

from websockets.asyncio.server import serve


async def echo(connection):
    async for message in connection:
        await connection.send(message)


async def main():
    address = os.environ.get("APUS_WORKLOAD_ADDRESS", "127.0.0.1")
    async with serve(echo, address, int(sys.argv[1]), max_size=None):
        await asyncio.get_running_loop().create_future()


asyncio.run(main())
