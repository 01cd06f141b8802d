"""The far end of the mesh hop in Python: a server for the mesh port with any certificate, and a client for one."""

import contextlib
import socket
import ssl
import threading

import h2.config
import h2.connection
import h2.events


class MeshServer:
    """Answers every HTTP/2 request on ADDRESS:15008 with 200 and a fixed body, under the certificate it was given."""

    def __init__(self, address, context, body=b"from the impostor\n"):
        self.context, self.body, self.answered, self.connections = context, body, 0, []
        self.listener = socket.create_server((address, 15008), reuse_port=True)
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, raw):
        try:
            with self.context.wrap_socket(raw, server_side=True) as secured:
                self.connections.append(secured)
                self._speak(secured)
        except (OSError, ssl.SSLError):
            pass

    def _speak(self, secured):
        engine = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        engine.initiate_connection()
        secured.sendall(engine.data_to_send())
        while data := secured.recv(65536):
            for event in engine.receive_data(data):
                if isinstance(event, h2.events.RequestReceived):
                    fields = [(":status", "200"), ("content-type", "text/plain"), ("content-length", str(len(self.body)))]
                    engine.send_headers(event.stream_id, fields)
                    engine.send_data(event.stream_id, self.body, end_stream=True)
                    self.answered += 1
            secured.sendall(engine.data_to_send())

    def close(self):
        # Closing alone leaves a thread inside accept() on Linux.
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        # Nobody is to be asked over a connection of a server that is gone.
        for connection in self.connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


def request(address, context, target_port, service, path="/", timeout=5):
    """One GET to a workload's mesh port as a peer proxy sends it. Returns the status; raises OSError when refused."""
    with socket.create_connection((address, 15008), timeout=timeout) as raw, context.wrap_socket(raw) as secured:
        engine = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
        engine.initiate_connection()
        engine.send_headers(1, [
            (":method", "GET"), (":scheme", "http"), (":authority", service.split(":")[0]), (":path", path),
            ("x-apus-target-port", str(target_port)), ("x-apus-service", service),
        ], end_stream=True)
        secured.sendall(engine.data_to_send())
        status = None
        while data := secured.recv(65536):
            for event in engine.receive_data(data):
                if isinstance(event, h2.events.ResponseReceived):
                    status = int(dict(event.headers)[b":status"])
                elif isinstance(event, (h2.events.StreamEnded, h2.events.StreamReset)):
                    return status
                elif isinstance(event, h2.events.ConnectionTerminated):
                    raise ConnectionError(f"GOAWAY {event.error_code}")
            secured.sendall(engine.data_to_send())
        raise ConnectionError("the peer closed the connection without an answer")
