"""An HTTP/1.1 program with answers of several kinds: texts.py PORT."""

import http.server
import os
import sys

TEXT = b"".join(b"line %d of a text that says little\n" % n for n in range(1000))
KINDS = {"/": ("text/plain; charset=utf-8", TEXT), "/short": ("text/plain", b"short"), "/image": ("image/png", TEXT),
         "/events": ("text/event-stream", TEXT)}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.do_HEAD()
        self.wfile.write(KINDS[self.path][1])

    def do_HEAD(self):
        kind, text = KINDS[self.path]
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(text)))
        self.send_header("etag", '"one"')
        self.end_headers()

    def log_message(self, *_):
        pass


address = os.environ.get("APUS_WORKLOAD_ADDRESS", "127.0.0.1")
http.server.ThreadingHTTPServer((address, int(sys.argv[1])), Handler).serve_forever()
