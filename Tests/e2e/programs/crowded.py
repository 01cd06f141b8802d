"""An HTTP/1.1 program that does four requests at a time, each in 20 ms: crowded.py PORT. The more wait the less it
does, as programs that run out of memory, locks or connections to a database: with ten at a time a request takes ten
times as long, with twenty it is hopeless."""

import asyncio
import os
import sys

CAPACITY, SECONDS = 4, 0.020
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\nok\n"
working = 0


async def serve(reader, writer):
    global working
    try:
        while await reader.readuntil(b"\r\n\r\n"):
            working += 1
            try:
                left = SECONDS
                while left > 0:
                    await asyncio.sleep(0.005)
                    over = max(0, working - CAPACITY)
                    left -= 0.005 / (1 + over) ** 1.5
            finally:
                working -= 1
            writer.write(ANSWER)
            await writer.drain()
    except (OSError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()


async def main():
    address = os.environ.get("APUS_WORKLOAD_ADDRESS", "127.0.0.1")
    server = await asyncio.start_server(serve, address, int(sys.argv[1]), backlog=1024)
    await server.serve_forever()


asyncio.run(main())
