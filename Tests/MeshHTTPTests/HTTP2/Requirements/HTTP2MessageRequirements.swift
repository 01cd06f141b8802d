import MeshHTTP

/// RFC 9113, section 8: requests that are taken, and malformed ones, which are stream errors of PROTOCOL_ERROR.
enum HTTP2MessageRequirements {
  /// The fields of a request, as literals; a nil value leaves a pseudo-header field out.
  private static func fields(
    _ method: String? = "GET", _ scheme: String? = "http", _ path: String? = "/", _ authority: String? = "a",
    _ more: (String, String)...
  ) -> [UInt8] {
    let pseudo = [(":method", method), (":scheme", scheme), (":path", path), (":authority", authority)]
    return pseudo.flatMap { name, value in value.map { literal(name, $0) } ?? [] }
      + more.flatMap { literal($0.0, $0.1) }
  }

  private static func malformed(_ title: String, _ block: [UInt8]) -> HTTP2Requirement {
    HTTP2Requirement(title, frame(1, 5, 1, block), gives: .streamError(.protocolError, 1))
  }

  private static func with(_ name: String, _ value: String) -> [UInt8] { getBlock + literal(name, value) }

  private static func length(_ value: String) -> [UInt8] {
    frame(1, 4, 1, postBlock + literal("content-length", value))
  }

  private static let trailers = frame(1, 5, 1, literal("t", "v"))

  static let exchanges: [HTTP2Requirement] = [
    .init(
      "8.1 trailers end a request", openPost, frame(0, 0, 1, [1]), trailers,
      gives: .accepted(["head 1 post /", "trailers 1 get |t: v"])),
    .init(
      "8.1 HEADERS in the middle without END_STREAM", openPost, frame(1, 4, 1, literal("t", "v")),
      gives: .streamError(.protocolError, 1)),
    .init(
      "8.1 a pseudo-header field as trailer", openPost, frame(1, 5, 1, [0x82]), gives: .streamError(.protocolError, 1)),
    .init(
      "8.1 an upper-case name as trailer", openPost, frame(1, 5, 1, literal("T", "v")),
      gives: .streamError(.protocolError, 1)),
    .init(
      "8.1.1 less content than announced", length("3"), frame(0, 1, 1, [1, 2]), gives: .streamError(.protocolError, 1)),
    .init(
      "8.1.1 less content than announced, ended by trailers", length("3"), frame(0, 0, 1, [1, 2]), trailers,
      gives: .streamError(.protocolError, 1)),
    .init(
      "8.1.1 more content than announced", length("1"), frame(0, 0, 1, [1, 2]), gives: .streamError(.protocolError, 1)),
    .init(
      "8.1.1 more content than announced, in two frames", length("1"), frame(0, 0, 1, [1]), frame(0, 1, 1, [2]),
      gives: .streamError(.protocolError, 1)),
    .init(
      "8.1.1 as much content as announced, in two frames", length("2"), frame(0, 0, 1, [1]), frame(0, 9, 1, [1, 2, 0]),
      gives: .accepted(["head 1 post /|content-length: 2", "end 1 after 2"])),
    malformed("8.1.1 content announced, none sent", with("content-length", "1")),
    malformed(
      "8.1.1 two lengths, equal ones, too", with("content-length", "0") + literal("content-length", "0")),
    malformed("8.1.1 no length at all", with("content-length", "")),
    malformed("8.1.1 a signed length", with("content-length", "+0")),
    malformed("8.1.1 a list of lengths", with("content-length", "0,0")),
    malformed("8.1.1 a length beyond 64 bits", with("content-length", "99999999999999999999")),
    .init(
      "8.1.1 a length as trailer", openPost, frame(1, 5, 1, literal("content-length", "0")),
      gives: .streamError(.protocolError, 1)),
  ]

  /// Every byte that must not stand in a name or in a value, each in its own request.
  static let bytes: [HTTP2Requirement] = {
    let nameBytes = Set("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz".utf8)
    let badInName = (UInt8.min ... .max).filter { !nameBytes.contains($0) }
    let badInValue = (UInt8.min ... .max).filter { $0 < 0x20 && $0 != 0x09 || $0 == 0x7F }
    return badInName.map { malformed("8.2.1 byte \($0) in a name", getBlock + [0, 2, 0x78, $0, 1, 0x76]) }
      + badInValue.map { malformed("8.2.1 byte \($0) in a value", getBlock + [0, 1, 0x78, 3, 0x61, $0, 0x62]) }
      + [0x20, 0x09].flatMap { (blank: UInt8) in
        [
          malformed("8.2.1 byte \(blank) before a value", getBlock + [0, 1, 0x78, 2, blank, 0x61]),
          malformed("8.2.1 byte \(blank) behind a value", getBlock + [0, 1, 0x78, 2, 0x61, blank]),
        ]
      }
  }()

  static let fields: [HTTP2Requirement] = [
    malformed("8.2 an empty name", with("", "v")),
    malformed("8.2 an upper-case name", with("X", "v")),
    malformed("8.2.2 Connection", with("connection", "close")),
    malformed("8.2.2 Connection without options", with("connection", "")),
    malformed("8.2.2 Proxy-Connection", with("proxy-connection", "close")),
    malformed("8.2.2 Keep-Alive", with("keep-alive", "1")),
    malformed("8.2.2 Transfer-Encoding", with("transfer-encoding", "chunked")),
    malformed("8.2.2 Upgrade", with("upgrade", "websocket")),
    malformed("8.2.2 TE: gzip", with("te", "gzip")),
    malformed("8.2.2 TE: trailers, gzip", with("te", "trailers, gzip")),
    .init(
      "8.2.2 TE: trailers", frame(1, 5, 1, with("te", "trailers")),
      gives: .accepted(["head 1 get /|te: trailers end"])),
    .init(
      "8.2.3 cookie crumbs become one field",
      frame(1, 5, 1, with("cookie", "a=b") + literal("x", "y") + literal("cookie", "c=d")),
      gives: .accepted(["head 1 get /|x: y|cookie: a=b; c=d end"])),
    .init(
      "8.2.1 empty values, and white space and high bytes inside",
      frame(1, 5, 1, getBlock + literal("x", "") + [0, 1, 0x79, 4, 0x61, 0x20, 0x09, 0x62]),
      gives: .accepted(["head 1 get /|x: |y: a \tb end"])),
  ]

  static let pseudo: [HTTP2Requirement] = [
    malformed("8.3 an unknown pseudo-header field", with(":x", "v")),
    malformed("8.3 a lone colon", with(":", "v")),
    malformed("8.3 :status in a request", with(":status", "200")),
    malformed("8.3 a pseudo-header field behind a field", literal("x", "v") + getBlock),
    malformed("8.3.1 two :method", [0x82] + getBlock),
    malformed("8.3.1 two :scheme", [0x86] + getBlock),
    malformed("8.3.1 two :path", [0x84] + getBlock),
    malformed("8.3.1 two :authority", getBlock + [0x01, 1, 0x61]),
    malformed("8.3.1 no :method", fields(nil)),
    malformed("8.3.1 no :scheme", fields("GET", nil)),
    malformed("8.3.1 no :path", fields("GET", "http", nil)),
    malformed("8.3.1 an empty :method", fields("")),
    malformed("8.3.1 a space in :method", fields("G T")),
    malformed("8.3.1 an empty :scheme", fields("GET", "")),
    malformed("8.3.1 a colon in :scheme", fields("GET", "http:")),
    malformed("8.3.1 an empty :path", fields("GET", "http", "")),
    malformed("8.3.1 a :path without a slash", fields("GET", "http", "a")),
    malformed("8.3.1 a :path in absolute form", fields("GET", "http", "http://a/")),
    malformed("8.3.1 a fragment in :path", fields("GET", "http", "/#a")),
    malformed("8.3.1 a space in :path", fields("GET", "http", "/ a")),
    malformed("8.3.1 * with another method than OPTIONS", fields("GET", "http", "*")),
    malformed("8.3.1 an empty :authority", fields("GET", "http", "/", "")),
    malformed("8.3.1 user information in :authority", fields("GET", "http", "/", "u@a")),
    malformed("8.3.1 a path in :authority", fields("GET", "http", "/", "a/b")),
    malformed("8.3.1 a port of 0", fields("GET", "http", "/", "a:0")),
    malformed("8.3.1 a port of five digits too many", fields("GET", "http", "/", "a:65536")),
    malformed("8.3.1 Host beside another :authority", with("host", "b")),
    malformed("8.3.1 two Hosts", with("host", "a") + literal("host", "a")),
    malformed("8.3.1 user information in Host", fields("GET", "http", "/", nil, ("host", "u@a"))),
    malformed("8.3.1 a path in Host", fields("GET", "http", "/", nil, ("host", "a/b"))),
    malformed("8.3.1 an empty Host", fields("GET", "http", "/", nil, ("host", ""))),
    .init(
      "8.3.1 Host stands in for :authority and is no field any more",
      frame(1, 5, 1, fields("GET", "http", "/", nil, ("host", "a:80"))), gives: .accepted(["head 1 get / end"])),
    .init(
      "8.3.1 OPTIONS *", frame(1, 5, 1, fields("OPTIONS", "http", "*")), gives: .accepted(["head 1 options * end"])),
    .init("8.3.1 other schemes", frame(1, 5, 1, fields("GET", "coap+tcp")), gives: .accepted(["head 1 get / end"])),
    .init("8.5 CONNECT", frame(1, 4, 1, fields("CONNECT", nil, nil, "a:80")), gives: .accepted(["head 1 connect "])),
    malformed("8.5 CONNECT with :scheme", fields("CONNECT", "http", nil, "a:80")),
    malformed("8.5 CONNECT with :path", fields("CONNECT", nil, "/", "a:80")),
    malformed("8.5 CONNECT without :authority", fields("CONNECT", nil, nil, nil)),
    malformed("8.5 CONNECT without a port", fields("CONNECT", nil, nil, "a")),
    malformed("RFC 8441, 4 :protocol although it was not announced", with(":protocol", "websocket")),
  ]

  /// For a server that announced SETTINGS_ENABLE_CONNECT_PROTOCOL.
  static let extendedConnect: [HTTP2Requirement] = [
    .init(
      "RFC 8441, 4 extended CONNECT", frame(1, 4, 1, literal(":protocol", "websocket") + fields("CONNECT")),
      gives: .accepted(["head 1 connect /"])),
    malformed("RFC 8441, 4 no :scheme", literal(":protocol", "websocket") + fields("CONNECT", nil)),
    malformed("RFC 8441, 4 no :path", literal(":protocol", "websocket") + fields("CONNECT", "http", nil)),
    malformed("RFC 8441, 4 no :authority", literal(":protocol", "websocket") + fields("CONNECT", "http", "/", nil)),
    malformed("RFC 8441, 4 another method", literal(":protocol", "websocket") + fields("GET")),
    malformed("RFC 8441, 4 an empty :protocol", literal(":protocol", "") + fields("CONNECT")),
    malformed("RFC 8441, 4 a :protocol that is no token", literal(":protocol", "web socket") + fields("CONNECT")),
    malformed("RFC 8441, 4 h2c inside HTTP/2", literal(":protocol", "h2c") + fields("CONNECT")),
  ]
}
