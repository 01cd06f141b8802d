"""An HTTP/1.1 program with one thread: single.py PORT [ADDRESS]. Answers with the number of bytes that it got; while a request
comes slowly nobody else is served. `/slow` is answered after half a second."""

import http.server
import os
import sys
import time


class Handler(http.server.BaseHTTPRequestHandler):
    # One request for each connection: an idle connection would keep the only thread.
    protocol_version = "HTTP/1.0"
    timeout = 30

    def do_POST(self):
        if "chunked" not in self.headers.get("transfer-encoding", ""):
            return self.answer(len(self.rfile.read(int(self.headers.get("content-length", 0)))))
        count = 0
        while size := int(self.rfile.readline() or b"0", 16):
            count += len(self.rfile.read(size))
            self.rfile.readline()
        self.answer(count)

    def do_GET(self):
        if self.path == "/slow":
            time.sleep(0.5)
        self.answer(0)

    def answer(self, count):
        body = f"{count} bytes\n".encode()
        self.send_response(200)
        self.send_header("content-type", "text/plain")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


address = sys.argv[2] if len(sys.argv) > 2 else os.environ.get("APUS_WORKLOAD_ADDRESS", "127.0.0.1")
http.server.HTTPServer((address, int(sys.argv[1])), Handler).serve_forever()
