"""A rate limit service in gRPC's own library: rls.py PORT. Speaks `envoy.service.ratelimit.v3`, with messages made
from the field numbers of Envoy's descriptions. Each value of a `tenant` may have five hits; of domain `slow` it
answers after a second."""

import collections
import concurrent.futures
import os
import sys
import threading
import time

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

PACKAGE = "envoy.service.ratelimit.v3"
FIELD = descriptor_pb2.FieldDescriptorProto
# name, number, type, repeated
MESSAGES = {
    "Entry": [("key", 1, FIELD.TYPE_STRING, False), ("value", 2, FIELD.TYPE_STRING, False)],
    "Descriptor": [("entries", 1, "Entry", True)],
    "RateLimitRequest": [("domain", 1, FIELD.TYPE_STRING, False), ("descriptors", 2, "Descriptor", True),
                         ("hits_addend", 3, FIELD.TYPE_UINT32, False)],
    "RateLimit": [("requests_per_unit", 1, FIELD.TYPE_UINT32, False), ("unit", 2, FIELD.TYPE_INT32, False),
                  ("name", 3, FIELD.TYPE_STRING, False)],
    "Duration": [("seconds", 1, FIELD.TYPE_INT64, False), ("nanos", 2, FIELD.TYPE_INT32, False)],
    "DescriptorStatus": [("code", 1, FIELD.TYPE_INT32, False), ("current_limit", 2, "RateLimit", False),
                         ("limit_remaining", 3, FIELD.TYPE_UINT32, False), ("duration_until_reset", 4, "Duration", False)],
    "RateLimitResponse": [("overall_code", 1, FIELD.TYPE_INT32, False), ("statuses", 2, "DescriptorStatus", True)],
}
OK, OVER_LIMIT, LIMIT = 1, 2, 5


def message_classes():
    file = descriptor_pb2.FileDescriptorProto(name="rls.proto", package=PACKAGE, syntax="proto3")
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, number, kind, repeated in fields:
            label = FIELD.LABEL_REPEATED if repeated else FIELD.LABEL_OPTIONAL
            added = message.field.add(name=field, number=number, label=label)
            if isinstance(kind, str):
                added.type, added.type_name = FIELD.TYPE_MESSAGE, f".{PACKAGE}.{kind}"
            else:
                added.type = kind
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.{name}")) for name in MESSAGES}


CLASSES = message_classes()


class Limits:
    def __init__(self):
        self.hits, self.lock = collections.Counter(), threading.Lock()

    def should_rate_limit(self, request, context):
        if request.domain == "slow":
            time.sleep(1)
        answer = CLASSES["RateLimitResponse"](overall_code=OK)
        for descriptor in request.descriptors:
            entries = tuple((entry.key, entry.value) for entry in descriptor.entries)
            with self.lock:
                self.hits[entries] += max(1, request.hits_addend)
                over = any(key == "tenant" for key, _ in entries) and self.hits[entries] > LIMIT
            print(request.domain, *(f"{key}={value}" for key, value in entries), request.hits_addend, flush=True)
            answer.statuses.add(
                code=OVER_LIMIT if over else OK, current_limit=CLASSES["RateLimit"](requests_per_unit=LIMIT, unit=3),
                duration_until_reset=CLASSES["Duration"](seconds=1234))
            if over:
                answer.overall_code = OVER_LIMIT
        return answer


def main():
    handler = grpc.unary_unary_rpc_method_handler(
        Limits().should_rate_limit, CLASSES["RateLimitRequest"].FromString, CLASSES["RateLimitResponse"].SerializeToString)
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(8))
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler(f"{PACKAGE}.RateLimitService", {"ShouldRateLimit": handler})])
    server.add_insecure_port(f"{os.environ.get('APUS_WORKLOAD_ADDRESS', '127.0.0.1')}:{sys.argv[1]}")
    server.start()
    server.wait_for_termination()


if __name__ == "__main__":
    main()
