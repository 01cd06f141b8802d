"""The controller's TLS port, spoken to by grpcio and a few lines of protobuf: what any program of the machine can
send there."""

import contextlib
import queue
import threading

import grpc

from . import http
from .mesh import CONTROLLER, METRICS_PORT
from .metrics import Metrics

NAME = "apus-controller.apus-system"


def varint(value):
    out = bytearray()
    while True:
        out.append(value & 0x7F | (0x80 if value > 0x7F else 0))
        value >>= 7
        if not value:
            return bytes(out)


def message(**fields):
    """Fields as f1="text", f5=7, f12=message(...), f4={"key": "value"}; lists repeat."""
    out = b""
    for name, value in fields.items():
        number = int(name[1:])
        for one in value.items() if isinstance(value, dict) else value if isinstance(value, list) else [value]:
            if isinstance(one, int):
                out += varint(number << 3) + varint(one)
                continue
            data = message(f1=one[0], f2=one[1]) if isinstance(one, tuple) else one.encode() if isinstance(one, str) else one
            out += varint(number << 3 | 2) + varint(len(data)) + data
    return out


def fields(data):
    """number -> values, bytes or int."""
    found, at = {}, 0

    def number():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(data):
        tag = number()
        if tag & 7 == 0:
            value = number()
        else:
            assert tag & 7 == 2, f"wire type {tag & 7}"
            size = number()
            value, at = data[at:at + size], at + size
        found.setdefault(tag >> 3, []).append(value)
    return found


def registration(service="web", account="web", namespace="shop", token=None, claim=None, labels=None, name=None):
    """`RegisterRequest.register`, by a join token or by what an earlier registration was given."""
    parts = dict(f1=service, f2=namespace, f3=account, f4=[8080], f5=labels or {}, f6=1)
    if name:
        parts["f7"] = name
    if claim:
        parts |= dict(f7=claim["workload"], f8=claim["address"], f9=claim["token"])
    if token is not None:
        parts["f120"] = message(f1=token)
    return message(f1=message(**parts))


class Controller:
    """One connection, without any certificate of its own."""

    def __init__(self, anchors):
        self.channel = grpc.secure_channel(
            "%s:%d" % CONTROLLER, grpc.ssl_channel_credentials(anchors.encode()),
            [("grpc.ssl_target_name_override", NAME)])

    def close(self):
        self.channel.close()

    def open_join(self):
        """A `Join.Register` stream: a queue of messages to send (None ends it) and the answers."""
        out = queue.Queue()
        answers = self.channel.stream_stream("/apus.v1.Join/Register")(iter(out.get, None), timeout=120)
        return out, answers

    @contextlib.contextmanager
    def joined(self, ready=False, **what):
        """Registered while the block runs, `ready` to take traffic. Raises grpc.RpcError when refused."""
        out, answers = self.open_join()
        heartbeat = message(f2=message(f1=int(ready)))
        over = threading.Event()

        def beat():
            while not over.wait(3):
                out.put(heartbeat)

        try:
            out.put(registration(**what))
            answer = fields(next(answers))
            out.put(heartbeat)
            threading.Thread(target=beat, daemon=True).start()
            yield dict(workload=answer[1][0].decode(), address=answer[2][0].decode(), token=answer[3][0].decode(),
                       identity=answer[7][0].decode())
        finally:
            over.set()
            out.put(None)
            answers.cancel()

    def refusal(self, **what):
        """The status and text with which a registration is refused."""
        try:
            with self.joined(**what) as grant:
                raise AssertionError(f"registered as {grant}")
        except grpc.RpcError as error:
            return error.code().name, error.details()

    def certify(self, request_pem, token):
        """The certificate chain, or the status and text of the refusal."""
        metadata = [("authorization", f"Bearer {token}")] if token else []
        try:
            answer = self.channel.unary_unary("/apus.v1.Identity/Certify")(
                message(f1=request_pem), metadata=metadata, timeout=10)
            return fields(answer)[1][0].decode()
        except grpc.RpcError as error:
            return error.code().name, error.details()


def metrics():
    return Metrics(http.get(CONTROLLER[0], METRICS_PORT, "/metrics").text)
