import MeshCore
import MeshHTTP
import MeshPolicy
import MeshRuntime
import Synchronization
import Testing

@testable import MeshProxy

/// What rules and ports say of the content of requests.
@Suite("Content of requests in the proxy")
struct RequestContentTests {
  // Listeners close with their objects, which optimized code lets go after their last use: hence each `withExtendedLifetime`.

  private static let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

  private static func proxy(
    _ backend: Backend, _ body: RequestBodyPolicy, retry: RetryPolicy? = nil, appProtocol: AppProtocol = .http
  ) throws -> TestProxy {
    var rule = RouteRule.toOrders(retry: retry)
    rule.requestBody = body
    return try TestProxy.serving([backend.address], rules: [rule], appProtocol: appProtocol)
  }

  private static func post(_ body: String, _ fields: String = "") -> String {
    "POST / HTTP/1.1\r\nHost: orders.shop\r\nContent-Length: \(body.utf8.count)\r\n\(fields)\r\n\(body)"
  }

  // MARK: - Limits

  @Test("content past the limit is answered 413, by its length before an endpoint hears of it")
  func declared() throws {
    let backend = Backend.answering { "HTTP/1.1 200 OK\r\nContent-Length: \($0.text.utf8.count)\r\n\r\n\($0.text)" }
    defer { withExtendedLifetime(backend) {} }
    let proxy = try Self.proxy(backend, RequestBodyPolicy(maximumBytes: 5))
    let refused = try proxy.connect().exchange(Self.post("123456", "Expect: 100-continue\r\n"))
    #expect(refused.status == 413)
    #expect(refused.text.hasPrefix("content too large: "))
    #expect(refused.value("connection") == "close")
    #expect(backend.connections == 0)
    #expect(try proxy.connect().exchange(Self.post("12345")).text == "12345")
    #expect(try proxy.count("response_total", "response_flag=\"TL\"", "status_code=\"413\"") == 1)
  }

  @Test("content without a length is answered 413 once it is too long")
  func chunked() throws {
    let backend = Backend.answering { _ in Self.ok }
    defer { withExtendedLifetime(backend) {} }
    let proxy = try Self.proxy(backend, RequestBodyPolicy(maximumBytes: 5))
    let head = "POST / HTTP/1.1\r\nHost: orders\r\nTransfer-Encoding: chunked\r\n\r\n"
    #expect(try proxy.connect().exchange(head + "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n").status == 200)
    let client = try proxy.connect()
    #expect(try client.exchange(head + "3\r\nabc\r\n3\r\ndef\r\n").status == 413)
    #expect(client.isCut())
    #expect(try proxy.becomes { $0.exchangeCount == 0 && $0.bufferBudget.held == 0 })
  }

  @Test("over HTTP/2 only the stream ends, and its connection goes on")
  func http2() throws {
    let backend = Backend.answering { _ in Self.ok }
    defer { withExtendedLifetime(backend) {} }
    let proxy = try Self.proxy(backend, RequestBodyPolicy(maximumBytes: 100_000))
    let client = try HTTP2Peer(proxy.connect())
    for _ in 0..<3 {
      // More than the windows of several refused streams: what they are not credited, the next would lack.
      let stream = try client.request(.post, "/", [], endStream: false)
      try client.send([UInt8](repeating: 1, count: 60_000), on: stream, endStream: false)
      try client.send([UInt8](repeating: 1, count: 40_001), on: stream, endStream: false)
      #expect(try client.finish(stream).status == 413)
      let fits = try client.request(.post, "/", [], endStream: false)
      try client.send([UInt8](repeating: 1, count: 100_000), on: fits)
      #expect(try client.finish(fits).status == 200)
    }
    #expect(try proxy.count("response_total", "response_flag=\"TL\"", "status_code=\"413\"") == 3)
  }

  @Test("a gRPC call past the limit is RESOURCE_EXHAUSTED")
  func grpc() throws {
    let backend = Backend.http2(named: "orders")
    defer { withExtendedLifetime(backend) {} }
    let proxy = try Self.proxy(backend, RequestBodyPolicy(maximumBytes: 4), appProtocol: .grpc)
    let client = try HTTP2Peer(proxy.connect())
    let fields = [("content-type", "application/grpc"), ("te", "trailers")]
    let refused = try client.finish(client.request(.post, "/a/b", fields, body: [0, 0, 0, 0, 0]))
    #expect(refused.status == 200)
    #expect(refused.head.value("grpc-status") == "8")
    #expect(try client.finish(client.request(.post, "/a/b", fields, body: [0, 0, 0, 0])).status == 200)
  }

  @Test("an answer that has begun is broken off when the request turns out too long")
  func answered() throws {
    let backend = Backend { peer, _ in
      _ = try peer.readThrough("abc")
      try peer.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
      while !peer.isCut() {}
    }
    defer { withExtendedLifetime(backend) {} }
    let proxy = try Self.proxy(backend, RequestBodyPolicy(maximumBytes: 5))
    let client = try proxy.connect()
    try client.send("POST / HTTP/1.1\r\nHost: orders\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
    #expect(try client.readThrough("\r\n\r\nhalf").hasPrefix("HTTP/1.1 200"))
    try client.send("3\r\ndef\r\n")
    #expect(client.isCut())
    #expect(try proxy.becomes { $0.exchangeCount == 0 })
    #expect(try proxy.count("response_total", "response_flag=\"TL\"", "status_code=\"200\"") == 1)
  }

  @Test("an upgrade's bytes are no content")
  func upgrade() throws {
    let backend = Backend { peer, _ in
      _ = try peer.message()
      try peer.send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
      while true { try peer.send(peer.receive()) }
    }
    defer { withExtendedLifetime(backend) {} }
    let proxy = try Self.proxy(backend, RequestBodyPolicy(maximumBytes: 1, bufferBytes: 1))
    let client = try proxy.connect()
    try client.send("GET / HTTP/1.1\r\nHost: orders\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
    #expect(try client.message().status == 101)
    try client.send("0123456789")
    #expect(try client.readText(10) == "0123456789")
  }

  // MARK: - Holding

  @Test("a request is held until its content is whole; only then an endpoint hears of it")
  func holding() throws {
    let backend = Backend.answering { "HTTP/1.1 200 OK\r\nContent-Length: \($0.text.utf8.count)\r\n\r\n\($0.text)" }
    defer { withExtendedLifetime(backend) {} }
    let proxy = try Self.proxy(backend, RequestBodyPolicy(bufferBytes: 10))
    for (start, end) in [
      ("Content-Length: 9\r\n\r\nabc", "defghi"),
      ("Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", "6\r\ndefghi\r\n0\r\n\r\n"),
    ] {
      let before = backend.connections
      let client = try proxy.connect()
      try client.send("POST / HTTP/1.1\r\nHost: orders\r\n" + start)
      #expect(try proxy.becomes { $0.bufferBudget.held == 3 })
      #expect(backend.connections == before)
      try client.send(end)
      #expect(try client.message().text == "abcdefghi")
      #expect(try proxy.becomes { $0.bufferBudget.held == 0 })
      _ = try proxy.onLoop { $0.upstreams.closeIdle() }
    }
    #expect(try proxy.count("limit_hits_total", "limit=\"request_buffer_bytes\"") == 0)
  }

  @Test("far more than a window is held, over HTTP/1.1 and HTTP/2")
  func large() throws {
    let backend = Backend.answering { "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n\($0.body.count)" }
    defer { withExtendedLifetime(backend) {} }
    let proxy = try Self.proxy(backend, RequestBodyPolicy(bufferBytes: 1 << 20))
    let client = try proxy.connect()
    let body = [UInt8](repeating: 0x61, count: 900_000)
    try client.send("POST / HTTP/1.1\r\nHost: orders\r\nContent-Length: 900000\r\n\r\n")
    try client.send(Array(body.dropLast()))
    #expect(try proxy.becomes { $0.bufferBudget.held == 899_999 })
    #expect(backend.connections == 0)
    try client.send([0x61])
    #expect(try client.message().text == "900000")
    let modern = try HTTP2Peer(proxy.connect())
    for _ in 0..<3 {
      let stream = try modern.request(.post, "/", [], endStream: false)
      try modern.send(body, on: stream)
      #expect(String(decoding: try modern.finish(stream).body, as: UTF8.self) == "900000")
    }
    #expect(try proxy.becomes { $0.bufferBudget.held == 0 })
  }

  @Test("content that turns out too long to hold goes on as it comes, and is counted")
  func overflow() throws {
    let heard = Signal()
    let backend = Backend { peer, _ in
      _ = try peer.readThrough("abcdef")
      heard.raise()
      _ = try peer.readThrough("0\r\n\r\n")
      try peer.send(Self.ok)
    }
    defer { withExtendedLifetime(backend) {} }
    let proxy = try Self.proxy(backend, RequestBodyPolicy(bufferBytes: 5))
    let client = try proxy.connect()
    try client.send("POST / HTTP/1.1\r\nHost: orders\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nabcdef\r\n")
    #expect(heard.wait())
    try client.send("0\r\n\r\n")
    #expect(try client.message().text == "ok")
    #expect(try proxy.count("limit_hits_total", "limit=\"request_buffer_bytes\"") == 1)
  }

  @Test("a client that waits to be asked for its content is asked, and the application is not told of that")
  func expectation() throws {
    let seen = Mutex("")
    let backend = Backend.answering { message in
      seen.withLock { $0 = message.head }
      return Self.ok
    }
    defer { withExtendedLifetime(backend) {} }
    let proxy = try Self.proxy(backend, RequestBodyPolicy(bufferBytes: 10))
    let client = try proxy.connect()
    try client.send("POST / HTTP/1.1\r\nHost: orders\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
    #expect(try client.message().status == 100)
    try client.send("abc")
    #expect(try client.message().text == "ok")
    #expect(seen.withLock { $0.lowercased().contains("expect") } == false)
  }

  @Test("what is held can be sent again, however much of it there is")
  func retries() throws {
    let sizes = Mutex<[Int]>([])
    let backend = Backend.answering { message in
      let first = sizes.withLock { sizes in
        sizes.append(message.body.count)
        return sizes.count == 1
      }
      return first ? "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n" : Self.ok
    }
    defer { withExtendedLifetime(backend) {} }
    let retry = RetryPolicy(attempts: 1, statusCodes: [503], backoff: .milliseconds(1))
    let body = String(repeating: "a", count: 300_000)
    let held = try Self.proxy(backend, RequestBodyPolicy(bufferBytes: 300_000), retry: retry)
    #expect(try held.connect().exchange(Self.post(body)).text == "ok")
    #expect(sizes.withLock { $0 } == [300_000, 300_000])
    #expect(try held.becomes { $0.bufferBudget.held == 0 })
  }

  @Test("a client that leaves while its request is held leaves nothing behind")
  func departure() throws {
    let backend = Backend.answering { _ in Self.ok }
    defer { withExtendedLifetime(backend) {} }
    let proxy = try Self.proxy(backend, RequestBodyPolicy(bufferBytes: 10))
    let client = try proxy.connect()
    try client.send("POST / HTTP/1.1\r\nHost: orders\r\nContent-Length: 9\r\n\r\nabc")
    #expect(try proxy.becomes { $0.bufferBudget.held == 3 })
    client.reset()
    #expect(try proxy.becomes { $0.bufferBudget.held == 0 && $0.exchangeCount == 0 })
    #expect(backend.connections == 0)
  }

  @Test("the proxy of an endpoint limits and holds for callers in the mesh and outside")
  func inbound() throws {
    let backend = Backend.answering { "HTTP/1.1 200 OK\r\nContent-Length: \($0.text.utf8.count)\r\n\r\n\($0.text)" }
    defer { withExtendedLifetime(backend) {} }
    let pair = try MeshPair(to: backend, requestBody: RequestBodyPolicy(maximumBytes: 6, bufferBytes: 6))
    for client in [try pair.sender.connect(), try pair.receiver.connect(1)] {
      let before = backend.connections
      try client.send("POST / HTTP/1.1\r\nHost: orders.shop\r\nContent-Length: 6\r\n\r\nabc")
      #expect(try pair.receiver.becomes { $0.bufferBudget.held == 3 })
      #expect(backend.connections == before)
      try client.send("def")
      #expect(try client.message().text == "abcdef")
      #expect(try client.exchange(Self.post("1234567")).status == 413)
      _ = try pair.receiver.onLoop { $0.upstreams.closeIdle() }
    }
    // The client's proxy learns why.
    #expect(try pair.sender.count("response_total", "response_flag=\"TL\"", "status_code=\"413\"") == 1)
  }
}
