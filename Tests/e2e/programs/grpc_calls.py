"""Calls on one client connection: grpc_calls.py TARGET COUNT. Prints how many each server answered, as JSON.

Honours `http_proxy` as every grpcio client does.
"""

import collections
import json
import sys

import grpc

target, count = sys.argv[1], int(sys.argv[2])
answers = collections.Counter()
with grpc.insecure_channel(target) as channel:
    call = channel.unary_unary("/test.Echo/Unary")
    for _ in range(count):
        _, ended = call.with_call(b"x", timeout=20, wait_for_ready=True)
        answers[dict(ended.trailing_metadata())["x-name"]] += 1
print(json.dumps(answers), flush=True)
