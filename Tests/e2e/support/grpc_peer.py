"""A gRPC client without clock or patience of its own, for what grpcio would decide before the proxy does."""

import socket

import h2.config
import h2.connection
import h2.events


def call(address, port, path, fields, message=b"", timeout=20):
    """One unary call over cleartext HTTP/2. Returns every field of the answer's head and trailers; raises on a reset."""
    with socket.create_connection((address, port), timeout=timeout) as raw:
        engine = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="utf-8"))
        engine.initiate_connection()
        engine.send_headers(1, [
            (":method", "POST"), (":scheme", "http"), (":authority", "test"), (":path", path),
            ("content-type", "application/grpc"), ("te", "trailers"), *fields])
        engine.send_data(1, b"\0" + len(message).to_bytes(4, "big") + message, end_stream=True)
        raw.sendall(engine.data_to_send())
        answer = {}
        while data := raw.recv(65536):
            for event in engine.receive_data(data):
                if isinstance(event, (h2.events.ResponseReceived, h2.events.TrailersReceived)):
                    answer.update(event.headers)
                elif isinstance(event, h2.events.StreamEnded):
                    return answer
                elif isinstance(event, h2.events.StreamReset):
                    raise ConnectionError(f"RST_STREAM {event.error_code}")
            raw.sendall(engine.data_to_send())
        raise ConnectionError("the connection was closed without an answer")
