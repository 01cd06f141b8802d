import MeshHTTP
import Testing

/// Each breach of RFC 9113 gets the scope and the code that its section asks for.
@Suite struct HTTP2ViolationTests {
  struct Case: CustomTestStringConvertible {
    var section: String
    var bytes: [UInt8]
    /// "failure CODE" for the connection, "reset STREAM CODE local" for one stream.
    var expected: String
    var testDescription: String { "\(section) -> \(expected)" }
  }

  static func request(_ extra: [UInt8], id: UInt32 = 1, flags: UInt8 = 5) -> [UInt8] {
    frame(1, flags, id, getBlock + extra)
  }

  static let open = frame(1, 4, 1, postBlock)
  static let done = frame(1, 5, 1, getBlock)

  static let connection: [Case] = [
    Case(
      section: "4.2 frame above the limit", bytes: frame(0x20, 0, 0, Array(repeating: 0, count: 16385)),
      expected: "failure 6"),
    Case(section: "4.3 broken field block", bytes: frame(1, 5, 1, [0x80]), expected: "failure 9"),
    Case(section: "5.1 DATA on idle", bytes: frame(0, 0, 1, [1]), expected: "failure 1"),
    Case(section: "5.1 RST_STREAM on idle", bytes: frame(3, 0, 1, word(8)), expected: "failure 1"),
    Case(section: "5.1 WINDOW_UPDATE on idle", bytes: frame(8, 0, 1, word(8)), expected: "failure 1"),
    Case(section: "5.1.1 even id", bytes: frame(1, 5, 2, getBlock), expected: "failure 1"),
    Case(section: "5.1.1 lower id", bytes: frame(1, 5, 5, getBlock) + frame(1, 5, 3, getBlock), expected: "failure 1"),
    Case(section: "6.1 DATA on stream 0", bytes: frame(0, 0, 0, [1]), expected: "failure 1"),
    Case(section: "6.1 padding too long", bytes: open + frame(0, 8, 1, [2, 0]), expected: "failure 1"),
    Case(section: "6.2 HEADERS on stream 0", bytes: frame(1, 5, 0, getBlock), expected: "failure 1"),
    Case(section: "6.2 padding too long", bytes: frame(1, 13, 1, [200, 0x82]), expected: "failure 1"),
    Case(section: "6.3 PRIORITY on stream 0", bytes: frame(2, 0, 0, word(0) + [0]), expected: "failure 1"),
    Case(section: "6.4 RST_STREAM on stream 0", bytes: frame(3, 0, 0, word(8)), expected: "failure 1"),
    Case(section: "6.4 RST_STREAM of 3 bytes", bytes: open + frame(3, 0, 1, [0, 0, 8]), expected: "failure 6"),
    Case(section: "6.5 SETTINGS on a stream", bytes: frame(4, 0, 1), expected: "failure 1"),
    Case(section: "6.5 SETTINGS of 5 bytes", bytes: frame(4, 0, 0, [0, 0, 0, 0, 0]), expected: "failure 6"),
    Case(
      section: "6.5 acknowledgement with payload", bytes: frame(4, 1, 0, [0, 1, 0, 0, 0, 0]), expected: "failure 6"),
    Case(section: "6.5.2 ENABLE_PUSH 2", bytes: frame(4, 0, 0, [0, 2, 0, 0, 0, 2]), expected: "failure 1"),
    Case(section: "6.5.2 window 2^31", bytes: frame(4, 0, 0, [0, 4, 0x80, 0, 0, 0]), expected: "failure 3"),
    Case(section: "6.5.2 frame size 16383", bytes: frame(4, 0, 0, [0, 5, 0, 0, 0x3F, 0xFF]), expected: "failure 1"),
    Case(section: "6.6 PUSH_PROMISE", bytes: frame(5, 4, 1, word(2) + getBlock), expected: "failure 1"),
    Case(section: "6.7 PING on a stream", bytes: frame(6, 0, 1, Array(repeating: 0, count: 8)), expected: "failure 1"),
    Case(section: "6.7 PING of 7 bytes", bytes: frame(6, 0, 0, Array(repeating: 0, count: 7)), expected: "failure 6"),
    Case(section: "6.8 GOAWAY on a stream", bytes: frame(7, 0, 1, word(0) + word(0)), expected: "failure 1"),
    Case(section: "6.9 WINDOW_UPDATE of 3 bytes", bytes: frame(8, 0, 0, [0, 0, 1]), expected: "failure 6"),
    Case(section: "6.9 WINDOW_UPDATE of 0", bytes: frame(8, 0, 0, word(0)), expected: "failure 1"),
    Case(section: "6.9.1 connection window overflow", bytes: frame(8, 0, 0, word(0x7FFF_FFFF)), expected: "failure 3"),
    Case(section: "6.10 CONTINUATION without HEADERS", bytes: frame(9, 4, 1, getBlock), expected: "failure 1"),
    Case(
      section: "6.10 interrupted block",
      bytes: frame(1, 1, 1, getBlock) + frame(6, 0, 0, Array(repeating: 0, count: 8)), expected: "failure 1"),
    Case(
      section: "6.10 CONTINUATION of another stream", bytes: frame(1, 1, 1, getBlock) + frame(9, 4, 3),
      expected: "failure 1"),
  ]

  static let stream: [Case] = [
    Case(section: "5.1 DATA after END_STREAM", bytes: done + frame(0, 0, 1, [1]), expected: "reset 1 5 local"),
    Case(section: "5.1 HEADERS after END_STREAM", bytes: done + frame(1, 5, 1, getBlock), expected: "reset 1 5 local"),
    Case(
      section: "5.1 DATA after RST_STREAM", bytes: open + frame(3, 0, 1, word(8)) + frame(0, 0, 1, [1]),
      expected: "reset 1 5 local"),
    Case(section: "6.3 PRIORITY of 4 bytes", bytes: open + frame(2, 0, 1, word(0)), expected: "reset 1 6 local"),
    Case(section: "6.9 WINDOW_UPDATE of 0", bytes: open + frame(8, 0, 1, word(0)), expected: "reset 1 1 local"),
    Case(
      section: "6.9.1 stream window overflow", bytes: open + frame(8, 0, 1, word(0x7FFF_FFFF)),
      expected: "reset 1 3 local"),
    Case(
      section: "8.1 trailers without END_STREAM", bytes: open + frame(1, 4, 1, literal("a", "b")),
      expected: "reset 1 1 local"),
    Case(section: "8.1 pseudo-header in trailers", bytes: open + frame(1, 5, 1, [0x82]), expected: "reset 1 1 local"),
    Case(
      section: "8.1.1 Content-Length too small",
      bytes: frame(1, 4, 1, postBlock + literal("content-length", "1")) + frame(0, 1, 1, [1, 2]),
      expected: "reset 1 1 local"),
    Case(
      section: "8.1.1 Content-Length too large",
      bytes: frame(1, 4, 1, postBlock + literal("content-length", "3")) + frame(0, 1, 1, [1, 2]),
      expected: "reset 1 1 local"),
    Case(
      section: "8.1.1 Content-Length without body", bytes: request(literal("content-length", "3")),
      expected: "reset 1 1 local"),
    Case(
      section: "8.1.1 two Content-Lengths",
      bytes: request(literal("content-length", "0") + literal("content-length", "0")), expected: "reset 1 1 local"),
    Case(section: "8.2.1 upper-case name", bytes: request(literal("Xa", "b")), expected: "reset 1 1 local"),
    Case(section: "8.2.1 space in a name", bytes: request(literal("x a", "b")), expected: "reset 1 1 local"),
    Case(section: "8.2.1 line feed in a value", bytes: request(literal("x", "a\nb")), expected: "reset 1 1 local"),
    Case(section: "8.2.1 leading space in a value", bytes: request(literal("x", " b")), expected: "reset 1 1 local"),
    Case(section: "8.2.2 connection", bytes: request(literal("connection", "close")), expected: "reset 1 1 local"),
    Case(
      section: "8.2.2 transfer-encoding", bytes: request(literal("transfer-encoding", "chunked")),
      expected: "reset 1 1 local"),
    Case(section: "8.2.2 te: gzip", bytes: request(literal("te", "gzip")), expected: "reset 1 1 local"),
    Case(section: "8.3 unknown pseudo-header", bytes: request(literal(":x", "b")), expected: "reset 1 1 local"),
    Case(
      section: "8.3 late pseudo-header", bytes: frame(1, 5, 1, literal("x", "b") + getBlock),
      expected: "reset 1 1 local"),
    Case(section: "8.3 repeated pseudo-header", bytes: request([0x82]), expected: "reset 1 1 local"),
    Case(section: "8.3.1 no :method", bytes: frame(1, 5, 1, [0x86, 0x84]), expected: "reset 1 1 local"),
    Case(section: "8.3.1 no :scheme", bytes: frame(1, 5, 1, [0x82, 0x84]), expected: "reset 1 1 local"),
    Case(section: "8.3.1 no :path", bytes: frame(1, 5, 1, [0x82, 0x86]), expected: "reset 1 1 local"),
    Case(
      section: "8.3.1 empty :path", bytes: frame(1, 5, 1, [0x82, 0x86] + literal(":path", "")),
      expected: "reset 1 1 local"),
    Case(
      section: "8.3.1 Host differs from :authority", bytes: request(literal("host", "b")), expected: "reset 1 1 local"),
    Case(section: "8.3.2 :status in a request", bytes: request(literal(":status", "200")), expected: "reset 1 1 local"),
    Case(
      section: "8.5 CONNECT with :path", bytes: frame(1, 5, 1, literal(":method", "CONNECT") + [0x84, 1, 1, 0x61]),
      expected: "reset 1 1 local"),
  ]

  private func check(_ test: Case, _ goAwayOrReset: UInt8) {
    let server = Peer(.server)
    _ = server.drain()
    server.feed(preface + emptySettings)
    _ = server.drain()
    server.feed(test.bytes)
    #expect(server.log.last == test.expected, "\(server.log)")
    #expect(server.drain().dropFirst(3).contains(goAwayOrReset))
  }

  @Test("a breach that hurts the connection ends it with GOAWAY and the RFC's code", arguments: connection)
  func connectionErrors(_ test: Case) { check(test, 7) }

  @Test("a breach of one stream resets it with the RFC's code", arguments: stream)
  func streamErrors(_ test: Case) {
    check(test, 3)
    // The connection goes on.
    let server = Peer(.server)
    server.feed(preface + emptySettings + test.bytes + frame(1, 5, 99, getBlock))
    #expect(server.log.last == "head 99 get / end")
  }

  @Test("3.4: a wrong preface or a first frame other than SETTINGS ends the connection")
  func prefaces() {
    let wrong = Peer(.server)
    wrong.feed(Array("GET / HTTP/1.1\r\n\r\n".utf8))
    #expect(wrong.log == ["failure 1"])
    let late = Peer(.server)
    late.feed(preface + frame(6, 0, 0, Array(repeating: 0, count: 8)))
    #expect(late.log == ["failure 1"])
  }

  @Test("6.6: a client refuses PUSH_PROMISE")
  func push() {
    let client = Peer(.client)
    client.feed(emptySettings + frame(5, 4, 1, word(2) + getBlock))
    #expect(client.log.last == "failure 1")
  }
}
