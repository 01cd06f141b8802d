"""A plain HTTP/1.1 server for the tests: app.py PORT VERSION. Listens on the workload's own address if it has one.

GET  /             short text
GET  /bytes/N      N bytes, made while they are sent
GET  /headers      the request's header fields as lines
GET  /slow/SECONDS an answer after that time
GET  /hop-by-hop   fields that belong to one connection
GET  /trailers     a chunked body with a trailer field
GET  /watched      no answer; says on standard error when the caller has gone
POST /upload       reads the body (length or chunked), answers its size and CRC-32
POST /early        refuses without reading the body
"""

import http.server
import os
import sys
import time
import zlib

PORT, VERSION = int(sys.argv[1]), sys.argv[2]
ADDRESS = os.environ.get("APUS_WORKLOAD_ADDRESS", "127.0.0.1")
BLOCK = bytes(range(256)) * 256


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 1024
    daemon_threads = True


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 65536

    def handle_expect_100(self):
        goes_on = super().handle_expect_100()
        self.wfile.flush()
        return goes_on

    def answer(self, body, status=200):
        self.send_response(status)
        self.common_headers()
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def common_headers(self):
        self.send_header("Content-Type", "text/plain")
        self.send_header("X-Version", VERSION)
        self.send_header("X-Instance", os.environ.get("APUS_WORKLOAD", "none"))
        self.send_header("X-Body-Case", "Kept-As-Sent")

    def do_GET(self):
        if self.path.startswith("/bytes/"):
            return self.stream(int(self.path.split("/")[2]))
        if self.path.startswith("/slow/"):
            time.sleep(float(self.path.split("/")[2]))
        if self.path == "/headers":
            lines = "".join(f"{name}: {value}\n" for name, value in self.headers.items())
            return self.answer(lines.encode("latin-1"))
        if self.path in SPECIAL:
            return SPECIAL[self.path](self)
        return self.answer(f"{VERSION} {self.path}\n".encode())

    do_HEAD = do_GET

    def stream(self, size):
        self.send_response(200)
        self.common_headers()
        self.send_header("Content-Length", str(size))
        self.end_headers()
        if self.command == "HEAD":
            return
        while size > 0:
            self.wfile.write(BLOCK[:min(size, len(BLOCK))])
            size -= len(BLOCK)

    def hop_by_hop(self):
        self.wfile.write(b"HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Nominated\r\nKeep-Alive: timeout=5\r\n"
                         b"Proxy-Connection: keep-alive\r\nX-Nominated: gone\r\nX-Kept: yes\r\n"
                         b"Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n")

    def trailers(self):
        self.wfile.write(b"HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n"
                         b"4\r\nbody\r\n0\r\nX-Sum: 42\r\n\r\n")

    def watched(self):
        print("watching", file=sys.stderr, flush=True)
        self.connection.settimeout(60)
        try:
            said = self.connection.recv(1)
        except ConnectionError:
            said = b""
        print("more" if said else "abandoned", file=sys.stderr, flush=True)
        self.close_connection = True

    def do_POST(self):
        if self.path == "/early":
            self.close_connection = True
            return self.answer(b"no\n", 403)
        size = checksum = 0
        for piece in self.body():
            size += len(piece)
            checksum = zlib.crc32(piece, checksum)
        self.answer(f"{size} {checksum:08x}\n".encode())

    do_PUT = do_POST

    def body(self):
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            while length := int(self.rfile.readline().split(b";")[0], 16):
                yield from self.exactly(length)
                self.rfile.readline()
            while self.rfile.readline() not in (b"\r\n", b"\n", b""):
                pass
        else:
            yield from self.exactly(int(self.headers.get("Content-Length", 0)))

    def exactly(self, length):
        while length > 0:
            piece = self.rfile.read(min(length, 1 << 18))
            if not piece:
                return
            length -= len(piece)
            yield piece

    def log_message(self, *_):
        pass


SPECIAL = {"/hop-by-hop": Handler.hop_by_hop, "/trailers": Handler.trailers, "/watched": Handler.watched}

Server((ADDRESS, PORT), Handler).serve_forever()
