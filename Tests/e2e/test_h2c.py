"""`Upgrade: h2c` (RFC 7540, section 3.2): accepted in cleartext, ignored when it must be, never passed on."""

import base64
import subprocess

import pytest

from support.conformance import resets
from support.frames import (
    ACK, DATA, ENABLE_PUSH, FLOW_CONTROL_ERROR, GOAWAY, HEADERS, INITIAL_WINDOW_SIZE, PREFACE, PROTOCOL_ERROR, SETTINGS,
    STREAM_CLOSED, Connection, data, headers, settings, window_update)

OFFER = ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c"]


def payload(*pairs):
    return base64.urlsafe_b64encode(settings(*pairs)[9:]).rstrip(b"=").decode()


def message(*lines, method="GET", path="/hello", version="1.1", body=b""):
    return "\r\n".join([f"{method} {path} HTTP/{version}", "Host: a.test", *lines, "", ""]).encode() + body


def offer(*pairs, **options):
    return message(*OFFER, f"HTTP2-Settings: {payload(*pairs)}", **options)


@pytest.fixture
def cleartext(http2_listeners):
    port, _ = http2_listeners["cleartext"]
    with Connection(port) as connection:
        yield connection


def accepted(connection):
    """The 101 has come; the server's preface follows it, and the client's goes out."""
    status, fields = connection.http1_head()
    assert status == "101" and fields == {"connection": "Upgrade", "upgrade": "h2c"}
    first = connection.next()
    assert first.kind == SETTINGS and not first.flags & ACK
    connection.send(PREFACE, settings())
    return connection


def test_the_request_becomes_stream_1(cleartext):
    cleartext.send(offer())
    status, fields, body = accepted(cleartext).answer(1)
    assert (status, body) == (200, b"v1 /hello\n")
    cleartext.send(headers(3))
    assert cleartext.answer(3)[0] == 200


def test_the_backend_sees_a_plain_request(cleartext):
    cleartext.send(message(*OFFER, f"HTTP2-Settings: {payload()}", "X-Kept: yes", path="/headers"))
    _, _, body = accepted(cleartext).answer(1)
    names = {line.split(b":")[0].lower() for line in body.splitlines()}
    assert b"x-kept" in names and not names & {b"upgrade", b"http2-settings", b"connection"}


def test_every_byte_may_come_alone(cleartext):
    for byte in offer() + PREFACE + settings():
        cleartext.send(bytes([byte]))
    status, _ = cleartext.http1_head()
    assert status == "101" and cleartext.answer(1)[0] == 200


def test_the_preface_may_come_with_the_request(cleartext):
    cleartext.send(offer() + PREFACE + settings() + headers(3))
    status, _ = cleartext.http1_head()
    assert status == "101"
    assert {cleartext.until(lambda made: made.kind == HEADERS).stream for _ in range(2)} == {1, 3}


def test_the_settings_of_the_offer_hold_for_stream_1(cleartext):
    cleartext.send(offer((INITIAL_WINDOW_SIZE, 3), path="/bytes/10"))
    accepted(cleartext)
    assert len(cleartext.until(lambda made: made.kind == DATA).payload) == 3
    # The client's own SETTINGS frame was empty: the window stays as it is.
    assert not [made for made in cleartext.round_trip() if made.kind == DATA]
    cleartext.send(window_update(1, 7))
    assert cleartext.until(lambda made: made.kind == DATA).ends_stream


def test_stream_1_is_half_closed(cleartext):
    cleartext.send(offer(path="/slow/30"))
    accepted(cleartext).send(data(1, b"x"))
    resets(STREAM_CLOSED)(cleartext)


def test_an_answer_to_head_has_no_content(cleartext):
    cleartext.send(offer(method="HEAD", path="/bytes/100"))
    status, fields, body = accepted(cleartext).answer(1)
    assert (status, fields["content-length"], body) == (200, "100", b"")


def test_a_connection_that_has_served_http1_may_still_change(cleartext):
    cleartext.send(message())
    assert cleartext.http1_answer()[0] == "200"
    cleartext.send(offer())
    assert accepted(cleartext).answer(1)[0] == 200


def test_without_the_clients_preface_the_connection_ends(cleartext):
    cleartext.send(offer(path="/slow/30"))
    assert cleartext.http1_head()[0] == "101"
    cleartext.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    last = cleartext.until_closed()[-1]
    assert (last.kind, last.code) == (GOAWAY, PROTOCOL_ERROR)


@pytest.mark.parametrize("pair, code", [
    ((ENABLE_PUSH, 2), PROTOCOL_ERROR), ((INITIAL_WINDOW_SIZE, 1 << 31), FLOW_CONTROL_ERROR)], ids=["push", "window"])
def test_settings_out_of_range_end_the_connection(cleartext, pair, code):
    cleartext.send(offer(pair))
    assert cleartext.http1_head()[0] == "101"
    last = cleartext.until_closed()[-1]
    assert (last.kind, last.code) == (GOAWAY, code)


IGNORED = {
    "no settings": message(*OFFER, path="/headers"),
    "settings twice": message(*OFFER, f"HTTP2-Settings: {payload()}", "HTTP2-Settings: ", path="/headers"),
    "settings that no option names": message("Connection: Upgrade", "Upgrade: h2c", "HTTP2-Settings: ", path="/headers"),
    "no upgrade option": message("Connection: HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: ", path="/headers"),
    "no Upgrade": message("Connection: Upgrade, HTTP2-Settings", "HTTP2-Settings: ", path="/headers"),
    "h2 instead of h2c": message("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2", "HTTP2-Settings: ", path="/headers"),
    **{f"the settings {text!r}": message(*OFFER, f"HTTP2-Settings: {text}", path="/headers") for text in (
        "AAMAAABk=", "AAMAAAB", "AAMAAABkA", "AAMAAAB!", "AAMAAAB+", "AAMAAA==", "AAMAAABkAB", "AAMAAABk,")},
    "a body": message(*OFFER, "HTTP2-Settings: ", "Content-Length: 3", method="POST", path="/upload", body=b"abc"),
    "a chunked body": message(*OFFER, "HTTP2-Settings: ", "Transfer-Encoding: chunked", method="POST", path="/upload",
                              body=b"3\r\nabc\r\n0\r\n\r\n"),
    "h2c beside another protocol, no settings": message("Connection: Upgrade", "Upgrade: websocket, h2c", path="/headers"),
    "h2c in a second field, no settings": message("Connection: Upgrade", "Upgrade: websocket", "Upgrade: h2c", path="/headers"),
}


@pytest.mark.parametrize("octets", **{"argvalues": IGNORED.values(), "ids": IGNORED.keys()})
def test_an_offer_that_is_not_whole_is_served_as_http1(cleartext, octets):
    cleartext.send(octets)
    status, body = cleartext.http1_answer()
    assert status == "200"
    if octets.startswith(b"POST"):
        assert body.startswith("3 ")
    elif b"Upgrade: h2\r" not in octets:
        # What no intermediary may pass on: behind it, `h2c` smuggles requests.
        assert not {line.split(":")[0].lower() for line in body.splitlines()} & {"upgrade", "http2-settings"}
    # The connection goes on as HTTP/1.1.
    cleartext.send(message())
    assert cleartext.http1_answer() == ("200", "v1 /hello\n")


def test_http_1_0_knows_no_upgrade(cleartext):
    cleartext.send(message(*OFFER, "HTTP2-Settings: ", version="1.0"))
    assert cleartext.http1_answer()[0] == "200"


def test_over_tls_the_offer_is_ignored(http2_listeners, http2_credentials):
    port, _ = http2_listeners["TLS"]
    with Connection(port, http2_credentials.context(["http/1.1"])) as connection:
        connection.send(offer(path="/headers"))
        status, body = connection.http1_answer()
    assert status == "200" and "upgrade" not in body.lower()


def test_curl_changes_to_http2(http2_listeners):
    port, _ = http2_listeners["cleartext"]
    url = f"http://127.0.0.1:{port}/bytes/100000"
    said = subprocess.run(
        ["curl", "-sS", "--http2", "-o", "/dev/null", "-o", "/dev/null", "-w",
         "%{http_version} %{http_code} %{size_download}\n", url, url],
        capture_output=True, text=True, timeout=30, check=True)
    assert said.stdout == "2 200 100000\n" * 2
