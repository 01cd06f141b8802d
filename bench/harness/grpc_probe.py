"""Calls a gRPC method with grpcio, a real client: ends with status 0 only after answers with a message and status OK.

A process of its own, since grpcio's threads do not like a parent that forks.
"""

import sys

import grpc

REQUEST, REPLY_BYTES = b"x" * 64, 64


def main():
    with grpc.insecure_channel(sys.argv[1]) as channel:
        method = channel.unary_unary("/bench.Echo/Unary", request_serializer=bytes, response_deserializer=bytes)
        for _ in range(3):
            reply = method(REQUEST, timeout=5)
            if len(reply) != REPLY_BYTES:
                sys.exit(f"a reply of {len(reply)} bytes")


if __name__ == "__main__":
    try:
        main()
    except grpc.RpcError as error:
        sys.exit(f"gRPC: {error.code()}: {error.details()}")
