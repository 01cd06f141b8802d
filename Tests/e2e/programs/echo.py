"""Says what it was asked, as JSON: echo.py PORT VERSION. Listens on the workload's own address if it has one.

The query changes the answer: `delay=SECONDS` before it, `status=CODE` in it; with `first=N&key=K` only the first N requests
of that key are delayed or fail. With `only=VERSION` the others are spared. `retry-after=SECONDS` goes with
answers that fail. `GET /seen` tells how often each target and each key has been asked for.
"""

import collections
import http.server
import json
import os
import sys
import threading
import time
import urllib.parse

PORT, VERSION = int(sys.argv[1]), sys.argv[2]
ADDRESS = os.environ.get("APUS_WORKLOAD_ADDRESS", "127.0.0.1")
seen, lock = collections.Counter(), threading.Lock()


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 1024
    daemon_threads = True


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 65536

    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/seen":
            with lock:
                return self.write(200, seen)
        query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query))
        with lock:
            seen[self.path] += 1
            seen[query.get("key", "")] += 1
            spared = "first" in query and seen[query["key"]] > int(query["first"]) or query.get("only", VERSION) != VERSION
        if not spared:
            time.sleep(float(query.get("delay", 0)))
        self.write(200 if spared else int(query.get("status", 200)), retry_after=query.get("retry-after"), content={
            "version": VERSION, "method": self.command, "target": self.path, "body": body.decode("latin-1"),
            "headers": [[name.lower(), value] for name, value in self.headers.items()]})

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = answer

    def write(self, status, content, retry_after=None):
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("X-Version", VERSION)
        self.send_header("X-Response-Set", "by the program")
        self.send_header("X-Response-Add", "program")
        self.send_header("X-Response-Remove", "by the program")
        if status >= 400 and retry_after:
            self.send_header("Retry-After", retry_after)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_):
        pass


Server((ADDRESS, PORT), Handler).serve_forever()
