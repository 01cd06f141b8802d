import MeshCore
import MeshHTTP
import Testing

@Suite struct HTTP1DecoderTests {
  private func trace(_ vector: HTTP1Vector, cuts: some Collection<Int>) -> HTTP1Trace {
    HTTP1Trace(
      vector.bytes, role: vector.role, requestMethod: vector.requestMethod, closes: vector.closes, cuts: cuts)
  }

  @Test("a message gives its events", arguments: HTTP1Vectors.all)
  func whole(_ vector: HTTP1Vector) {
    #expect(trace(vector, cuts: []).events == vector.events)
  }

  @Test("a message split in two at any byte gives the same events", arguments: HTTP1Vectors.all)
  func split(_ vector: HTTP1Vector) {
    let whole = trace(vector, cuts: [])
    for cut in 0...vector.bytes.count { #expect(trace(vector, cuts: [cut]) == whole, "cut at \(cut)") }
  }

  @Test("a message that arrives byte by byte gives the same events", arguments: HTTP1Vectors.all)
  func byteByByte(_ vector: HTTP1Vector) {
    #expect(trace(vector, cuts: 0..<vector.bytes.count) == trace(vector, cuts: []))
  }

  @Test("every error has a status, a sentence and a counter of its own")
  func errorsAreDistinct() {
    let counters = Set(HTTP1Error.allCases.map { "\($0.counter)" })
    #expect(counters.count == HTTP1Error.allCases.count)
    for error in HTTP1Error.allCases {
      #expect([400, 414, 431, 501, 505].contains(error.status))
      #expect("\(error.reason)".hasSuffix("."))
    }
    #expect(HTTP1Error.unknownTransferCoding.status == 501)
    #expect(HTTP1Error.requestLineTooLong.status == 414)
    #expect(HTTP1Error.headTooLarge.status == 431)
    #expect(HTTP1Error.unsupportedVersion.status == 505)
  }

  @Test("field names keep their letter case and values lose the white space around them")
  func fieldsAreKept() {
    let trace = HTTP1Trace(
      Array("GET / HTTP/1.1\r\nHost: h\r\nX-MiXed:  a b\t\r\nx-mixed: c\r\n\r\n".utf8), role: .request)
    #expect(trace.details == ["Host=h", "X-MiXed=a b", "x-mixed=c"])
  }

  @Test("a Host field beside an absolute target is gone")
  func absoluteFormReplacesHost() {
    let trace = HTTP1Trace(Array("GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n".utf8), role: .request)
    #expect(trace.details.isEmpty)
  }

  @Test("the decoder is idle only between messages")
  func idleness() {
    let cases: [(String, Bool)] = [
      ("", true), ("\r", false), ("\r\n", true), ("G", false), ("GET / HTTP/1.1\r\nHost: h\r\n", false),
      ("GET / HTTP/1.1\r\nHost: h\r\n\r\n", true),
      ("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nx", false),
    ]
    for (input, isIdle) in cases {
      #expect(HTTP1Trace(Array(input.utf8), role: .request).decoder.isIdle == isIdle, "after \(input.debugDescription)")
    }
  }

  @Test("closing between messages cuts nothing off")
  func endBetweenMessages() {
    let input = Array("GET / HTTP/1.1\r\nHost: h\r\n\r\n".utf8)
    #expect(HTTP1Trace(input, role: .request, closes: true).events == ["GET / @h none", "end"])
    #expect(HTTP1Trace([], role: .response, closes: true).events == [])
  }

  @Test("closing after an interim response is a truncation")
  func endAfterInterim() {
    let trace = HTTP1Trace(Array("HTTP/1.1 100 Continue\r\n\r\n".utf8), role: .response, closes: true)
    #expect(trace.events == ["100 informational", "! truncated_message"])
  }

  @Test("the bytes after an accepted CONNECT pass through untouched")
  func tunnel() {
    var decoder = HTTP1Decoder(role: .request)
    let head = MessageHead()
    let bytes = Array("GET evil\r\n".utf8)
    decoder.becomeTunnel()
    bytes.withUnsafeBytes { input in
      let (event, consumed) = decoder.next(input, head: head, trailers: head)
      guard case .body(let body) = event else {
        Issue.record("not content: \(event)")
        return
      }
      #expect(body.count == bytes.count)
      #expect(consumed == bytes.count)
    }
    guard case .end = decoder.endOfInput() else {
      Issue.record("a closed tunnel must end")
      return
    }
  }

  @Test("an empty input leaves the last message's head alone")
  func emptyInputKeepsHead() {
    var decoder = HTTP1Decoder(role: .request)
    let head = MessageHead()
    let bytes = Array("GET /kept HTTP/1.1\r\nHost: h\r\n\r\n".utf8)
    bytes.withUnsafeBytes { _ = decoder.next($0, head: head, trailers: head) }
    for _ in 0..<3 { _ = decoder.next(UnsafeRawBufferPointer(start: nil, count: 0), head: head, trailers: head) }
    #expect(head.bytes(head.path).string == "/kept")
  }
}
