"""A gRPC server for the tests: grpc_streams.py PORT. `/test.Streams/Echo` answers each message of a bidirectional stream."""

import concurrent.futures
import os
import signal
import sys
import threading

import grpc

ADDRESS = os.environ.get("APUS_WORKLOAD_ADDRESS", "127.0.0.1")


def echo(messages, _context):
    yield from messages


class Streams(grpc.GenericRpcHandler):
    def service(self, details):
        if details.method == "/test.Streams/Echo":
            return grpc.stream_stream_rpc_method_handler(echo)
        return None


server = grpc.server(concurrent.futures.ThreadPoolExecutor(32))
server.add_generic_rpc_handlers((Streams(),))
server.add_insecure_port(f"{ADDRESS}:{sys.argv[1]}")
server.start()
stopped = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stopped.set())
stopped.wait()
server.stop(grace=10).wait()
