import MeshHTTP

/// One input and the events it must give however it is cut (words as `HTTP1Trace` writes them).
struct HTTP1Vector: CustomStringConvertible, Sendable {
  var input: String
  var events: [String]
  var role = HTTP1Decoder.Role.request
  var requestMethod = Method.get
  var closes = false

  var bytes: [UInt8] {
    // `~XX` is the raw byte XX: a Swift string cannot hold bytes that are not UTF-8.
    var out: [UInt8] = []
    var rest = Array(input.utf8)[...]
    while let byte = rest.popFirst() {
      guard byte == UInt8(ascii: "~"), let code = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16)
      else {
        out.append(byte)
        continue
      }
      out.append(code)
      rest = rest.dropFirst(2)
    }
    return out
  }

  var description: String { String(input.debugDescription.prefix(70)) }
}

private func request(_ input: String, _ events: String...) -> HTTP1Vector {
  HTTP1Vector(input: input, events: events)
}

private func response(
  _ input: String, _ events: String..., to method: Method = .get, closes: Bool = false
) -> HTTP1Vector {
  HTTP1Vector(input: input, events: events, role: .response, requestMethod: method, closes: closes)
}

private func bad(_ input: String, _ counter: String) -> HTTP1Vector {
  HTTP1Vector(input: input, events: ["! " + counter])
}

private func badResponse(_ input: String, _ counter: String) -> HTTP1Vector {
  HTTP1Vector(input: input, events: ["! " + counter], role: .response)
}

/// A request line and a valid Host field in front of `lines`.
private func badField(_ lines: String, _ counter: String) -> HTTP1Vector {
  bad("POST / HTTP/1.1\r\nHost: h\r\n" + lines + "\r\n\r\n", counter)
}

private func badChunks(_ content: String, _ counter: String, after events: String...) -> HTTP1Vector {
  HTTP1Vector(
    input: "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + content,
    events: ["POST / @h chunked"] + events + ["! " + counter])
}

private let get = "GET / HTTP/1.1\r\nHost: h\r\n"
private let post = "POST / HTTP/1.1\r\nHost: h\r\n"
private let chunkedPost = post + "Transfer-Encoding: chunked\r\n\r\n"

enum HTTP1Vectors {
  static let all = goodRequests + goodResponses + badStartLines + badFields + badFraming + badChunked + badResponses

  static let goodRequests: [HTTP1Vector] = [
    request(get + "\r\n", "GET / @h none", "end"),
    request("\r\n" + get + "\r\n", "GET / @h none", "end"),
    request(get + "\r\n\r\n" + get + "\r\n", "GET / @h none", "end", "GET / @h none", "end"),
    request(
      get + "\r\n" + get + "\r\n" + post + "Content-Length: 1\r\n\r\nx",
      "GET / @h none", "end", "GET / @h none", "end", "POST / @h length(1)", "body x", "end"),
    request(
      "GET /a/b?c=d&e=%20f|{} HTTP/1.1\r\nHost: example.com:8080\r\n\r\n",
      "GET /a/b?c=d&e=%20f|{} @example.com:8080 none", "end"),
    request("GET / HTTP/1.1\r\nhOsT:h\r\n\r\n", "GET / @h none", "end"),
    request("GET / HTTP/1.1\r\nHost: \t h \t \r\n\r\n", "GET / @h none", "end"),
    request("GET / HTTP/1.1\r\nHost:\r\n\r\n", "GET / @ none", "end"),
    request("GET / HTTP/1.1\r\nHost: [2001:db8::1]:80\r\n\r\n", "GET / @[2001:db8::1]:80 none", "end"),
    request(get + "X-Empty:\r\nX-Tab: a\tb\r\nX-Obs: caf~E9\r\n\r\n", "GET / @h none", "end"),
    request("M-SEARCH / HTTP/1.1\r\nHost: h\r\n\r\n", "M-SEARCH / @h none", "end"),
    request("get / HTTP/1.1\r\nHost: h\r\n\r\n", "get / @h none", "end"),
    request("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n", "HEAD / @h none", "end"),
    request(post + "Content-Length: 5\r\n\r\nhello", "POST / @h length(5)", "body hello", "end"),
    request(post + "Content-Length: 0\r\n\r\n", "POST / @h length(0)", "end"),
    request(post + "Content-Length: 007\r\n\r\nseven77", "POST / @h length(7)", "body seven77", "end"),
    request(post + "Content-Length: 9223372036854775807\r\n\r\nx", "POST / @h length(9223372036854775807)", "body x"),
    request(chunkedPost + "0\r\n\r\n", "POST / @h chunked", "end"),
    request(chunkedPost + "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", "POST / @h chunked", "body hello world", "end"),
    request(
      chunkedPost + "a\r\n0123456789\r\nA\r\n0123456789\r\n000\r\n\r\n",
      "POST / @h chunked", "body 01234567890123456789", "end"),
    request(
      chunkedPost + "1;a=b;c=\"d e\"\r\nx\r\n1 ; y\r\nz\r\n0;last\r\n\r\n", "POST / @h chunked", "body xz", "end"),
    request(
      chunkedPost + "1\r\nx\r\n0\r\nChecksum: 1\r\nother: two\r\n\r\n",
      "POST / @h chunked", "body x", "trailers Checksum=1;other=two", "end"),
    request(
      chunkedPost + "1\r\nx\r\n0\r\nContent-Length: 9\r\nHost: evil\r\n\r\n" + get + "\r\n",
      "POST / @h chunked", "body x", "end", "GET / @h none", "end"),
    request(
      post + "transfer-encoding:  CHUNKED \r\n\r\n2\r\n\r\n\r\n0\r\n\r\n", "POST / @h chunked", "body \r\n", "end"),
    request(
      post + "Expect: 100-continue\r\nContent-Length: 2\r\n\r\nok", "POST / @h length(2) expect", "body ok", "end"),
    request(get + "Expect: 100-continue\r\n\r\n", "GET / @h none", "end"),
    request(get + "Connection: close\r\n\r\n", "GET / @h none close", "end"),
    request(get + "Connection: x, CLOSE ,y\r\n\r\n", "GET / @h none close", "end"),
    request(get + "Connection: keep-alive\r\n\r\n", "GET / @h none", "end"),
    request("GET / HTTP/1.0\r\n\r\n", "GET / @ 1.0 none close", "end"),
    request("GET / HTTP/1.0\r\nHost: h\r\nConnection: Keep-Alive\r\n\r\n", "GET / @h 1.0 none", "end"),
    request(
      "POST / HTTP/1.0\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\nx",
      "POST / @ 1.0 length(1) close", "body x", "end"),
    request(get + "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n", "GET / @h none upgrade", "end"),
    request(get + "Upgrade: websocket\r\n\r\n", "GET / @h none", "end"),
    request(get + "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n", "GET / @h none", "end"),
    request("GET http://a.b:81/c?d HTTP/1.1\r\nHost: other\r\n\r\n", "GET http: /c?d @a.b:81 none", "end"),
    request("GET HTTP://a.b HTTP/1.1\r\nHost: a.b\r\n\r\n", "GET http: / @a.b none", "end"),
    request("GET http://a.b?q=1 HTTP/1.1\r\nHost: a.b\r\n\r\n", "GET http: /?q=1 @a.b none", "end"),
    request("OPTIONS http://a.b HTTP/1.1\r\nHost: a.b\r\n\r\n", "OPTIONS http: * @a.b none", "end"),
    request("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", "OPTIONS * @h none", "end"),
    request("CONNECT db.shop:5432 HTTP/1.1\r\nHost: db.shop:5432\r\n\r\n", "CONNECT  @db.shop:5432 none", "end"),
    request("CONNECT [::1]:1 HTTP/1.0\r\n\r\n", "CONNECT  @[::1]:1 1.0 none close", "end"),
  ]

  static let goodResponses: [HTTP1Vector] = [
    response("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "200 length(2)", "body ok", "end"),
    response("HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", "200 length(0)", "end"),
    response("HTTP/1.1 599 Ce n'est pas ~E9vident\r\nContent-Length: 0\r\n\r\n", "599 length(0)", "end"),
    response(
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nA: b\r\n\r\n",
      "200 chunked", "body ok", "trailers A=b", "end"),
    response("HTTP/1.1 200 OK\r\n\r\nuntil the end", "200 untilClose close", "body until the end", "end", closes: true),
    response("HTTP/1.1 200 OK\r\n\r\n", "200 untilClose close", "end", closes: true),
    response("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", "200 1.0 length(1) close", "body x", "end"),
    response(
      "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx", "200 1.0 length(1)", "body x", "end"),
    response("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", "200 length(0) close", "end"),
    response("HTTP/1.1 204 No Content\r\n\r\n", "204 none", "end"),
    response("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", "204 none close", "end"),
    response("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", "304 none", "end"),
    response("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "200 none", "end", to: .head),
    response("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "200 none", "end", to: .head),
    response(
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 204 x\r\n\r\n",
      "100 informational", "103 informational", "204 none", "end"),
    response(
      "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n~81~00",
      "101 tunnel close upgrade", "body \u{FFFD}\u{0}", "end", closes: true),
    response("HTTP/1.1 200 OK\r\n\r\nSSH", "200 tunnel close", "body SSH", "end", to: .connect, closes: true),
    response("HTTP/1.1 403 No\r\nContent-Length: 1\r\n\r\nx", "403 length(1)", "body x", "end", to: .connect),
    response(
      "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\naHTTP/1.1 404 No\r\nContent-Length: 1\r\n\r\nb",
      "200 length(1)", "body a", "end", "404 length(1)", "body b", "end"),
    response(
      "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", "200 length(9)", "body short", "! truncated_message",
      closes: true),
    response(
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", "200 chunked", "body ab",
      "! truncated_message", closes: true),
    response("HTTP/1.1 200 O", "! truncated_message", closes: true),
  ]

  static let badStartLines: [HTTP1Vector] = [
    bad("\r\n\r\n" + get + "\r\n", "malformed_request_line"),
    bad("\rGET / HTTP/1.1\r\n", "bare_carriage_return"),
    bad("\nGET / HTTP/1.1\r\n", "bare_line_feed"),
    bad(" GET / HTTP/1.1\r\n", "invalid_method"),
    bad("GET  / HTTP/1.1\r\n", "malformed_request_line"),
    bad("GET /  HTTP/1.1\r\n", "malformed_request_line"),
    bad("GET / HTTP/1.1 \r\n", "malformed_request_line"),
    bad("GET\t/ HTTP/1.1\r\n", "malformed_request_line"),
    bad("GET /\tHTTP/1.1\r\n", "malformed_request_line"),
    bad("GET / HTTP/1.1\n\r\n", "bare_line_feed"),
    bad("GET / HTTP/1.1\rX\r\n", "bare_carriage_return"),
    bad("GET /~00 HTTP/1.1\r\n", "control_byte"),
    bad("GET /~7F HTTP/1.1\r\n", "control_byte"),
    bad("GET /~C3~A9 HTTP/1.1\r\n", "invalid_target"),
    bad("GET /#top HTTP/1.1\r\n", "invalid_target"),
    bad("GET\r\n", "malformed_request_line"),
    bad("GET /\r\n", "malformed_request_line"),
    bad("G(T / HTTP/1.1\r\n", "invalid_method"),
    bad("GET / http/1.1\r\n", "malformed_request_line"),
    bad("GET / HTTP/1.10\r\n", "malformed_request_line"),
    bad("GET / HTTP/11\r\n", "malformed_request_line"),
    bad("GET / HTTP/1.2\r\n", "unsupported_version"),
    bad("GET / HTTP/0.9\r\n", "unsupported_version"),
    bad("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "unsupported_version"),
    bad("GET * HTTP/1.1\r\n", "invalid_target"),
    bad("GET index.html HTTP/1.1\r\n", "invalid_target"),
    bad("GET https://a/ HTTP/1.1\r\n", "invalid_target"),
    bad("GET http:///a HTTP/1.1\r\n", "invalid_target"),
    bad("GET http://u:p@a/ HTTP/1.1\r\n", "invalid_target"),
    bad("GET http://a:99999/ HTTP/1.1\r\n", "invalid_target"),
    bad("CONNECT / HTTP/1.1\r\n", "invalid_target"),
    bad("CONNECT a HTTP/1.1\r\n", "invalid_target"),
    bad("CONNECT a:0 HTTP/1.1\r\n", "invalid_target"),
    bad("CONNECT http://a:1 HTTP/1.1\r\n", "invalid_target"),
    bad("~16~03~01~02~00~01~00~01~FC~03~03\r\n", "control_byte"),
  ]

  static let badFields: [HTTP1Vector] = [
    bad("GET / HTTP/1.1\r\n\r\n", "missing_host"),
    bad("GET http://a/ HTTP/1.1\r\n\r\n", "missing_host"),
    bad("GET / HTTP/1.1\r\n Host: h\r\n\r\n", "folded_field"),
    badField("host: h", "repeated_host"),
    bad("GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", "invalid_host"),
    bad("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", "invalid_host"),
    bad("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", "invalid_host"),
    bad("GET / HTTP/1.1\r\nHost: a:\r\n\r\n", "invalid_host"),
    bad("GET / HTTP/1.1\r\nHost: a:b\r\n\r\n", "invalid_host"),
    bad("GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", "invalid_host"),
    badField("Name : value", "space_before_colon"),
    badField("Name\t: value", "space_before_colon"),
    badField("Content-Length : 3", "space_before_colon"),
    badField(": value", "invalid_field_name"),
    badField("no colon", "space_before_colon"),
    badField("nocolon", "invalid_field_name"),
    badField("na(me: x", "invalid_field_name"),
    badField("na~E9me: x", "invalid_field_name"),
    badField("A: b\r\n folded", "folded_field"),
    badField("A: b\r\n\tfolded", "folded_field"),
    badField("A: b\nC: d", "bare_line_feed"),
    badField("A: b\rC: d", "bare_carriage_return"),
    badField("A: b\r\r", "bare_carriage_return"),
    badField("A: ~00", "control_byte"),
    badField("A: x~0By", "control_byte"),
    badField("A: x~7Fy", "control_byte"),
    bad(get + "\n", "bare_line_feed"),
    bad(get + "\r\r\n", "bare_carriage_return"),
  ]

  static let badFraming: [HTTP1Vector] = [
    badField("Content-Length: 1\r\nContent-Length: 1", "repeated_content_length"),
    badField("Content-Length: 1\r\nContent-Length: 2", "repeated_content_length"),
    badField("Content-Length: 1, 1", "invalid_content_length"),
    badField("Content-Length: 1,2", "invalid_content_length"),
    badField("Content-Length: +2", "invalid_content_length"),
    badField("Content-Length: -2", "invalid_content_length"),
    badField("Content-Length: 0x2", "invalid_content_length"),
    badField("Content-Length: 1 2", "invalid_content_length"),
    badField("Content-Length: 2.0", "invalid_content_length"),
    badField("Content-Length:", "invalid_content_length"),
    badField("Content-Length: 9223372036854775808", "invalid_content_length"),
    badField("Content-Length: 99999999999999999999999999", "invalid_content_length"),
    badField("Content-Length: 1\r\nTransfer-Encoding: chunked", "length_with_transfer_encoding"),
    badField("Transfer-Encoding: chunked\r\nContent-Length: 1", "length_with_transfer_encoding"),
    badField("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "invalid_transfer_encoding"),
    badField("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", "invalid_transfer_encoding"),
    badField("Transfer-Encoding: chunked, chunked", "invalid_transfer_encoding"),
    badField("Transfer-Encoding:", "invalid_transfer_encoding"),
    badField("Transfer-Encoding: chunked,", "invalid_transfer_encoding"),
    badField("Transfer-Encoding: gzip, chunked", "unknown_transfer_coding"),
    badField("Transfer-Encoding: chunked, identity", "unknown_transfer_coding"),
    badField("Transfer-Encoding: identity", "unknown_transfer_coding"),
    badField("Transfer-Encoding: xchunked", "unknown_transfer_coding"),
    badField("Transfer-Encoding: \"chunked\"", "unknown_transfer_coding"),
    badField("Transfer-Encoding: chunked;q=1", "unknown_transfer_coding"),
    badField("Transfer-Encoding: ~0Bchunked", "control_byte"),
    bad("POST / HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n", "transfer_encoding_in_http10"),
    bad("CONNECT h:1 HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\n", "content_in_connect"),
    bad("CONNECT h:1 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n", "content_in_connect"),
  ]

  static let badChunked: [HTTP1Vector] = [
    badChunks("\r\n", "invalid_chunk_size"),
    badChunks("g\r\n", "invalid_chunk_size"),
    badChunks("-1\r\n", "invalid_chunk_size"),
    badChunks("+1\r\n", "invalid_chunk_size"),
    badChunks("0x1\r\nx\r\n", "invalid_chunk_size"),
    badChunks(" 1\r\nx\r\n", "invalid_chunk_size"),
    badChunks("1 \r\nx\r\n", "invalid_chunk_size"),
    badChunks("1 x\r\nx\r\n", "invalid_chunk_size"),
    badChunks("1;~00\r\nx\r\n", "invalid_chunk_size"),
    badChunks("1\nx\r\n", "bare_line_feed"),
    badChunks("1;a\nx\r\n", "bare_line_feed"),
    badChunks("1\rx\r\n", "bare_carriage_return"),
    badChunks("8000000000000000\r\n", "chunk_size_overflow"),
    badChunks("FFFFFFFFFFFFFFFF\r\n", "chunk_size_overflow"),
    badChunks("00000000000000001\r\n", "chunk_size_overflow"),
    badChunks("1\r\nxy\r\n", "missing_chunk_end", after: "body x"),
    badChunks("1\r\nx\n0\r\n", "missing_chunk_end", after: "body x"),
    badChunks("1\r\nx\r0\r\n", "missing_chunk_end", after: "body x"),
    badChunks("0\r\nbad name: x\r\n\r\n", "space_before_colon"),
    badChunks("0\r\nA: b\r\n c\r\n\r\n", "folded_field"),
    badChunks("0\r\nA: b\n\r\n", "bare_line_feed"),
    badChunks("0\r\nA: ~01\r\n\r\n", "control_byte"),
  ]

  static let badResponses: [HTTP1Vector] = [
    badResponse("\r\nHTTP/1.1 200 OK\r\n\r\n", "malformed_status_line"),
    badResponse("HTTP/1.1 200\r\n\r\n", "malformed_status_line"),
    badResponse("HTTP/1.1  200 OK\r\n\r\n", "malformed_status_line"),
    badResponse("HTTP/1.1 20 OK\r\n\r\n", "malformed_status_line"),
    badResponse("HTTP/1.1 2000 OK\r\n\r\n", "malformed_status_line"),
    badResponse("HTTP/1.1 099 OK\r\n\r\n", "malformed_status_line"),
    badResponse("HTTP/1.1 +20 OK\r\n\r\n", "malformed_status_line"),
    badResponse("HTTP/1.1\t200 OK\r\n\r\n", "malformed_status_line"),
    badResponse("ICY 200 OK\r\n\r\n", "malformed_status_line"),
    badResponse("HTTP/2.0 200 OK\r\n\r\n", "unsupported_version"),
    badResponse("HTTP/1.1 200 O~00K\r\n\r\n", "control_byte"),
    badResponse("HTTP/1.1 200 OK\n\r\n", "bare_line_feed"),
    badResponse("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx", "repeated_content_length"),
    badResponse(
      "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "length_with_transfer_encoding"),
    badResponse("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "unknown_transfer_coding"),
    badResponse("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "transfer_encoding_in_http10"),
    badResponse("HTTP/1.1 200 OK\r\nA : b\r\n\r\n", "space_before_colon"),
    badResponse("HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", "folded_field"),
    badResponse(
      "HTTP/1.1 204 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "length_with_transfer_encoding"),
  ]
}
