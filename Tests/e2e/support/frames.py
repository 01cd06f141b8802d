"""HTTP/2 frames by hand (RFC 9113), for peers that no library lets us be. Bytes out, frames in; HPACK without an encoder."""

import dataclasses
import socket
import time

import hpack

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS, PADDED, PRIORITY_FLAG = 0x1, 0x1, 0x4, 0x8, 0x20
NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR = 0, 1, 2, 3
STREAM_CLOSED, FRAME_SIZE_ERROR, REFUSED_STREAM, CANCEL = 5, 6, 7, 8
COMPRESSION_ERROR, ENHANCE_YOUR_CALM = 9, 11
HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE = 1, 2, 3, 4, 5
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


# MARK: Out

def frame(kind, flags, stream, payload=b"", length=None):
    """One frame; `length` says something else than the payload has."""
    size = len(payload) if length is None else length
    return size.to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def word(value):
    return value.to_bytes(4, "big")


def settings(*pairs, flags=0, stream=0):
    return frame(SETTINGS, flags, stream, b"".join(key.to_bytes(2, "big") + word(value) for key, value in pairs))


def window_update(stream, increment):
    return frame(WINDOW_UPDATE, 0, stream, word(increment))


def reset(stream, code=CANCEL):
    return frame(RST_STREAM, 0, stream, word(code))


def ping(opaque=b"12345678", flags=0, stream=0):
    return frame(PING, flags, stream, opaque)


def goaway(last=0, code=NO_ERROR, debug=b"", stream=0):
    return frame(GOAWAY, 0, stream, word(last) + word(code) + debug)


def data(stream, payload=b"", end=False, padding=None):
    if padding is not None:
        return frame(DATA, PADDED | end, stream, bytes([padding]) + payload + bytes(padding))
    return frame(DATA, int(end), stream, payload)


def literal(name, value):
    """A field as a literal without indexing and a new name, in plain octets (RFC 7541, section 6.2.2)."""
    def text(string):
        octets = string if isinstance(string, bytes) else string.encode("latin-1")
        return integer(len(octets), 7) + octets
    return b"\x00" + text(name) + text(value)


def integer(value, prefix, first=0):
    """RFC 7541, section 5.1."""
    limit = (1 << prefix) - 1
    if value < limit:
        return bytes([first | value])
    octets, value = [first | limit], value - limit
    while value >= 128:
        octets.append(value & 127 | 128)
        value >>= 7
    return bytes([*octets, value])


def block(fields):
    return b"".join(literal(name, value) for name, value in fields)


def request(method="GET", path="/", scheme="http", authority="a.test", **more):
    """The fields of a request; a pseudo-header field that is None is left out."""
    pseudo = [(":method", method), (":scheme", scheme), (":path", path), (":authority", authority)]
    extra = [(name.replace("_", "-"), value) for name, value in more.items()]
    return [(name, value) for name, value in pseudo if value is not None] + extra


def headers(stream, fields=None, end=True, flags=END_HEADERS, before=b"", after=b""):
    """HEADERS with the fields of a list, or a block in octets; `before` and `after` are padding length, priority, padding."""
    octets = fields if isinstance(fields, bytes) else block(request() if fields is None else fields)
    return frame(HEADERS, flags | end, stream, before + octets + after)


def continuation(stream, octets=b"", flags=END_HEADERS):
    return frame(CONTINUATION, flags, stream, octets)


def priority(stream, depends_on=0, weight=15):
    return frame(PRIORITY, 0, stream, word(depends_on) + bytes([weight]))


# MARK: In

@dataclasses.dataclass
class Frame:
    kind: int
    flags: int
    stream: int
    payload: bytes
    fields: dict | None = None

    @property
    def ends_stream(self):
        return self.kind in (DATA, HEADERS) and bool(self.flags & END_STREAM)

    @property
    def code(self):
        return int.from_bytes(self.payload[4:8] if self.kind == GOAWAY else self.payload[:4], "big")

    @property
    def last_stream(self):
        return int.from_bytes(self.payload[:4], "big") & 0x7FFFFFFF


class Closed(Exception):
    """The server closed the connection."""


class Connection:
    """A client's connection that does only what it is told. Every wait ends at the deadline."""

    def __init__(self, port, context=None, host="127.0.0.1", timeout=10.0):
        self.socket = socket.create_connection((host, port), timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context:
            self.socket = context.wrap_socket(self.socket)
        self.timeout, self.received, self.frames, self.decoder = timeout, b"", [], hpack.Decoder()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def start(self, *pairs):
        """Preface and SETTINGS, and the server's first frame, which is SETTINGS (RFC 9113, section 3.4)."""
        self.send(PREFACE, settings(*pairs))
        first = self.next()
        assert first.kind == SETTINGS and not first.flags & ACK, first
        self.send(settings(flags=ACK))
        return self

    def send(self, *frames):
        try:
            self.socket.sendall(b"".join(frames))
        except OSError:
            pass  # What the server said before it closed is still to be read.

    def _receive(self, deadline):
        self.socket.settimeout(max(0.001, deadline - time.monotonic()))
        try:
            piece = self.socket.recv(65536)
        except TimeoutError:
            raise AssertionError(f"nothing more within {self.timeout:g} s after {self.frames}") from None
        except OSError as error:
            raise Closed(str(error)) from error
        if not piece:
            raise Closed("end of file")
        self.received += piece

    def read_exactly(self, count, deadline):
        while len(self.received) < count:
            self._receive(deadline)
        taken, self.received = self.received[:count], self.received[count:]
        return taken

    def http1_head(self):
        """The lines of an HTTP/1.1 head, and what it says: ("200", {"content-length": "3"})."""
        deadline = time.monotonic() + self.timeout
        while b"\r\n\r\n" not in self.received:
            self._receive(deadline)
        head, self.received = self.received.split(b"\r\n\r\n", 1)
        first, *lines = head.decode("latin-1").split("\r\n")
        return first.split()[1], {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}

    def http1_answer(self):
        status, fields = self.http1_head()
        return status, self.read_exactly(int(fields["content-length"]), time.monotonic() + self.timeout).decode("latin-1")

    def next(self):
        deadline = time.monotonic() + self.timeout
        head = self.read_exactly(9, deadline)
        payload = self.read_exactly(int.from_bytes(head[:3], "big"), deadline)
        made = Frame(head[3], head[4], int.from_bytes(head[5:], "big") & 0x7FFFFFFF, payload)
        if made.kind == HEADERS:
            assert made.flags & END_HEADERS and not made.flags & (PADDED | PRIORITY_FLAG), "not what this server writes"
            made.fields = dict(self.decoder.decode(payload))
        self.frames.append(made)
        return made

    def until(self, condition):
        """The first frame for which `condition` holds."""
        while True:
            made = self.next()
            if condition(made):
                return made

    def until_closed(self):
        """Every frame to the end of the connection."""
        start = len(self.frames)
        try:
            while True:
                self.next()
        except Closed:
            return self.frames[start:]

    def round_trip(self):
        """The server has handled all that was sent before: it answers PING in order."""
        mark = time.monotonic_ns().to_bytes(8, "big")
        start = len(self.frames)
        self.send(ping(mark))
        self.until(lambda made: made.kind == PING and made.flags & ACK and made.payload == mark)
        return self.frames[start:]

    def answer(self, stream):
        """The final status, the fields and the body of the stream's response."""
        fields, body = None, b""
        while True:
            made = self.next()
            if made.stream == stream:
                assert made.kind != RST_STREAM, f"the stream was reset with code {made.code}"
                if made.kind == HEADERS and (fields is None or fields[":status"].startswith("1")):
                    fields = made.fields
                elif made.kind == DATA:
                    body += made.payload
                if made.ends_stream:
                    return int(fields[":status"]), fields, body
            assert made.kind != GOAWAY, f"GOAWAY with code {made.code}"
