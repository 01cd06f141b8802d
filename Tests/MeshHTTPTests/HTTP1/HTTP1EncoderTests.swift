import MeshCore
import MeshHTTP
import Testing

@Suite struct HTTP1EncoderTests {
  /// A head read from text by the decoder.
  private func decoded(
    _ text: String, role: HTTP1Decoder.Role = .request, method: Method = .get
  ) -> (MessageHead, HTTP1Head) {
    var decoder = HTTP1Decoder(role: role)
    decoder.expectResponse(to: method)
    let head = MessageHead()
    let bytes = Array(text.utf8)
    let event = bytes.withUnsafeBytes { decoder.next($0, head: head, trailers: MessageHead()).event }
    guard case .head(let result) = event else {
      Issue.record("no head in \(text.debugDescription): \(event)")
      return (head, HTTP1Head())
    }
    return (head, result)
  }

  private func requestText(
    _ text: String, framing: BodyFraming? = nil, keepAlive: Bool = true, upgrade: Bool = false,
    form: HTTP1Encoder.Form = .origin
  ) -> String {
    let (head, result) = decoded(text)
    let queue = ByteQueue(pool: BlockPool())
    HTTP1Encoder.request(
      head, framing: framing ?? result.framing, keepAlive: keepAlive, upgrade: upgrade, form: form, into: queue)
    return queue.readable.string
  }

  private func responseText(
    _ text: String, framing: BodyFraming? = nil, version: MessageHead.Version = .http11, keepAlive: Bool = true,
    upgrade: Bool = false, to method: Method = .get
  ) -> String {
    let queue = ByteQueue(pool: BlockPool())
    let head: MessageHead
    var decodedFraming = BodyFraming.none
    if text.hasPrefix("HTTP/1.1 1"), !text.hasPrefix("HTTP/1.1 101") {
      head = MessageHead()
      head.status = 103
      head.append(name: "Link", value: "</a>")
    } else {
      let (read, result) = decoded(text, role: .response, method: method)
      head = read
      decodedFraming = result.framing
    }
    HTTP1Encoder.response(
      head, framing: framing ?? decodedFraming, version: version, keepAlive: keepAlive, upgrade: upgrade,
      requestMethod: method, into: queue)
    return queue.readable.string
  }

  @Test("a request keeps the order and letter case of its fields and starts with Host")
  func requestOrder() {
    #expect(
      requestText("GET /x?y HTTP/1.1\r\nB: 2\r\nhost: a:1\r\nx-lower: 1\r\nA: 1\r\n\r\n")
        == "GET /x?y HTTP/1.1\r\nHost: a:1\r\nB: 2\r\nx-lower: 1\r\nA: 1\r\n\r\n")
  }

  @Test("framing and connection fields of the head are replaced by the arguments")
  func requestFraming() {
    let input = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nConnection: close\r\nKeep-Alive: 5\r\n\r\n"
    #expect(requestText(input) == "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n")
    #expect(
      requestText(input, framing: .chunked, keepAlive: false)
        == "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n")
    #expect(requestText(input, framing: BodyFraming.none) == "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n")
  }

  @Test("fields that Connection names stay behind, but not those of the mesh")
  func nominatedFields() {
    #expect(
      requestText(
        "GET / HTTP/1.1\r\nHost: h\r\nConnection: x-one, X-Forwarded-Client-Cert, Host\r\nX-One: 1\r\nX-Two: 2\r\n"
          + "X-Forwarded-Client-Cert: id\r\n\r\n")
        == "GET / HTTP/1.1\r\nHost: h\r\nX-Two: 2\r\nX-Forwarded-Client-Cert: id\r\n\r\n")
  }

  @Test("an upgrade is passed on only when asked")
  func upgrade() {
    let input = "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
    #expect(requestText(input) == "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    #expect(
      requestText(input, upgrade: true)
        == "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n")
    #expect(
      responseText("HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n", upgrade: true)
        == "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n")
  }

  @Test("TE is reduced to trailers and named in Connection")
  func trailersTE() {
    #expect(
      requestText("GET / HTTP/1.1\r\nHost: h\r\nTE: gzip, trailers\r\nConnection: TE\r\n\r\n")
        == "GET / HTTP/1.1\r\nHost: h\r\nTE: trailers\r\nConnection: TE\r\n\r\n")
    #expect(requestText("GET / HTTP/1.1\r\nHost: h\r\nTE: gzip\r\n\r\n") == "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
  }

  @Test("every target form is written")
  func targetForms() {
    let input = "GET http://a:8/p HTTP/1.1\r\nHost: b\r\n\r\n"
    #expect(requestText(input) == "GET /p HTTP/1.1\r\nHost: a:8\r\n\r\n")
    #expect(requestText(input, form: .absolute) == "GET http://a:8/p HTTP/1.1\r\nHost: a:8\r\n\r\n")
    #expect(
      requestText("CONNECT a:8 HTTP/1.1\r\nHost: a:8\r\n\r\n", form: .authority)
        == "CONNECT a:8 HTTP/1.1\r\nHost: a:8\r\n\r\n")
    #expect(requestText("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n") == "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n")
    #expect(
      requestText("OPTIONS http://h HTTP/1.1\r\nHost: h\r\n\r\n", form: .absolute)
        == "OPTIONS http://h HTTP/1.1\r\nHost: h\r\n\r\n")
    #expect(requestText("PURGE / HTTP/1.0\r\n\r\n") == "PURGE / HTTP/1.1\r\nHost: \r\n\r\n")
  }

  @Test("a response gets the registered reason phrase and its framing")
  func responseFraming() {
    let input = "HTTP/1.1 200 Whatever\r\nX: y\r\nContent-Length: 5\r\n\r\n"
    #expect(responseText(input) == "HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 5\r\n\r\n")
    #expect(responseText(input, framing: .chunked) == "HTTP/1.1 200 OK\r\nX: y\r\nTransfer-Encoding: chunked\r\n\r\n")
    #expect(responseText(input, framing: BodyFraming.none) == "HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 0\r\n\r\n")
    #expect(responseText(input, framing: .untilClose) == "HTTP/1.1 200 OK\r\nX: y\r\nConnection: close\r\n\r\n")
    #expect(responseText("HTTP/1.1 299 x\r\nContent-Length: 0\r\n\r\n") == "HTTP/1.1 299 \r\nContent-Length: 0\r\n\r\n")
  }

  @Test("HTTP/1.0 gets neither chunks nor interim responses, and its keep-alive is confirmed")
  func http10Client() {
    let input = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
    #expect(responseText(input, framing: .chunked, version: .http10) == "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
    #expect(
      responseText(input, version: .http10) == "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\n")
    #expect(responseText("HTTP/1.1 103 x\r\n\r\n", version: .http10) == "")
  }

  @Test("responses without content carry no framing of their own")
  func noContent() {
    #expect(
      responseText("HTTP/1.1 200 x\r\nContent-Length: 7\r\n\r\n", to: .head)
        == "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n")
    #expect(
      responseText("HTTP/1.1 200 x\r\nTransfer-Encoding: chunked\r\n\r\n", to: .head) == "HTTP/1.1 200 OK\r\n\r\n")
    #expect(
      responseText("HTTP/1.1 304 x\r\nContent-Length: 7\r\n\r\n")
        == "HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n")
    #expect(responseText("HTTP/1.1 204 x\r\nContent-Length: 7\r\n\r\n") == "HTTP/1.1 204 No Content\r\n\r\n")
    #expect(responseText("HTTP/1.1 200 x\r\nContent-Length: 7\r\n\r\n", to: .connect) == "HTTP/1.1 200 OK\r\n\r\n")
    #expect(responseText("HTTP/1.1 103 x\r\n\r\n") == "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
  }

  @Test(
    "chunks carry their size in hexadecimal and an empty one is not written", arguments: [0, 1, 15, 16, 8000, 65536])
  func chunks(size: Int) {
    let queue = ByteQueue(pool: BlockPool())
    let content = [UInt8](repeating: 0x61, count: size)
    content.withUnsafeBytes { HTTP1Encoder.chunk($0, into: queue) }
    let hex = String(size, radix: 16, uppercase: true)
    #expect(
      queue.readable.string == (size == 0 ? "" : hex + "\r\n" + String(decoding: content, as: UTF8.self) + "\r\n"))
  }

  @Test("the last chunk leaves out trailers that would frame or route")
  func lastChunk() {
    let queue = ByteQueue(pool: BlockPool())
    let trailers = MessageHead()
    trailers.append(name: "Grpc-Status", value: "0")
    trailers.append(name: "Content-Length", value: "9")
    trailers.append(name: "Transfer-Encoding", value: "chunked")
    HTTP1Encoder.lastChunk(trailers: trailers, into: queue)
    HTTP1Encoder.lastChunk(trailers: nil, into: queue)
    #expect(queue.readable.string == "0\r\nGrpc-Status: 0\r\n\r\n0\r\n\r\n")
  }

  @Test("what the encoder writes for a request reads back the same", arguments: HTTP1Vectors.goodRequests)
  func roundTrip(_ vector: HTTP1Vector) {
    let original = HTTP1Trace(vector.bytes, role: .request)
    let queue = ByteQueue(pool: BlockPool())
    reencode(vector.bytes, into: queue)
    let again = HTTP1Trace(Array(queue.readable), role: .request)
    let meaningful: (String) -> Bool = { !$0.hasPrefix("GET") && !$0.contains(" @") }
    #expect(again.events.filter(meaningful) == original.events.filter(meaningful))
    #expect(again.events.count == original.events.count)
    // A second pass changes nothing more.
    let third = ByteQueue(pool: BlockPool())
    reencode(Array(queue.readable), into: third)
    #expect(third.readable.string == queue.readable.string)
  }

  private func reencode(_ bytes: [UInt8], into queue: ByteQueue) {
    var decoder = HTTP1Decoder(role: .request)
    let (head, trailers) = (MessageHead(), MessageHead())
    var framing = BodyFraming.none
    var hasTrailers = false
    bytes.withUnsafeBytes { input in
      var offset = 0
      while true {
        let (event, consumed) = decoder.next(.init(rebasing: input[offset...]), head: head, trailers: trailers)
        offset += consumed
        switch event {
        case .head(let result):
          framing = result.framing
          hasTrailers = false
          HTTP1Encoder.request(
            head, framing: framing, keepAlive: result.keepAlive, upgrade: result.isUpgrade,
            form: head.method == .connect ? .authority : head.scheme.isEmpty ? .origin : .absolute, into: queue)
        case .body(let content):
          if framing == .chunked { HTTP1Encoder.chunk(content, into: queue) } else { queue.append(content) }
        case .trailers: hasTrailers = true
        case .end:
          if framing == .chunked { HTTP1Encoder.lastChunk(trailers: hasTrailers ? trailers : nil, into: queue) }
        case .informational, .needMore, .failure: return
        }
      }
    }
  }
}

@Suite struct HopByHopTests {
  private func head(_ fields: KeyValuePairs<String, String>) -> MessageHead {
    let head = MessageHead()
    for (name, value) in fields { head.append(name: name, value: value) }
    return head
  }

  @Test("connection-specific and nominated fields go, the rest stays")
  func removal() {
    let head = head([
      "Connection": "close, X-Secret", "Keep-Alive": "1", "Proxy-Connection": "x", "TE": "trailers", "Upgrade": "a",
      "X-Secret": "s", "x-secret": "t", "X-Kept": "k", "Content-Length": "1", "Transfer-Encoding": "chunked",
    ])
    head.removeHopByHopFields(keepingTrailersTE: false)
    #expect(HTTP1Trace.lines(head) == ["X-Kept=k", "Content-Length=1"])
  }

  @Test("TE: trailers survives alone, and Upgrade when asked")
  func kept() {
    let head = head(["TE": "deflate, Trailers", "Connection": "te, upgrade", "Upgrade": "websocket"])
    head.removeHopByHopFields(keepingTrailersTE: true, keepingUpgrade: true)
    #expect(HTTP1Trace.lines(head) == ["Upgrade=websocket", "te=trailers"])
  }

  @Test("a field added after the removal cannot be nominated away")
  func nominationIsOver() {
    let head = head(["Connection": "x-late"])
    head.removeHopByHopFields(keepingTrailersTE: false)
    head.append(name: "x-late", value: "1")
    head.removeHopByHopFields(keepingTrailersTE: false)
    #expect(HTTP1Trace.lines(head) == ["x-late=1"])
  }
}
