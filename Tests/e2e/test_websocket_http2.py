"""WebSocket over HTTP/2 (RFC 8441), by the `h2` and `websockets` libraries, to a WebSocket server that speaks HTTP/1.1."""

import socket
import subprocess

import h2.config
import h2.connection
import h2.events
import h2.settings
import pytest
from websockets.frames import Frame, Opcode

from support.forward import HOST, Credentials, Forward
from support.mesh import program
from support.waiting import accepts, free_port, until


class WebSocket:
    """One WebSocket on a stream of an HTTP/2 connection that may carry others."""

    def __init__(self, connection, path="/chat", protocol="websocket"):
        self.connection, self.status, self.received, self.ended = connection, None, b"", None
        self.stream = connection.engine.get_next_available_stream_id()
        connection.streams[self.stream] = self
        connection.engine.send_headers(self.stream, [
            (":method", "CONNECT"), (":protocol", protocol), (":scheme", "http"), (":authority", "a.test"), (":path", path),
            ("sec-websocket-version", "13")])
        connection.flush()
        connection.until(lambda: self.status is not None or self.ended)

    def send(self, message, opcode=Opcode.BINARY):
        self.connection.send_data(self.stream, Frame(opcode, message).serialize(mask=True))

    def receive(self):
        """The next frame's opcode and content."""
        def whole():
            if len(self.received) < 2:
                return False
            size, start = self.received[1], 2
            if size == 126:
                size, start = int.from_bytes(self.received[2:4], "big"), 4
            elif size == 127:
                size, start = int.from_bytes(self.received[2:10], "big"), 10
            self.bounds = start, start + size
            return len(self.received) >= start + size
        self.connection.until(whole)
        start, end = self.bounds
        opcode, content, self.received = self.received[0] & 15, self.received[start:end], self.received[end:]
        return Opcode(opcode), content


class Client:
    def __init__(self, port, context=None):
        self.socket = socket.create_connection((HOST, port), timeout=20)
        if context:
            self.socket = context.wrap_socket(self.socket)
        self.engine = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
        self.engine.initiate_connection()
        self.flush()
        self.streams, self.settings = {}, None
        self.until(lambda: self.settings)

    def flush(self):
        self.socket.sendall(self.engine.data_to_send())

    def until(self, condition):
        while not condition():
            octets = self.socket.recv(65536)
            assert octets, "the connection was closed"
            for event in self.engine.receive_data(octets):
                self._note(event)
            self.flush()

    def _note(self, event):
        stream = self.streams.get(getattr(event, "stream_id", None))
        if isinstance(event, h2.events.RemoteSettingsChanged):
            self.settings = event.changed_settings
        elif isinstance(event, h2.events.ResponseReceived):
            stream.status, stream.fields = int(dict(event.headers)[b":status"]), dict(event.headers)
        elif isinstance(event, h2.events.DataReceived):
            stream.received += event.data
            self.engine.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, (h2.events.StreamEnded, h2.events.StreamReset)):
            stream.ended = event

    def send_data(self, stream, octets):
        while octets:
            self.until(lambda: self.engine.local_flow_control_window(stream) > 0)
            size = min(len(octets), self.engine.local_flow_control_window(stream), self.engine.max_outbound_frame_size)
            self.engine.send_data(stream, octets[:size])
            self.flush()
            octets = octets[size:]

    def get(self, path):
        stream = self.engine.get_next_available_stream_id()
        made = self.streams[stream] = WebSocket.__new__(WebSocket)
        made.status, made.received, made.ended = None, b"", None
        self.engine.send_headers(
            stream, [(":method", "GET"), (":scheme", "http"), (":authority", "a.test"), (":path", path)], end_stream=True)
        self.flush()
        self.until(lambda: made.ended)
        return made.status


@pytest.fixture(scope="module")
def echo_port():
    port = free_port()
    process = subprocess.Popen(program("websocket_echo.py", port))
    until(lambda: accepts(HOST, port), "the WebSocket server listens")
    yield port
    process.kill()
    process.wait()


@pytest.fixture(scope="module", params=["cleartext", "TLS"])
def listener(request, echo_port, tmp_path_factory):
    directory = tmp_path_factory.mktemp("websocket")
    credentials = Credentials.make(directory)
    flags, context = ([], None) if request.param == "cleartext" else (credentials.flags, credentials.context())
    with Forward(echo_port, directory / "proxy.log", *flags) as proxy:
        yield proxy.port, context


@pytest.fixture
def client(listener):
    made = Client(*listener)
    yield made
    made.socket.close()


def test_the_setting_is_announced(client):
    assert client.settings[h2.settings.SettingCodes.ENABLE_CONNECT_PROTOCOL].new_value == 1


def test_messages_are_echoed_in_order(client):
    chat = WebSocket(client)
    assert chat.status == 200
    for message in (b"", b"hello", b"x" * 125, b"y" * 126, b"z" * 70_000):
        chat.send(message)
        assert chat.receive() == (Opcode.BINARY, message)


def test_many_sockets_share_one_connection_with_requests(client):
    chats = [WebSocket(client) for _ in range(20)]
    for number, chat in enumerate(chats):
        chat.send(b"%d" % number)
    # An HTTP request without the handshake's fields: the server answers it as such, beside the open sockets.
    assert client.get("/plain") == 426
    assert [chat.receive()[1] for chat in chats] == [b"%d" % number for number in range(20)]


def test_a_message_larger_than_every_window(client):
    chat = WebSocket(client)
    message = bytes(range(256)) * 12_000
    chat.send(message)
    assert chat.receive() == (Opcode.BINARY, message)


def test_the_closing_handshake_ends_the_stream_and_not_the_connection(client):
    chat, other = WebSocket(client), WebSocket(client)
    chat.send((1000).to_bytes(2, "big"), Opcode.CLOSE)
    assert chat.receive()[0] is Opcode.CLOSE
    client.until(lambda: chat.ended)
    assert isinstance(chat.ended, h2.events.StreamEnded), chat.ended
    other.send(b"still here")
    assert other.receive()[1] == b"still here"


def test_an_upgrade_that_the_server_refuses_is_no_success(client):
    chat = WebSocket(client, protocol="another-protocol")
    assert chat.status >= 400
