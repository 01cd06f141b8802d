"""An external authorizer in gRPC's own library: authorizer.py PORT. Speaks `envoy.service.auth.v3`, with messages
made from the field numbers of Envoy's descriptions. What it answers is in the request's field `x-verdict`:

allow, deny (418 with a body and a field), silent (nothing), error (UNAVAILABLE), or garbage (bytes that are no message).
"""

import concurrent.futures
import json
import os
import sys
import time

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

PACKAGE = "envoy.service.auth.v3"
FIELD = descriptor_pb2.FieldDescriptorProto
TEXT, BYTES, UINT, INT, BOOL, ENUM = (
    FIELD.TYPE_STRING, FIELD.TYPE_BYTES, FIELD.TYPE_UINT32, FIELD.TYPE_INT64, FIELD.TYPE_BOOL, FIELD.TYPE_INT32)
# name, number, type, repeated. Maps are what they are on the wire: repeated entries.
MESSAGES = {
    "Entry": [("key", 1, TEXT, False), ("value", 2, TEXT, False)],
    "SocketAddress": [("protocol", 1, ENUM, False), ("address", 2, TEXT, False), ("port_value", 3, UINT, False)],
    "Address": [("socket_address", 1, "SocketAddress", False)],
    "Peer": [("address", 1, "Address", False), ("service", 2, TEXT, False), ("labels", 3, "Entry", True),
             ("principal", 4, TEXT, False), ("certificate", 5, TEXT, False)],
    "Timestamp": [("seconds", 1, INT, False), ("nanos", 2, ENUM, False)],
    "HttpRequest": [("id", 1, TEXT, False), ("method", 2, TEXT, False), ("headers", 3, "Entry", True),
                    ("path", 4, TEXT, False), ("host", 5, TEXT, False), ("scheme", 6, TEXT, False), ("query", 7, TEXT, False),
                    ("fragment", 8, TEXT, False), ("size", 9, INT, False), ("protocol", 10, TEXT, False),
                    ("body", 11, TEXT, False), ("raw_body", 12, BYTES, False)],
    "Request": [("time", 1, "Timestamp", False), ("http", 2, "HttpRequest", False)],
    "AttributeContext": [("source", 1, "Peer", False), ("destination", 2, "Peer", False), ("request", 4, "Request", False),
                         ("context_extensions", 10, "Entry", True)],
    "CheckRequest": [("attributes", 1, "AttributeContext", False)],
    "Status": [("code", 1, ENUM, False), ("message", 2, TEXT, False)],
    "HttpStatus": [("code", 1, ENUM, False)],
    "BoolValue": [("value", 1, BOOL, False)],
    "HeaderValue": [("key", 1, TEXT, False), ("value", 2, TEXT, False), ("raw_value", 3, BYTES, False)],
    "HeaderValueOption": [("header", 1, "HeaderValue", False), ("append", 2, "BoolValue", False),
                          ("append_action", 3, ENUM, False)],
    "DeniedHttpResponse": [("status", 1, "HttpStatus", False), ("headers", 2, "HeaderValueOption", True),
                           ("body", 3, TEXT, False)],
    "QueryParameter": [("key", 1, TEXT, False), ("value", 2, TEXT, False)],
    "OkHttpResponse": [("headers", 2, "HeaderValueOption", True), ("headers_to_remove", 5, TEXT, True),
                       ("response_headers_to_add", 6, "HeaderValueOption", True),
                       ("query_parameters_to_set", 7, "QueryParameter", True), ("query_parameters_to_remove", 8, TEXT, True)],
    "CheckResponse": [("status", 1, "Status", False), ("denied_response", 2, "DeniedHttpResponse", False),
                      ("ok_response", 3, "OkHttpResponse", False)],
}


def message_classes():
    file = descriptor_pb2.FileDescriptorProto(name="authorizer.proto", package=PACKAGE, syntax="proto3")
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


def option(key, value, **more):
    return CLASSES["HeaderValueOption"](header=CLASSES["HeaderValue"](key=key, value=value), **more)


def say(attributes):
    """One line for each question, as JSON."""
    http = attributes.request.http
    print(json.dumps({
        "source": attributes.source.principal, "destination": attributes.destination.principal,
        "service": attributes.destination.service, "address": attributes.source.address.socket_address.address,
        "method": http.method, "path": http.path, "host": http.host, "size": http.size, "protocol": http.protocol,
        "body": http.body, "raw": http.raw_body.hex(), "headers": {entry.key: entry.value for entry in http.headers},
        "context": {entry.key: entry.value for entry in attributes.context_extensions},
    }), flush=True)


def check(request, context):
    say(request.attributes)
    http = request.attributes.request.http
    headers = {entry.key: entry.value for entry in http.headers}
    verdict = headers.get("x-verdict", "allow")
    answer = CLASSES["CheckResponse"]()
    if verdict == "silent":
        time.sleep(5)
    if verdict == "error":
        context.abort(grpc.StatusCode.UNAVAILABLE, "no idea")
    if verdict == "deny":
        answer.status.code = 7
        answer.denied_response.status.code = 418
        answer.denied_response.body = "not you"
        answer.denied_response.headers.append(option("x-reason", "teapot"))
        return answer.SerializeToString()
    if verdict == "garbage":
        return b"\xff\xff\xff"
    answer.status.code = 0
    # A status of zeros is nothing on the wire unless it is said to be there.
    answer.status.SetInParent()
    answer.ok_response.headers.append(option("x-user", "ada"))
    answer.ok_response.headers_to_remove.append("x-secret")
    answer.ok_response.response_headers_to_add.append(option("x-checked", "yes"))
    answer.ok_response.query_parameters_to_remove.append("token")
    return answer.SerializeToString()


def main():
    handler = grpc.unary_unary_rpc_method_handler(check, CLASSES["CheckRequest"].FromString, lambda message: message)
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(16))
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler(f"{PACKAGE}.Authorization", {"Check": handler})])
    server.add_insecure_port(f"{os.environ.get('APUS_WORKLOAD_ADDRESS', '127.0.0.1')}:{sys.argv[1]}")
    server.start()
    server.wait_for_termination()


if __name__ == "__main__":
    main()
