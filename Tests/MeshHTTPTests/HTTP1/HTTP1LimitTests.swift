import MeshCore
import MeshHTTP
import Testing

@Suite struct HTTP1LimitTests {
  /// Whole, byte by byte and in two pieces, which must agree.
  private func events(
    _ input: String, role: HTTP1Decoder.Role = .request, _ configure: (inout HTTP1Limits) -> Void
  ) -> [String] {
    var limits = HTTP1Limits()
    configure(&limits)
    let bytes = Array(input.utf8)
    let whole = HTTP1Trace(bytes, role: role, limits: limits)
    #expect(HTTP1Trace(bytes, role: role, limits: limits, cuts: 0..<bytes.count) == whole)
    #expect(HTTP1Trace(bytes, role: role, limits: limits, cuts: [bytes.count / 2]) == whole)
    return whole.events
  }

  private let host = "GET / HTTP/1.1\r\nHost: h\r\n"

  @Test("a head of exactly the limit passes and one byte more answers 431")
  func headBytes() {
    let head = host + "\r\n"
    #expect(events(head) { $0.maximumHeadBytes = head.utf8.count } == ["GET / @h none", "end"])
    #expect(events(head) { $0.maximumHeadBytes = head.utf8.count - 1 } == ["! head_too_large"])
    #expect(events("GET /") { $0.maximumHeadBytes = 5 } == ["! head_too_large"])
  }

  @Test("as many fields as the limit pass and one more answers 431")
  func fieldCount() {
    #expect(events(host + "A: b\r\n\r\n") { $0.maximumFields = 2 } == ["GET / @h none", "end"])
    #expect(events(host + "A: b\r\nC: d\r\n\r\n") { $0.maximumFields = 2 } == ["! too_many_fields"])
  }

  @Test("a request line of exactly the limit passes and one byte more answers 414")
  func requestLine() {
    #expect(events(host + "\r\n") { $0.maximumRequestLineBytes = 14 } == ["GET / @h none", "end"])
    #expect(events(host + "\r\n") { $0.maximumRequestLineBytes = 13 } == ["! request_line_too_long"])
    #expect(events("GET /" + String(repeating: "a", count: 20_000)) { _ in } == ["! request_line_too_long"])
  }

  @Test("a status line beyond its limit is refused")
  func statusLine() {
    let input = "HTTP/1.1 204 No Content\r\n\r\n"
    #expect(events(input, role: .response) { $0.maximumStatusLineBytes = 23 } == ["204 none", "end"])
    #expect(events(input, role: .response) { $0.maximumStatusLineBytes = 22 } == ["! status_line_too_long"])
  }

  private let chunked = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"

  @Test("a chunk-size line beyond its limit is refused")
  func chunkLine() {
    let input = chunked + "1;abcd\r\nx\r\n0\r\n\r\n"
    #expect(events(input) { $0.maximumChunkLineBytes = 8 } == ["POST / @h chunked", "body x", "end"])
    #expect(events(input) { $0.maximumChunkLineBytes = 7 } == ["POST / @h chunked", "! chunk_line_too_long"])
  }

  @Test("chunk extensions of one message are bounded together")
  func chunkExtensions() {
    let input = chunked + "1;abc\r\nx\r\n1;abc\r\ny\r\n0\r\n\r\n"
    #expect(events(input) { $0.maximumChunkExtensionBytes = 8 } == ["POST / @h chunked", "body xy", "end"])
    #expect(
      events(input) { $0.maximumChunkExtensionBytes = 7 }
        == ["POST / @h chunked", "body x", "! chunk_extensions_too_large"])
    #expect(
      events(input + input) { $0.maximumChunkExtensionBytes = 8 }.last == "end", "the next message starts anew")
  }

  @Test("a trailer section of exactly the limit passes and one byte more answers 431")
  func trailerBytes() {
    let input = chunked + "0\r\nA: b\r\n\r\n"
    #expect(events(input) { $0.maximumTrailerBytes = 8 } == ["POST / @h chunked", "trailers A=b", "end"])
    #expect(events(input) { $0.maximumTrailerBytes = 7 } == ["POST / @h chunked", "! trailers_too_large"])
  }

  @Test("trailer fields are counted")
  func trailerCount() {
    let input = chunked + "0\r\nA: b\r\nC: d\r\nE: f\r\n\r\n"
    #expect(events(input) { $0.maximumFields = 2 } == ["POST / @h chunked", "! too_many_trailer_fields"])
  }

  @Test("interim responses before one final response are bounded")
  func interimResponses() {
    let interim = "HTTP/1.1 100 Continue\r\n\r\n"
    let final = "HTTP/1.1 204 No Content\r\n\r\n"
    #expect(
      events(interim + interim + final + interim + final, role: .response) { $0.maximumInformationalResponses = 2 }
        == ["100 informational", "100 informational", "204 none", "end", "100 informational", "204 none", "end"])
    #expect(
      events(interim + interim, role: .response) { $0.maximumInformationalResponses = 1 }
        == ["100 informational", "! too_many_informational_responses"])
  }

  @Test("a head of 60 KiB that arrives byte by byte is looked at about once")
  func slowHeadIsLinear() {
    var input = host
    for i in 0..<90 { input += "X-\(i): " + String(repeating: "v", count: 640) + "\r\n" }
    let bytes = Array((input + "\r\n").utf8)
    #expect(bytes.count > 58_000)
    let slow = HTTP1Trace(bytes, role: .request, cuts: 0..<bytes.count)
    #expect(slow.events == ["GET / @h none", "end"])
    #expect(slow.decoder.bytesExamined < 3 * bytes.count)
  }
}
