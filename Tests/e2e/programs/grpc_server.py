"""A grpcio server for the tests: grpc_server.py PORT NAME [STATE]. Listens on the workload's own address if it has one.

Messages are bytes; no generated code. Service `test.Echo`:

Unary     the message back, and the server's name in the trailing metadata; the field `x-do` changes what happens (`Behaviour`)
Collect   a stream of messages in, their total length out
Produce   "COUNT SIZE" in, so many messages of that size out
Chat      each message back as it comes
Watch     one message out, then silence until the call ends
State     what has happened to Watch and Slow calls so far, as JSON

`grpc.health.v1.Health` is the standard service.
"""

import concurrent.futures
import json
import os
import sys
import threading
import time

import grpc
from google.protobuf import any_pb2
from google.rpc import code_pb2, status_pb2
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_status import rpc_status

PORT, NAME = int(sys.argv[1]), sys.argv[2]
ADDRESS = os.environ.get("APUS_WORKLOAD_ADDRESS", "127.0.0.1")
LARGEST = 64 << 20

state = {"cancelled": 0, "waiting": 0, "remaining": None}
lock = threading.Lock()


def note(key, change):
    with lock:
        state[key] += change


def wait_for_the_end(context):
    """Blocks until the call is over for whatever reason, and counts it."""
    over = threading.Event()
    note("waiting", 1)
    if context.add_callback(over.set):
        over.wait(60)
    note("waiting", -1)
    note("cancelled", 1)


def unary(message, context):
    fields = context.invocation_metadata()
    wish = next((value for key, value in fields if key == "x-do"), "")
    context.set_trailing_metadata([("x-name", NAME)])
    if wish == "metadata":
        context.send_initial_metadata([(key, value) for key, value in fields if key.startswith("x-")])
        context.set_trailing_metadata([(key, value) for key, value in fields if key.startswith("x-")])
    elif wish == "remaining":
        return str(context.time_remaining()).encode()
    elif wish == "slow":
        with lock:
            state["remaining"] = context.time_remaining()
        wait_for_the_end(context)
    elif wish == "details":
        details = any_pb2.Any()
        details.Pack(status_pb2.Status(code=1, message="the detail"))
        status = status_pb2.Status(code=code_pb2.FAILED_PRECONDITION, message="not yet: 100% é", details=[details])
        context.abort_with_status(rpc_status.to_status(status))
    elif wish == "exit":
        os._exit(1)
    elif wish.startswith("abort "):
        context.abort(next(code for code in grpc.StatusCode if code.value[0] == int(wish.split()[1])), "as asked")
    return message


def collect(messages, context):
    return str(sum(len(message) for message in messages)).encode()


def produce(message, context):
    count, size = map(int, message.split())
    for number in range(count):
        yield bytes([number % 256]) * size


def chat(messages, context):
    for message in messages:
        if message == b"exit":
            os._exit(1)
        yield message


def watch(message, context):
    yield b"first"
    wait_for_the_end(context)


def tell(message, context):
    with lock:
        return json.dumps(state).encode()


class Echo(grpc.GenericRpcHandler):
    methods = {
        "/test.Echo/Unary": grpc.unary_unary_rpc_method_handler(unary),
        "/test.Echo/Collect": grpc.stream_unary_rpc_method_handler(collect),
        "/test.Echo/Produce": grpc.unary_stream_rpc_method_handler(produce),
        "/test.Echo/Chat": grpc.stream_stream_rpc_method_handler(chat),
        "/test.Echo/Watch": grpc.unary_stream_rpc_method_handler(watch),
        "/test.Echo/State": grpc.unary_unary_rpc_method_handler(tell),
    }

    def service(self, call):
        return self.methods.get(call.method)


server = grpc.server(concurrent.futures.ThreadPoolExecutor(32), options=[
    ("grpc.max_receive_message_length", LARGEST), ("grpc.max_send_message_length", LARGEST)])
server.add_generic_rpc_handlers([Echo()])
checks = health.HealthServicer()
checks.set("", health_pb2.HealthCheckResponse.SERVING)
checks.set("test.Echo", health_pb2.HealthCheckResponse.SERVING)
health_pb2_grpc.add_HealthServicer_to_server(checks, server)
server.add_insecure_port(f"{ADDRESS}:{PORT}")
server.start()
while True:
    time.sleep(3600)
