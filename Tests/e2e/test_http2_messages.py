"""RFC 9113, section 8, and RFC 7541 against a live listener: what a backend is asked, and what is refused before it is."""

import hpack.huffman
import hpack.huffman_constants
import pytest

from support.conformance import OPEN, answered, case, closes_connection, echoes, parameters, resets
from support.frames import (
    COMPRESSION_ERROR, DATA, END_HEADERS, ENHANCE_YOUR_CALM, HEADERS, NO_ERROR, PROTOCOL_ERROR, RST_STREAM, block,
    continuation, data, headers, integer, literal, request)


def ask(*extra, path="/headers", **options):
    """A request whose answer is the field lines that the backend got."""
    return headers(1, [*request(path=path, **options), *extra])


def upload(*extra, size=None):
    fields = request("POST", "/upload")
    return headers(1, [*fields, *([("content-length", str(size))] if size is not None else []), *extra], end=False)


def refused(name, *extra, **options):
    return case(name, ask(*extra, **options), then=resets(PROTOCOL_ERROR))


EXCHANGES = [
    case("8.1 GET", ask(), then=answered()),
    case("8.1 POST with content", upload(), data(1, b"abc"), data(1, b"def", end=True), then=answered()),
    case("8.1 trailers end a request", upload(), data(1, b"abc"), headers(1, [("x-sum", "1")]), then=answered()),
    case("8.1 HEADERS in the middle without END_STREAM", upload(), data(1, b"abc"), headers(1, [("x-sum", "1")], end=False),
         then=resets(PROTOCOL_ERROR)),
    case("8.1 trailers of a request without content", OPEN, headers(1, [("x-sum", "1")]), then=answered()),
    case("8.1 pseudo-header fields as trailers", upload(), headers(1, [(":method", "POST")]), then=resets(PROTOCOL_ERROR)),
    case("8.1.1 Content-Length above the content", upload(size=4), data(1, b"abc", end=True), then=resets(PROTOCOL_ERROR)),
    case("8.1.1 Content-Length below the content", upload(size=2), data(1, b"abc", end=True), then=resets(PROTOCOL_ERROR)),
    case("8.1.1 Content-Length differs from the sum of DATA", upload(size=5), data(1, b"abc"), data(1, b"def", end=True),
         then=resets(PROTOCOL_ERROR)),
    case("8.1.1 Content-Length without content", ask(("content-length", "1")), then=resets(PROTOCOL_ERROR)),
    case("8.1.1 Content-Length above the content before trailers", upload(size=4), data(1, b"abc"), headers(1, [("x", "y")]),
         then=resets(PROTOCOL_ERROR)),
    case("8.1.1 Content-Length that fits, padding left out", upload(size=3), data(1, b"abc", end=True, padding=9),
         then=answered()),
    case("8.1.1 Content-Length 0", ask(("content-length", "0")), then=answered()),
    *[refused(f"8.1.1 Content-Length {value!r}", ("content-length", value))
      for value in ("", "-0", "+0", "0x0", "0, 0", "0" * 19)],
    refused("8.1.1 two Content-Lengths", ("content-length", "0"), ("content-length", "0")),
]

FIELDS = [
    *[refused(f"8.2 the name {name!r}", (name, "v")) for name in (
        "X-Upper", "x-uppeR", "", "x y", "x\ty", "x\0y", "x\ny", "x\ry", "x\x7fy", "x\xe9", "x(y", "x,y", "x/y", "x@y",
        "x[y", 'x"y')],
    case("8.2 every byte that a name may have", ask(("!#$%&'*+-.^_`|~0a", "v")), then=echoes("!#$%&'*+-.^_`|~0a: v")),
    *[refused(f"8.2.1 the value {value!r}", ("x-value", value)) for value in (
        "a\0b", "a\nb", "a\rb", "a\r\nb: c", " a", "a ", "\ta", "a\t", "a\x01b", "a\x7fb")],
    case("8.2.1 an empty value, and one with white space and bytes above 127 inside",
         ask(("x-empty", ""), ("x-value", "a b\tc\xe9")),
         then=echoes("x-empty: ", "x-value: a b\tc\xe9")),
    *[refused(f"8.2.2 {name}", (name, value)) for name, value in {
        "connection": "close", "proxy-connection": "close", "keep-alive": "timeout=1", "transfer-encoding": "chunked",
        "upgrade": "h2c"}.items()],
    *[refused(f"8.2.2 TE: {value}", ("te", value)) for value in ("gzip", "trailers, gzip", "trailers;q=1", "")],
    case("8.2.2 TE: trailers", ask(("te", "trailers")), then=echoes()),
    case("8.2.3 cookie crumbs become one field", ask(("cookie", "a=b"), ("x", "y"), ("cookie", "c=d"), ("cookie", "e=f")),
         then=echoes("cookie: a=b; c=d; e=f", "x: y")),
]

PSEUDO = [
    *[refused(f"8.3 {name}", (name, value))
      for name, value in {":unknown": "x", ":status": "200", ":": "x", ":Path": "/"}.items()],
    case("8.3 a pseudo-header field after another", headers(1, [("x", "y"), *request()]), then=resets(PROTOCOL_ERROR)),
    case("8.3 one pseudo-header field after another field",
         headers(1, request(authority=None) + [("x", "y"), (":authority", "a.test")]),
         then=resets(PROTOCOL_ERROR)),
    *[case(f"8.3 two {field}", headers(1, [(field, value), *request()]), then=resets(PROTOCOL_ERROR)) for field, value in {
        ":method": "GET", ":scheme": "http", ":path": "/", ":authority": "a.test"}.items()],
    *[case(f"8.3.1 no :{name}", headers(1, request(**{name: None})), then=resets(PROTOCOL_ERROR))
      for name in ("method", "scheme", "path")],
    *[refused(f"8.3.1 the path {path!r}", path=path) for path in (
        "", "headers", "*", "//a b", "/a#b", "/a\x7f", "http://a.test/", "?x", "/a\xe9")],
    *[case(f"8.3.1 the method {method!r}", headers(1, request(method)), then=resets(PROTOCOL_ERROR))
      for method in ("", "G T", "GET\r", "G/T")],
    *[case(f"8.3.1 the scheme {scheme!r}", headers(1, request(scheme=scheme)), then=resets(PROTOCOL_ERROR)) for scheme in (
        "", "ht tp", "http:", "http/x")],
    *[refused(f"8.3.1 the authority {name!r}", authority=name) for name in (
        "", "user@a.test", "a.test:", "a.test:0", "a.test:65536", "a.test:x", "a test", "a.test/x", "[::1", ":80")],
    case("8.3.1 :authority becomes Host", ask(authority="shop.test:8080"), then=echoes("Host: shop.test:8080")),
    case("8.3.1 Host stands in for :authority", ask(("host", "shop.test"), authority=None), then=echoes("Host: shop.test")),
    case("8.3.1 Host beside an equal :authority", ask(("host", "A.test")), then=echoes("Host: a.test")),
    refused("8.3.1 Host that differs from :authority", ("host", "b.test")),
    refused("8.3.1 two Hosts", ("host", "a.test"), ("host", "a.test")),
    *[refused(f"8.3.1 Host {value!r}", ("host", value), authority=None) for value in ("", "user@a.test", "a.test/x", "a b")],
    case("8.3.1 OPTIONS *", headers(1, request("OPTIONS", "*")), then=answered(status=501)),
    case("8.5 CONNECT with :scheme and :path", headers(1, request("CONNECT", authority="a.test:80")),
         then=resets(PROTOCOL_ERROR)),
    *[case(f"8.5 CONNECT to {name!r}", headers(1, request("CONNECT", None, None, name), end=False), then=resets(PROTOCOL_ERROR))
      for name in (None, "a.test", "a.test:")],
    case("8.5 CONNECT is not for this listener", headers(1, request("CONNECT", None, None, "a.test:80")),
         then=answered(status=405)),
    refused("RFC 8441 :protocol without CONNECT", (":protocol", "websocket")),
    *[case(f"RFC 8441 extended CONNECT without {name}",
           headers(1, [(":protocol", "websocket"), *request("CONNECT", **{name: None})], end=False),
           then=resets(PROTOCOL_ERROR)) for name in ("scheme", "path", "authority")],
    *[case(f"RFC 8441 the protocol {name!r}", headers(1, [(":protocol", name), *request("CONNECT")], end=False),
           then=resets(PROTOCOL_ERROR)) for name in ("", "h2c", "web socket")],
    case("6.5.2 a field section above the announced size", PART := headers(1, block(request()), flags=0),
         *[continuation(1, literal("x" * 50, "y" * 8000), flags=0) for _ in range(8)], continuation(1),
         then=resets(ENHANCE_YOUR_CALM)),
]


# MARK: RFC 7541

def huffman(text):
    encoder = hpack.huffman.HuffmanEncoder(hpack.huffman_constants.REQUEST_CODES, hpack.huffman_constants.REQUEST_CODES_LENGTH)
    octets = encoder.encode(text.encode())
    return integer(len(octets), 7, 0x80) + octets


def plain(text):
    return integer(len(text), 7) + text.encode()


GET_HEADERS = block(request(path="/headers"))
USER_AGENT = 58


def coded(*representations):
    return headers(1, GET_HEADERS + b"".join(representations))


def bad(name, *octets):
    return case(name, coded(*octets), then=closes_connection(COMPRESSION_ERROR))


COMPRESSION = [
    *[case(f"6.{section} {what}, {how} name, {coding}", coded(make(text)), then=echoes(f"{name}: custom-value"))
      for section, what, prefix, first in (
          ("2.1", "literal with indexing", 6, 0x40), ("2.2", "literal without indexing", 4, 0x00),
          ("2.3", "literal never indexed", 4, 0x10))
      for coding, text in (("plain", plain), ("Huffman", huffman))
      for how, name, make in (
          ("indexed", "user-agent",
           lambda text, first=first, prefix=prefix: integer(USER_AGENT, prefix, first) + text("custom-value")),
          ("new", "x-name", lambda text, first=first: bytes([first]) + text("x-name") + text("custom-value")))],
    case("6.1 indexed fields of the static table", headers(1, b"\x82\x84\x86" + literal(":authority", "a.test")),
         then=answered()),
    case("2.3.3 an indexed field of the dynamic table", headers(1, GET_HEADERS + b"\x40" + plain("x-name") + plain("v")),
         answered(),
         headers(3, GET_HEADERS + b"\xbe"), then=echoes("x-name: v", stream=3)),
    case("2.3.3 the newest entry comes first",
         coded(b"\x40" + plain("x-a") + plain("1"), b"\x40" + plain("x-b") + plain("2"), b"\xbf"),
         then=echoes("x-a: 1", "x-b: 2")),
    case("4.2 a table of size 0 forgets", headers(1, GET_HEADERS + b"\x40" + plain("x-name") + plain("v")), answered(),
         headers(3, b"\x20\x3f\xe1\x1f" + GET_HEADERS + b"\xbe"), then=closes_connection(COMPRESSION_ERROR)),
    case("4.3 an entry that is evicted", headers(1, GET_HEADERS + b"\x40" + plain("x-name") + plain("v" * 4000)), answered(),
         headers(3, GET_HEADERS + b"\x40" + plain("x-other") + plain("w" * 100) + b"\xbf"),
         then=closes_connection(COMPRESSION_ERROR)),
    case("4.4 an entry larger than the table empties it",
         headers(1, GET_HEADERS + b"\x40" + plain("x-name") + plain("v" * 4096)),
         then=echoes("x-name: " + "v" * 4096)),
    case("6.3 a size update", headers(1, b"\x20" + GET_HEADERS), then=answered()),
    case("6.3 two size updates", headers(1, b"\x20\x3f\xe1\x1f" + GET_HEADERS), then=answered()),
    bad("6.1 index 0", b"\x80"),
    bad("2.3.3 an index above both tables", b"\xbe"),
    bad("2.3.3 a name's index above both tables", integer(70, 6, 0x40) + plain("v")),
    bad("4.2 a size update behind a field", b"\x20"),
    case("6.3 a size update above the limit", headers(1, b"\x3f\xe2\x1f" + GET_HEADERS),
         then=closes_connection(COMPRESSION_ERROR)),
    bad("5.1 an integer that does not end", b"\xff\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"),
    bad("5.1 an integer that is cut off", b"\xff\x80"),
    bad("5.2 a string longer than the block", b"\x00\x7f\x00abc"),
    bad("5.2 a string without a length", b"\x00"),
    bad("5.2 Huffman padding of eight bits", b"\x00\x81\x1f\x82\x1f\xff"),
    bad("5.2 Huffman padding of zeros", b"\x00\x01a\x81\x18"),
    bad("5.2 Huffman with EOS", b"\x00\x01a\x84\xff\xff\xff\xff"),
]


@pytest.mark.parametrize("each", **parameters(EXCHANGES + FIELDS + PSEUDO + COMPRESSION))
def test_requirement(dial, each):
    each.run(dial())


def test_8_1_an_answer_to_head_has_no_content(dial):
    connection = dial().start()
    connection.send(headers(1, request("HEAD", "/bytes/100")))
    status, fields, body = connection.answer(1)
    assert (status, fields["content-length"], body) == (200, "100", b"")


def test_8_1_an_interim_answer_comes_before_the_final_one(dial):
    connection = dial().start()
    connection.send(upload(("expect", "100-continue"), size=3))
    interim = connection.until(lambda made: made.kind == HEADERS)
    assert interim.fields == {":status": "100"} and not interim.ends_stream
    connection.send(data(1, b"abc", end=True))
    assert connection.answer(1)[0] == 200


def test_8_1_an_answer_that_ends_early_asks_for_no_more_of_the_request(dial):
    connection = dial().start()
    connection.send(headers(1, request("POST", "/early"), end=False))
    status, _, _ = connection.answer(1)
    assert status == 403
    stop = connection.until(lambda made: made.stream == 1)
    assert (stop.kind, stop.code) == (RST_STREAM, NO_ERROR)
    # What was on its way is taken and forgotten.
    connection.send(data(1, b"late"), data(1, end=True))
    assert not [made for made in connection.round_trip() if made.stream == 1]


def test_8_2_2_connection_fields_of_the_backend_stay_behind(dial):
    connection = dial().start()
    connection.send(headers(1, request(path="/hop-by-hop")))
    status, fields, _ = connection.answer(1)
    assert status == 200 and fields["x-kept"] == "yes"
    assert not {"connection", "keep-alive", "transfer-encoding", "upgrade", "proxy-connection", "x-nominated"} & set(fields)


def test_8_2_1_names_of_the_backend_are_lowered(dial):
    connection = dial().start()
    connection.send(headers(1))
    _, fields, _ = connection.answer(1)
    assert fields["x-body-case"] == "Kept-As-Sent"


def test_8_1_trailers_of_the_backend_end_the_answer(dial):
    connection = dial().start()
    connection.send(headers(1, [*request(path="/trailers"), ("te", "trailers")]))
    assert connection.until(lambda made: made.kind == HEADERS).fields[":status"] == "200"
    assert not connection.until(lambda made: made.kind == DATA and made.payload).ends_stream
    last = connection.until(lambda made: made.kind == HEADERS)
    assert last.ends_stream and last.fields == {"x-sum": "42"}


def test_a_client_that_goes_away_takes_its_request_along(dial, http2_backend):
    """No work goes on for a connection that is closed: the backend sees its request end."""
    connection = dial().start()
    connection.send(headers(1, request(path="/watched")))
    http2_backend.wait_for_log("watching")
    connection.socket.close()
    http2_backend.wait_for_log("abandoned")
