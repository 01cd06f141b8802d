"""Servers outside the mesh, in the process of the tests: HTTP/1.1 in plaintext or over TLS, each on a loopback
address of its own."""

import http.server
import json
import socket
import socketserver
import ssl
import threading

PORT = 8443


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def setup(self):
        if isinstance(self.request, ssl.SSLSocket):
            self.request.do_handshake()
        super().setup()

    def do_GET(self):
        server = self.server.owner
        server.requests.append(self.path)
        secure = isinstance(self.connection, ssl.SSLSocket)
        body = json.dumps({
            "server": server.name, "target": self.path, "host": self.headers["Host"], "secure": secure,
            "sni": getattr(self.connection, "asked_name", None), "version": self.connection.version() if secure else None,
            "alpn": self.connection.selected_alpn_protocol() if secure else None, "client": self.client_address,
            "shown": [name for _, name in ((secure and self.connection.getpeercert()) or {}).get("subjectAltName", ())],
        }).encode()
        self.send_response(server.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class _Listener(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def get_request(self):
        connection, address = super().get_request()
        context = self.owner.context
        if context:
            # The handshake is the handler's, on a thread of its own.
            connection = context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return connection, address

    def handle_error(self, request, address):
        """A client that refuses the certificate is what many tests are about."""

    # Without the base class's look at the name of the host, which asks a DNS that is not there.
    def server_bind(self):
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]


class _Listener6(_Listener):
    address_family = socket.AF_INET6


class Outside:
    """A server that says how it was reached. `files`: certificate and key; without them it speaks plaintext. `clients`: the
    authority (PEM) of the clients that it takes."""

    def __init__(self, name, address, files=None, port=PORT, alpn=("http/1.1",), clients=None):
        self.name, self.address, self.port = name, address, port
        self.requests, self.status, self.context = [], 200, None
        if files:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(*map(str, files))
            if alpn:
                self.context.set_alpn_protocols(list(alpn))
            self.context.sni_callback = self._remember
            if clients:
                self.context.verify_mode = ssl.CERT_REQUIRED
                self.context.load_verify_locations(cadata=clients)
        kind = _Listener6 if ":" in address else _Listener
        self.listener = kind((address, port), _Handler)
        self.listener.owner = self
        threading.Thread(target=self.listener.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    @staticmethod
    def _remember(connection, name, _):
        connection.asked_name = name

    def stop(self):
        self.listener.shutdown()
        self.listener.server_close()
