"""Speaks first, as a database does: its version and a newline, then all that it gets: greeter.py PORT VERSION
[CERTIFICATE KEY]. Listens on the workload's own address if it has one. With a certificate it speaks TLS."""

import os
import socketserver
import ssl
import sys

PORT, VERSION = int(sys.argv[1]), sys.argv[2]
ADDRESS = os.environ.get("APUS_WORKLOAD_ADDRESS", "127.0.0.1")
tls = None
if len(sys.argv) > 3:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(*sys.argv[3:5])


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True
    request_queue_size = 1024

    def handle_error(self, request, client_address):
        """A client that leaves, or does not speak TLS, is no news."""


class Handler(socketserver.BaseRequestHandler):
    def handle(self):
        connection = tls.wrap_socket(self.request, server_side=True) if tls else self.request
        connection.sendall(f"{VERSION}\n".encode())
        while data := connection.recv(65536):
            connection.sendall(data)


Server((ADDRESS, PORT), Handler).serve_forever()
