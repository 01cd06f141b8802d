"""RFC 9113, sections 3 to 7, against a live listener in cleartext and over TLS: frames, streams, flow control, errors."""

import pytest

from support.conformance import (
    OPEN, WAITING, answered, case, closes_connection, closes_without_an_answer, ignored, parameters, resets)
from support.frames import (
    ACK, CANCEL, COMPRESSION_ERROR, CONTINUATION, DATA, ENABLE_PUSH, END_HEADERS, END_STREAM, FLOW_CONTROL_ERROR,
    FRAME_SIZE_ERROR, GOAWAY, HEADERS, INITIAL_WINDOW_SIZE, MAX_CONCURRENT_STREAMS, MAX_FRAME_SIZE, PADDED, PING, PREFACE,
    PRIORITY, PRIORITY_FLAG, PROTOCOL_ERROR, PUSH_PROMISE, REFUSED_STREAM, RST_STREAM, SETTINGS, STREAM_CLOSED,
    WINDOW_UPDATE, Connection, block, continuation, data, frame, goaway, headers, literal, ping, priority, request, reset,
    settings,
    window_update, word)

GET = block(request())
HALF = len(GET) // 2
PART = headers(1, GET[:HALF], flags=0)
REST = GET[HALF:]
BODY = headers(1, request("POST", "/upload"), end=False)
DONE = answered(1)
UNKNOWN = frame(0xBB, 0xFF, 0, b"whatever")

STARTING = [
    case("3.4 the preface and an empty SETTINGS start a connection", PREFACE, settings(), headers(1), then=answered(),
         starts=False),
    case("3.4 the server's first frame is SETTINGS", then=lambda c: None),
    case("3.4 a request may follow the preface at once", PREFACE + settings() + headers(1), then=answered(), starts=False),
    case("3.4 another first frame than SETTINGS", PREFACE, ping(), then=closes_connection(PROTOCOL_ERROR), starts=False),
    case("3.4 an acknowledgement as first frame", PREFACE, settings(flags=ACK), then=closes_connection(PROTOCOL_ERROR),
         starts=False),
    case("3.4 a preface that goes wrong late", PREFACE[:-2] + b"XX", settings(), then=closes_connection(PROTOCOL_ERROR),
         starts=False),
]

FRAMES = [
    case("4.1 a frame of unknown type", UNKNOWN, then=ignored),
    case("4.1 a frame of unknown type on a stream", OPEN, frame(0xBB, 0, 1, b"x"), data(1, b"abc", end=True), then=answered()),
    case("4.1 flags without meaning", frame(PING, 0x16, 0, bytes(8)), then=ignored),
    case("4.1 the reserved bit is ignored", frame(PING, 0, 0x80000000, bytes(8)), then=ignored),
    case("4.1 the reserved bit of a stream's frame", headers(0x80000001), then=answered()),
    case("4.2 DATA of 16,384 octets", BODY, data(1, bytes(16384), end=True), then=answered()),
    case("4.2 DATA above the limit", BODY, data(1, bytes(16385)), then=closes_connection(FRAME_SIZE_ERROR)),
    case("4.2 HEADERS above the limit", headers(1, GET + literal("a", "b" * 16384)), then=closes_connection(FRAME_SIZE_ERROR)),
    case("4.2 a length that is announced is enough", frame(SETTINGS, 0, 0, b"", 1 << 20),
         then=closes_connection(FRAME_SIZE_ERROR)),
    case("4.3 a block that cannot be decoded", headers(1, b"\x40"), then=closes_connection(COMPRESSION_ERROR)),
    case("4.3 a block of a stream that is refused anyway", headers(1, request(method=None)), headers(3, b"\x80"),
         then=closes_connection(COMPRESSION_ERROR)),
    case("4.3 trailers that cannot be decoded", BODY, headers(1, b"\x7f"), then=closes_connection(COMPRESSION_ERROR)),
    *[case(f"4.3 {what} inside a field block", PART, octets, then=closes_connection(PROTOCOL_ERROR)) for what, octets in {
        "PRIORITY": priority(1), "HEADERS of another stream": headers(3), "DATA": data(1, b"x"), "PING": ping(),
        "SETTINGS": settings(), "RST_STREAM": reset(1), "WINDOW_UPDATE": window_update(0, 1), "GOAWAY": goaway(),
        "an unknown frame": UNKNOWN, "CONTINUATION of another stream": continuation(3, REST),
        "HEADERS of its own stream": headers(1)}.items()],
]

STREAMS = [
    case("5.1 idle: DATA", data(1, b"x"), then=closes_connection(PROTOCOL_ERROR, last=0)),
    case("5.1 idle: RST_STREAM", reset(1), then=closes_connection(PROTOCOL_ERROR)),
    case("5.1 idle: WINDOW_UPDATE", window_update(1, 1), then=closes_connection(PROTOCOL_ERROR)),
    case("5.1 idle: CONTINUATION", continuation(1, GET), then=closes_connection(PROTOCOL_ERROR)),
    case("5.1 idle: PRIORITY is allowed", priority(1), headers(1), then=answered()),
    case("5.1 idle: PRIORITY does not use up lower streams", priority(9), headers(1), then=answered()),
    case("5.1 half closed: DATA", WAITING, data(1, b"x"), then=resets(STREAM_CLOSED)),
    case("5.1 half closed: HEADERS", WAITING, headers(1), then=resets(STREAM_CLOSED)),
    case("5.1 half closed: CONTINUATION", WAITING, continuation(1, GET), then=closes_connection(PROTOCOL_ERROR)),
    case("5.1 half closed: WINDOW_UPDATE is allowed", headers(1, request(path="/slow/0.1")), window_update(1, 1),
         then=answered()),
    case("5.1 half closed: PRIORITY is allowed", headers(1, request(path="/slow/0.1")), priority(1), then=answered()),
    case("5.1 half closed: RST_STREAM is allowed", WAITING, reset(1), then=ignored),
    case("5.1 reset by the client: DATA", OPEN, reset(1), data(1, b"x"), then=resets(STREAM_CLOSED)),
    case("5.1 reset by the client: HEADERS", OPEN, reset(1), headers(1), then=resets(STREAM_CLOSED)),
    case("5.1 reset by the client: CONTINUATION", OPEN, reset(1), continuation(1, GET), then=closes_connection(PROTOCOL_ERROR)),
    case("5.1 reset by the client: WINDOW_UPDATE, PRIORITY and RST_STREAM", OPEN, reset(1), window_update(1, 1), priority(1),
         reset(1), then=ignored),
    case("5.1 reset by the server: what was on its way is ignored", headers(1, request("POST", None), end=False),
         data(1, b"x"), data(1, b"y", end=True), then=resets(PROTOCOL_ERROR)),
    case("5.1 ended: DATA", headers(1), DONE, data(1, b"x"), then=closes_connection(STREAM_CLOSED, last=1)),
    case("5.1 ended: HEADERS", headers(1), DONE, headers(1), then=closes_connection(STREAM_CLOSED)),
    case("5.1 ended: CONTINUATION", headers(1), DONE, continuation(1, GET), then=closes_connection(PROTOCOL_ERROR)),
    case("5.1 ended: WINDOW_UPDATE, PRIORITY and RST_STREAM", headers(1), DONE, window_update(1, 1), priority(1), reset(1),
         then=ignored),
    case("5.1.1 an even stream", headers(2), then=closes_connection(PROTOCOL_ERROR, last=0)),
    case("5.1.1 a stream below an earlier one", headers(5), answered(5), headers(3),
         then=closes_connection(PROTOCOL_ERROR, last=5)),
    case("5.1.1 streams may be left out", headers(1), DONE, headers(101), then=answered(101)),
    case("5.3.1 HEADERS of a stream that depends on itself",
         headers(1, flags=END_HEADERS | PRIORITY_FLAG, before=word(1) + b"\x0f"),
         then=resets(PROTOCOL_ERROR)),
    case("5.3.1 PRIORITY of an idle stream that depends on itself", priority(1, depends_on=1),
         then=closes_connection(PROTOCOL_ERROR)),
    case("5.3.1 PRIORITY of an open stream that depends on itself", OPEN, priority(1, depends_on=1),
         then=resets(PROTOCOL_ERROR)),
    *[case(f"5.3.2 {what} is ignored", octets, headers(1), then=answered()) for what, octets in {
        "the lowest weight": priority(1, weight=0), "the highest weight": priority(1, weight=255),
        "a dependency on an idle stream": priority(1, depends_on=3),
        "an exclusive dependency": priority(1, depends_on=0x80000003),
    }.items()],
    case("5.4.1 a connection error is announced with the last stream, then the connection ends", headers(1), DONE, headers(3),
         answered(3), ping(bytes(7)), then=closes_connection(FRAME_SIZE_ERROR, last=3)),
    case("5.4.2 a stream error leaves other streams alone", headers(1, request("POST", "/upload"), end=False),
         headers(3, request(te="x")),
         data(1, b"abc", end=True), then=answered()),
]

DEFINITIONS = [
    case("6.1 DATA", BODY, data(1, b"abc"), data(1), data(1, b"def", end=True), then=answered()),
    case("6.1 DATA with padding", BODY, data(1, b"abc", end=True, padding=255), then=answered()),
    case("6.1 DATA of padding only", BODY, data(1, b"", end=True, padding=10), then=answered()),
    case("6.1 padding that is not zero", BODY, frame(DATA, PADDED | END_STREAM, 1, b"\x02abcXY"), then=answered()),
    case("6.1 DATA on stream 0", data(0, b"x"), then=closes_connection(PROTOCOL_ERROR)),
    case("6.1 padding as long as the frame", BODY, frame(DATA, PADDED, 1, b"\x04abc"), then=closes_connection(PROTOCOL_ERROR)),
    case("6.1 padding longer than the frame", BODY, frame(DATA, PADDED, 1, b"\xffabc"), then=closes_connection(PROTOCOL_ERROR)),
    case("6.1 a padded frame without a pad length", BODY, frame(DATA, PADDED, 1), then=closes_connection(FRAME_SIZE_ERROR)),
    case("6.2 HEADERS with padding", headers(1, flags=END_HEADERS | PADDED, before=b"\x03", after=bytes(3)), then=answered()),
    case("6.2 HEADERS with a priority", headers(1, flags=END_HEADERS | PRIORITY_FLAG, before=word(0) + b"\x0f"),
         then=answered()),
    case("6.2 HEADERS with both", headers(1, flags=END_HEADERS | PADDED | PRIORITY_FLAG, before=b"\x03" + word(7) + b"\xff",
                                          after=bytes(3)), then=answered()),
    case("6.2 HEADERS on stream 0", headers(0), then=closes_connection(PROTOCOL_ERROR)),
    case("6.2 padding longer than the frame", headers(1, b"\x82", flags=END_HEADERS | PADDED, before=b"\x02"),
         then=closes_connection(PROTOCOL_ERROR)),
    case("6.2 a frame too short for its priority", frame(HEADERS, END_HEADERS | PRIORITY_FLAG, 1, bytes(4)),
         then=closes_connection(FRAME_SIZE_ERROR)),
    case("6.2 an empty HEADERS is no request", headers(1, b""), then=resets(PROTOCOL_ERROR)),
    case("6.3 PRIORITY on stream 0", priority(0), then=closes_connection(PROTOCOL_ERROR)),
    case("6.3 PRIORITY of four octets", OPEN, frame(PRIORITY, 0, 1, bytes(4)), then=resets(FRAME_SIZE_ERROR)),
    case("6.3 PRIORITY of six octets on an idle stream", frame(PRIORITY, 0, 1, bytes(6)),
         then=closes_connection(FRAME_SIZE_ERROR)),
    case("6.4 RST_STREAM", OPEN, reset(1, CANCEL), then=ignored),
    case("6.4 RST_STREAM on stream 0", reset(0), then=closes_connection(PROTOCOL_ERROR)),
    case("6.4 RST_STREAM of three octets", OPEN, frame(RST_STREAM, 0, 1, bytes(3)), then=closes_connection(FRAME_SIZE_ERROR)),
    case("6.4 RST_STREAM of five octets", OPEN, frame(RST_STREAM, 0, 1, bytes(5)), then=closes_connection(FRAME_SIZE_ERROR)),
    case("6.5 SETTINGS is acknowledged", settings((MAX_CONCURRENT_STREAMS, 10)),
         then=lambda c: c.until(lambda made: made.kind == SETTINGS and made.flags == ACK and not made.payload)),
    case("6.5 an acknowledgement that nobody asked for", settings(flags=ACK), then=ignored),
    case("6.5 an acknowledgement with content", frame(SETTINGS, ACK, 0, bytes(6)), then=closes_connection(FRAME_SIZE_ERROR)),
    case("6.5 SETTINGS on a stream", settings(stream=1), then=closes_connection(PROTOCOL_ERROR)),
    case("6.5 SETTINGS of five octets", frame(SETTINGS, 0, 0, bytes(5)), then=closes_connection(FRAME_SIZE_ERROR)),
    case("6.5.2 ENABLE_PUSH 0 and 1", settings((ENABLE_PUSH, 0)), settings((ENABLE_PUSH, 1)), then=ignored),
    case("6.5.2 ENABLE_PUSH 2", settings((ENABLE_PUSH, 2)), then=closes_connection(PROTOCOL_ERROR)),
    case("6.5.2 INITIAL_WINDOW_SIZE above 2^31-1", settings((INITIAL_WINDOW_SIZE, 1 << 31)),
         then=closes_connection(FLOW_CONTROL_ERROR)),
    case("6.5.2 MAX_FRAME_SIZE below 16,384", settings((MAX_FRAME_SIZE, 16383)), then=closes_connection(PROTOCOL_ERROR)),
    case("6.5.2 MAX_FRAME_SIZE above 16,777,215", settings((MAX_FRAME_SIZE, 1 << 24)), then=closes_connection(PROTOCOL_ERROR)),
    case("6.5.2 MAX_FRAME_SIZE at its bounds", settings((MAX_FRAME_SIZE, 16384), (MAX_FRAME_SIZE, (1 << 24) - 1)),
         then=ignored),
    case("6.5.2 an unknown setting", settings((0xFF, 1)), then=ignored),
    case("6.5.2 ENABLE_CONNECT_PROTOCOL other than 0 or 1", settings((8, 2)), then=closes_connection(PROTOCOL_ERROR)),
    case("6.6 PUSH_PROMISE from a client", OPEN, frame(PUSH_PROMISE, END_HEADERS, 1, word(2) + GET),
         then=closes_connection(PROTOCOL_ERROR)),
    case("6.7 PING is answered with its own octets", ping(b"apus ok!"),
         then=lambda c: c.until(lambda made: made.kind == PING and made.flags == ACK and made.payload == b"apus ok!")),
    case("6.7 an answer that nobody asked for", ping(flags=ACK), then=ignored),
    case("6.7 PING on a stream", ping(stream=1), then=closes_connection(PROTOCOL_ERROR)),
    case("6.7 PING of seven octets", ping(bytes(7)), then=closes_connection(FRAME_SIZE_ERROR)),
    case("6.7 PING of nine octets", ping(bytes(9)), then=closes_connection(FRAME_SIZE_ERROR)),
    case("6.8 GOAWAY lets open streams end", OPEN, goaway(), data(1, b"abc", end=True), then=answered()),
    case("6.8 GOAWAY with debug data", goaway(debug=b"going"), then=ignored),
    case("6.8 GOAWAY on a stream", goaway(stream=1), then=closes_connection(PROTOCOL_ERROR)),
    case("6.8 GOAWAY of seven octets", frame(GOAWAY, 0, 0, bytes(7)), then=closes_connection(FRAME_SIZE_ERROR)),
    case("6.9 WINDOW_UPDATE of the connection", window_update(0, 1), then=ignored),
    case("6.9 WINDOW_UPDATE of a stream", OPEN, window_update(1, 1), data(1, b"abc", end=True), then=answered()),
    case("6.9 WINDOW_UPDATE of 0 of the connection", window_update(0, 0), then=closes_connection(PROTOCOL_ERROR)),
    case("6.9 WINDOW_UPDATE of 0 of a stream", OPEN, window_update(1, 0), then=resets(PROTOCOL_ERROR)),
    case("6.9 WINDOW_UPDATE of three octets", frame(WINDOW_UPDATE, 0, 0, bytes(3)), then=closes_connection(FRAME_SIZE_ERROR)),
    case("6.9.1 the connection's window above 2^31-1", window_update(0, 0x7FFFFFFF),
         then=closes_connection(FLOW_CONTROL_ERROR)),
    case("6.9.1 the connection's window above 2^31-1 in two steps", window_update(0, 0x7FFF0000), window_update(0, 0xFFFF),
         window_update(0, 1), then=closes_connection(FLOW_CONTROL_ERROR)),
    case("6.9.1 a stream's window above 2^31-1", OPEN, window_update(1, 0x7FFFFFFF), then=resets(FLOW_CONTROL_ERROR)),
    case("6.9.2 SETTINGS lift a stream's window above 2^31-1", OPEN, window_update(1, 0x7FFF0000),
         settings((INITIAL_WINDOW_SIZE, 0x20000)), then=closes_connection(FLOW_CONTROL_ERROR)),
    case("6.10 a block in HEADERS and CONTINUATION", PART, continuation(1, REST), then=answered()),
    case("6.10 a block in many CONTINUATIONs, empty ones among them", PART, continuation(1, b"", flags=0),
         *[continuation(1, REST[at:at + 1], flags=0) for at in range(len(REST))], continuation(1), then=answered()),
    case("6.10 END_STREAM counts although CONTINUATION follows", PART, continuation(1, REST), DONE, data(1, b"x"),
         then=closes_connection(STREAM_CLOSED)),
    case("6.10 another frame after CONTINUATION", PART, continuation(1, REST[:2], flags=0), data(1, b"x"),
         then=closes_connection(PROTOCOL_ERROR)),
    case("6.10 CONTINUATION on stream 0", PART, continuation(0, REST), then=closes_connection(PROTOCOL_ERROR)),
    case("6.10 CONTINUATION after END_HEADERS of HEADERS", OPEN, continuation(1, GET), then=closes_connection(PROTOCOL_ERROR)),
    case("6.10 CONTINUATION after END_HEADERS of CONTINUATION", headers(1, GET[:HALF], end=False, flags=0),
         continuation(1, REST),
         continuation(1, GET), then=closes_connection(PROTOCOL_ERROR)),
    case("6.10 CONTINUATION after DATA", OPEN, data(1, b"x"), frame(CONTINUATION, END_HEADERS, 1, GET),
         then=closes_connection(PROTOCOL_ERROR)),
    case("7 GOAWAY with an unknown code", goaway(code=0xFFFF), then=ignored),
    case("7 RST_STREAM with an unknown code", OPEN, reset(1, 0xFFFF), then=ignored),
]


@pytest.mark.parametrize("each", **parameters(STARTING + FRAMES + STREAMS + DEFINITIONS))
def test_requirement(dial, each):
    each.run(dial())


def test_3_4_neither_http2_nor_http1_is_not_answered(http2_listeners):
    port, _ = http2_listeners["cleartext"]
    with Connection(port) as connection:
        connection.send(b"HELO THERE MACHINE\r\n\r\n")
        closes_without_an_answer(connection)


@pytest.mark.parametrize("dial", ["cleartext to a mute backend", "TLS to a mute backend"], indirect=True)
def test_5_1_2_streams_above_the_announced_limit_are_refused(dial):
    connection = dial(timeout=30).start()
    announced = connection.frames[0].payload
    limit = {int.from_bytes(announced[at:at + 2], "big"): int.from_bytes(announced[at + 2:at + 6], "big")
             for at in range(0, len(announced), 6)}[MAX_CONCURRENT_STREAMS]
    fields = block(request("POST", "/"))
    connection.send(*(headers(2 * number + 1, fields, end=False) for number in range(limit + 1)))
    refused = connection.until(lambda made: made.kind in (RST_STREAM, GOAWAY))
    assert (refused.kind, refused.stream, refused.code) == (RST_STREAM, 2 * limit + 1, REFUSED_STREAM)
    # One ends, and there is room again.
    connection.send(reset(1), headers(2 * limit + 3))
    assert not [made for made in connection.round_trip() if made.kind in (RST_STREAM, GOAWAY)]


def test_6_9_padding_is_given_back_to_both_windows(dial):
    """Padding counts against the windows, and nobody consumes it but the server itself."""
    connection = dial(timeout=30).start()
    # Over half of the window, which is when an update goes out.
    window, frames = 1 << 20, 2100
    assert window // 2 < frames * 256 < window
    connection.send(OPEN, *(data(1, b"x", padding=255) for _ in range(frames)))
    connection.round_trip()
    given = sum(int.from_bytes(made.payload, "big") for made in connection.frames
                if made.kind == WINDOW_UPDATE and made.stream == 1)
    assert given >= window // 2, given
    connection.send(data(1, end=True))
    status, _, body = connection.answer(1)
    assert status == 200 and body.startswith(b"2100 ")


def test_6_9_1_an_answer_waits_for_the_window(dial):
    connection = dial().start((INITIAL_WINDOW_SIZE, 1))
    connection.send(headers(1, request(path="/bytes/3")))
    sizes = []
    while sum(sizes) < 3:
        made = connection.until(lambda made: made.kind == DATA and made.stream == 1)
        sizes.append(len(made.payload))
        connection.round_trip()
        assert not [made for made in connection.frames[connection.frames.index(made) + 1:]
                    if made.kind == DATA], "over the window"
        connection.send(window_update(1, 1))
    assert sizes == [1, 1, 1] and made.ends_stream


def test_6_9_2_a_window_of_zero_and_one_below_zero_recover(dial):
    connection = dial().start((INITIAL_WINDOW_SIZE, 0))
    connection.send(headers(1, request(path="/bytes/10")))
    connection.until(lambda made: made.kind == HEADERS)
    connection.send(settings((INITIAL_WINDOW_SIZE, 4)))
    assert len(connection.until(lambda made: made.kind == DATA).payload) == 4
    # Now lower it by three: the stream's window is -3, and three octets of credit open nothing.
    connection.send(settings((INITIAL_WINDOW_SIZE, 1)), window_update(1, 3))
    assert not [made for made in connection.round_trip() if made.kind == DATA]
    connection.send(window_update(1, 2))
    assert len(connection.until(lambda made: made.kind == DATA).payload) == 2
    connection.send(window_update(1, 4))
    assert connection.until(lambda made: made.kind == DATA).ends_stream


def test_6_9_the_connections_window_holds_streams_back_together(dial):
    connection = dial().start((INITIAL_WINDOW_SIZE, 1 << 20))
    connection.send(*(headers(stream, request(path="/bytes/50000")) for stream in (1, 3)))
    received = 0
    while received < 65535:
        received += len(connection.until(lambda made: made.kind == DATA).payload)
    assert received == 65535 and not [made for made in connection.round_trip() if made.kind == DATA]
    connection.send(window_update(0, 100000))
    while received < 100000:
        received += len(connection.until(lambda made: made.kind == DATA).payload)
    assert received == 100000


def test_5_4_1_goaway_names_the_last_stream_that_was_processed(dial):
    connection = dial().start()
    connection.send(headers(1), headers(3, request(te="gzip")), headers(7, request("POST", "/upload"), end=False))
    assert connection.answer(1)[0] == 200
    connection.send(data(9, b"x"))
    closes_connection(PROTOCOL_ERROR, last=7)(connection)
