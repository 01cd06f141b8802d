"""A load generator that counts: requests at a fixed rate over kept connections, every answer looked at.

Clients behave as careful ones do and no better: they connect again when a connection was closed between two requests
or announced its end, try again for a second when a connect is refused, and never send a request twice. Whatever else
happens to a request is a loss.
"""

import collections
import multiprocessing
import os
import select
import socket
import struct
import time

REFUSED_FOR_SECONDS = 1.0
ANSWER_SECONDS = 20.0
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RESET, SETTINGS, PING, GOAWAY, WINDOW, CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9


def frame(kind, flags, stream, payload=b""):
    return struct.pack("!IBI", len(payload) << 8 | kind, flags, stream)[:9] + payload


class Http1:
    """One request at a time. The request is a GET, or a POST with a body every `posts` requests."""

    room = 1

    def __init__(self, host, posts):
        self.get = f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
        self.post = f"POST / HTTP/1.1\r\nHost: {host}\r\nContent-Length: 5\r\n\r\nhello".encode()
        self.posts, self.count, self.buffer, self.waiting, self.ends = posts, 0, b"", [], False

    def hello(self):
        return b""

    def request(self, token):
        self.count += 1
        self.waiting.append(token)
        return self.post if self.posts and self.count % self.posts == 0 else self.get

    @property
    def free(self):
        return 0 if self.ends else self.room - len(self.waiting)

    def receive(self, data):
        """Yields (token, problem or None) for each answer; replies in `self.reply`."""
        self.reply = b""
        self.buffer += data
        while self.waiting:
            end = self.buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            head = self.buffer[:end].lower()
            at = head.find(b"content-length:")
            length = int(head[at + 15:].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(self.buffer) < end + 4 + length:
                return
            body, self.buffer = self.buffer[end + 4:end + 4 + length], self.buffer[end + 4 + length:]
            if b"connection: close" in head:
                self.ends = True
            status = head[9:12]
            yield self.waiting.pop(0), None if status == b"200" else f"{status.decode()} {body[:120]!r}"


class Http2:
    """Up to `room` streams on one connection, by prior knowledge."""

    room = 16

    def __init__(self, host, posts):
        fields = b"\x83\x86\x84" if posts else b"\x82\x86\x84"
        self.fields = fields + b"\x01" + bytes([len(host)]) + host.encode()
        self.posts, self.next, self.buffer, self.waiting, self.status, self.ends = posts, 1, b"", {}, {}, False

    def hello(self):
        return PREFACE + frame(SETTINGS, 0, 0) + frame(WINDOW, 0, 0, struct.pack("!I", 1 << 30))

    def request(self, token):
        stream, self.next = self.next, self.next + 2
        self.waiting[stream] = token
        if self.posts:
            return frame(HEADERS, 4, stream, self.fields) + frame(DATA, 1, stream, b"hello")
        return frame(HEADERS, 5, stream, self.fields)

    @property
    def free(self):
        return 0 if self.ends else self.room - len(self.waiting)

    def receive(self, data):
        self.reply, self.buffer = b"", self.buffer + data
        while len(self.buffer) >= 9:
            length = int.from_bytes(self.buffer[:3], "big")
            if len(self.buffer) < 9 + length:
                return
            kind, flags = self.buffer[3], self.buffer[4]
            stream = int.from_bytes(self.buffer[5:9], "big")
            payload, self.buffer = self.buffer[9:9 + length], self.buffer[9 + length:]
            yield from self.frame(kind, flags, stream, payload)

    def frame(self, kind, flags, stream, payload):
        if kind == SETTINGS and not flags & 1:
            self.reply += frame(SETTINGS, 1, 0)
        elif kind == PING and not flags & 1:
            self.reply += frame(PING, 1, 0, payload)
        elif kind == GOAWAY:
            self.ends = True
            last, code = struct.unpack("!II", payload[:8])
            for late in [id for id in self.waiting if id > last]:
                # Told that nothing was done: a careful client sends these elsewhere.
                yield self.waiting.pop(late), Again if code == 0 else f"GOAWAY {code}"
        elif kind == RESET and stream in self.waiting:
            code = int.from_bytes(payload, "big")
            yield self.waiting.pop(stream), Again if code == 7 else f"RST_STREAM {code}"
        elif kind == HEADERS and stream in self.waiting:
            while payload and payload[0] & 0xE0 == 0x20:
                # A table size update stands before the first field, which is :status.
                payload = payload[2 if payload[0] & 0x1F == 0x1F else 1:]
            self.status[stream] = payload[:1] == b"\x88" or stream in self.status
        if kind in (DATA, HEADERS) and flags & 1 and stream in self.waiting:
            good = self.status.pop(stream, False)
            yield self.waiting.pop(stream), None if good else "not 200"
        if kind == DATA and payload:
            self.reply += frame(WINDOW, 0, stream, struct.pack("!I", len(payload))) if not flags & 1 else b""


class Again:
    """The request was refused before anything was done with it."""


class Line:
    """One client: a connection, replaced by another when it ends. A line whose old connection still owes answers keeps it."""

    def __init__(self, run):
        self.run, self.socket, self.protocol, self.blocked = run, None, None, 0.0

    def connect(self):
        deadline = time.monotonic() + REFUSED_FOR_SECONDS
        while True:
            try:
                self.socket = socket.create_connection(self.run.address, timeout=5)
                break
            except ConnectionRefusedError:
                self.run.refused += 1
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.001)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.settimeout(5)
        self.protocol = self.run.kind(self.run.host, self.run.posts)
        self.socket.sendall(self.protocol.hello())
        self.run.connections += 1
        self.run.lines[self.socket.fileno()] = self
        self.run.poll.register(self.socket.fileno(), select.EPOLLIN)

    def drop(self, problem=None):
        if self.socket is None:
            return
        waiting = self.protocol.waiting
        for token in list(waiting.values() if isinstance(waiting, dict) else waiting):
            self.run.lost(token, problem or "the connection ended before the answer")
        self.run.poll.unregister(self.socket.fileno())
        del self.run.lines[self.socket.fileno()]
        self.socket.close()
        self.socket = None

    def send(self, token):
        """Puts a request on its way. A connection that was closed meanwhile is replaced first, as any client does."""
        if self.socket is not None and self.protocol.ends and not self.protocol.waiting:
            self.drop()
        if self.socket is None:
            self.connect()
        try:
            self.socket.sendall(self.protocol.request(token))
        except OSError as error:
            self.drop(f"send: {error!r}")

    def receive(self):
        try:
            data = self.socket.recv(65536)
        except OSError as error:
            return self.drop(f"receive: {error!r}")
        if not data:
            return self.drop()
        for token, problem in self.protocol.receive(data):
            if problem is Again:
                self.run.again.append(token)
            elif problem:
                self.run.lost(token, problem)
            else:
                self.run.good.value += 1
        if self.protocol.reply:
            try:
                self.socket.sendall(self.protocol.reply)
            except OSError as error:
                return self.drop(f"send: {error!r}")
        if self.protocol.ends and not self.protocol.waiting:
            self.drop()


class Run:
    """The loop of one load, in a process of its own."""

    def __init__(self, kind, port, host, rate, clients, posts, good, stopping, results):
        self.kind, self.address, self.host, self.rate, self.posts = kind, ("127.0.0.1", port), host, rate, posts
        self.good, self.stopping, self.results = good, stopping, results
        self.poll, self.lines, self.refused, self.connections = select.epoll(), {}, 0, 0
        self.again, self.problems, self.clients = [], collections.Counter(), [Line(self) for _ in range(clients)]
        self.started, self.turn = {}, 0

    def lost(self, token, problem):
        self.started.pop(token, None)
        self.problems[problem] += 1

    def pick(self):
        """The next line in turn that has room, or none."""
        for _ in self.clients:
            self.turn = (self.turn + 1) % len(self.clients)
            line = self.clients[self.turn]
            if line.socket is None or line.protocol.free > 0 or line.protocol.ends and not line.protocol.waiting:
                return line
        return None

    def work(self):
        began, sent, parent = time.monotonic(), 0, os.getppid()
        # A test run that was killed leaves no load behind.
        while not self.stopping.is_set() and os.getppid() == parent:
            due = int((time.monotonic() - began) * self.rate) - sent
            # Behind by more than a tenth of a second: the machine is too slow for the rate; it is not caught up.
            if due > self.rate * 0.1:
                began = time.monotonic() - (sent + self.rate * 0.01) / self.rate
            due = min(due, 256) + len(self.again)
            while due > 0 and (line := self.pick()):
                token = self.again.pop() if self.again else sent
                sent += 1
                due -= 1
                line.send(token)
            for descriptor, _ in self.poll.poll(0.001):
                if descriptor in self.lines:
                    self.lines[descriptor].receive()
        self.finish()
        self.results.put((sent, dict(self.problems), self.refused, self.connections, time.monotonic() - began))

    def finish(self):
        deadline = time.monotonic() + ANSWER_SECONDS
        while any(line.socket and line.protocol.waiting for line in self.clients) and time.monotonic() < deadline:
            for descriptor, _ in self.poll.poll(0.05):
                if descriptor in self.lines:
                    self.lines[descriptor].receive()
        for line in self.clients:
            line.drop("no answer")


def _run(*arguments):
    try:
        Run(*arguments).work()
    except BaseException as error:
        arguments[-1].put((0, {f"the load generator failed: {error!r}": 1}, 0, 0, 1))
        raise


class SteadyLoad:
    """`rate` requests a second until the block ends. `kind` is Http1 or Http2; with `posts`, every so many are POSTs."""

    def __init__(self, kind, port, host, rate, clients=16, posts=0):
        context = multiprocessing.get_context("fork")
        self.good, self.stopping, self.results = context.Value("q", 0), context.Event(), context.Queue()
        self.process = context.Process(
            target=_run, args=(kind, port, host, rate, clients, posts, self.good, self.stopping, self.results), daemon=True)
        self.kind, self.problems = kind, None

    def __enter__(self):
        self.began = time.monotonic()
        self.process.start()
        return self

    def __exit__(self, *_):
        self.seconds = time.monotonic() - self.began
        self.stopping.set()
        self.sent, self.problems, self.refused, self.connections, _ = self.results.get(timeout=60)
        self.process.join(10)

    def after(self, good, seconds=60):
        from .waiting import until
        wanted = self.good.value + good
        until(lambda: self.good.value >= wanted, f"{good} more good answers of {self.kind.__name__}", seconds)
        return self

    @property
    def reached(self):
        return self.good.value / self.seconds

    def __str__(self):
        return (f"{self.kind.__name__}: {self.good.value} answers at {self.reached:.0f}/s over {self.connections} connections, "
                f"{self.refused} refused connects, lost: {self.problems}")
