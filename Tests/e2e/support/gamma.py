"""A mesh for the checks of the Gateway API's mesh profile: two versions of a program behind many routes, asked over HTTP/1.1
and HTTP/2."""

import contextlib
import json
import pathlib
import socket

import h2.config
import h2.connection
import h2.events

from . import http, manifests
from .mesh import Mesh, program
from .waiting import free_port, until

ROUTES = pathlib.Path(__file__).resolve().parent.parent / "manifests"
PROTOCOLS = ("HTTP/1.1", "HTTP/2")


def service(name, selector="app", app_protocol="http"):
    """Two ports that lead to the same program."""
    return manifests.text(f"""
        apiVersion: v1
        kind: Service
        metadata: {{ name: {name}, namespace: shop }}
        spec:
          selector: {{ {selector}: {name} }}
          ports:
            - {{ name: main, port: 80, targetPort: 8080, appProtocol: {app_protocol} }}
            - {{ name: alt, port: 8080, targetPort: 8080, appProtocol: {app_protocol} }}
        """)


class GammaMesh(Mesh):
    """`ports` has a local port for each service port that the client asks for, by "name" or "name:port"."""

    caller, ports, strangers = None, {}, {}

    def connect(self, names, namespace="shop"):
        """A new client in that namespace, and a local port for each of the names."""
        ports = {name: free_port() for name in names}
        targets = {port: f"{name.split(':')[0]}.shop:{(name.split(':') + ['80'])[1]}" for name, port in ports.items()}
        return self.run("client", ["sleep", "infinity"], listen=targets, namespace=namespace), ports

    def ask(self, name, target="/", headers=(), method="GET", protocol="HTTP/1.1", host=None, ports=None):
        """The answer to one request; `said` in it is what the program says that it was asked."""
        port = (ports or self.ports)[name]
        send = _ask_http1 if protocol == "HTTP/1.1" else _ask_http2
        answer = send(port, host or f"{name.split(':')[0]}.shop", target, dict(headers), method)
        is_echo = answer.headers.get("content-type") == "application/json" and answer.body
        answer.said = json.loads(answer.body) if is_echo else None
        return answer

    def seen(self, name):
        """How often the program behind a service was asked for each target and key."""
        return self.ask(name, "/seen").said


@contextlib.contextmanager
def gamma_mesh(directory, routes, parents, backends=("echo-v1", "echo-v2")):
    """The mesh with the routes of a file, a service for each of their parents, and a program for each of the backends."""
    mesh = GammaMesh(directory)
    try:
        mesh.up(service("echo", selector="group"), *map(service, [*backends, *parents]), (ROUTES / routes).read_text())
        for name in backends:
            mesh.run(name, program("echo.py", 8080, name[-2:]), port=8080, own_address=True, labels={"group": "echo"})
        mesh.caller, mesh.ports = mesh.connect(["echo", *backends, *(f"{name}:8080" for name in backends), *parents])
        for name in backends:
            until(lambda: mesh.ask(name).said, f"{name} answers")
        yield mesh
    finally:
        mesh.stop()


def _ask_http1(port, host, target, headers, method):
    return http.get("127.0.0.1", port, target, {"Host": host, **headers}, method=method)


def _ask_http2(port, host, target, headers, method):
    """On a cleartext connection of its own, with prior knowledge."""
    engine = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="utf-8"))
    engine.initiate_connection()
    fields = [(":method", method), (":scheme", "http"), (":authority", host), (":path", target)]
    engine.send_headers(1, [*fields, *((name.lower(), value) for name, value in headers.items())], end_stream=True)
    answer = http.Answer(0, {}, b"")
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(engine.data_to_send())
        while data := connection.recv(65536):
            for event in engine.receive_data(data):
                if isinstance(event, h2.events.ResponseReceived):
                    answer.headers = dict(event.headers)
                    answer.status = int(answer.headers[":status"])
                elif isinstance(event, h2.events.DataReceived):
                    answer.body += event.data
                elif isinstance(event, h2.events.StreamEnded):
                    return answer
                elif isinstance(event, h2.events.StreamReset):
                    raise OSError(f"RST_STREAM {event.error_code}")
            connection.sendall(engine.data_to_send())
    raise OSError("the connection was closed without an answer")
