import MeshCore
import MeshHTTP
import MeshPolicy
import MeshRuntime
import Synchronization
import Testing

@testable import MeshProxy

/// Repeats that a rule asks for.
@Suite("Retries of a rule")
struct RetryTests {
  private static let get = "GET / HTTP/1.1\r\nHost: orders\r\n\r\n"
  private static let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
  private static let unavailable = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy"

  /// Requests in the order they came, on any connection.
  private final class Record: Sendable {
    private let messages = Mutex<[Message]>([])
    func add(_ message: Message) -> Int {
      messages.withLock {
        $0.append(message)
        return $0.count
      }
    }
    var all: [Message] { messages.withLock { $0 } }
  }

  /// Answers what `answer` says of each request's number, from 1.
  private static func backend(_ record: Record, _ answer: @escaping @Sendable (Int) -> String) -> Backend {
    Backend { peer, _ in
      while true {
        let message = try peer.message()
        let text = answer(record.add(message))
        if text.isEmpty { return peer.reset() }
        try peer.send(text)
      }
    }
  }

  private static func rule(_ attempts: UInt32, _ codes: [UInt16] = [503], backoff: Int64 = 1) -> RouteRule {
    .toOrders(retry: RetryPolicy(attempts: attempts, statusCodes: codes, backoff: .milliseconds(backoff)))
  }

  @Test("a listed status is dropped and the request, body and all, goes out again")
  func status() throws {
    let record = Record()
    let backend = Self.backend(record) { $0 < 3 ? Self.unavailable : Self.ok }
    let proxy = try TestProxy.serving([backend.address], rules: [Self.rule(2)])
    let client = try proxy.connect()
    let answer = try client.exchange("POST /a HTTP/1.1\r\nHost: orders\r\nContent-Length: 5\r\n\r\nhello")
    #expect(answer.text == "ok")
    #expect(record.all.map(\.text) == ["hello", "hello", "hello"])
    #expect(Set(record.all.map(\.head)).count == 1)
    #expect(try client.exchange(Self.get).text == "ok")
    #expect(try proxy.count("retries_total", "reason=\"status\"", "dst_service=\"orders\"") == 2)
    #expect(try proxy.count("response_total", "status_code=\"200\"", "response_flag=\"-\"") == 2)
    #expect(try proxy.onLoop { $0.bufferBudget.held } == 0)
  }

  @Test("when the repeats are used up the last answer is the client's, with the flag URX")
  func exhausted() throws {
    let record = Record()
    let backend = Self.backend(record) { _ in Self.unavailable }
    let proxy = try TestProxy.serving([backend.address], rules: [Self.rule(2)])
    let client = try proxy.connect()
    let answer = try client.exchange(Self.get)
    #expect(answer.status == 503)
    #expect(answer.text == "busy")
    #expect(record.all.count == 3)
    #expect(try proxy.count("response_total", "status_code=\"503\"", "response_flag=\"URX\"") == 1)
    #expect(try client.exchange(Self.get).text == "busy")
  }

  @Test("a status that is not listed is not repeated")
  func otherStatus() throws {
    let record = Record()
    let backend = Self.backend(record) { _ in Self.unavailable }
    let proxy = try TestProxy.serving([backend.address], rules: [Self.rule(2, [500])])
    #expect(try proxy.connect().exchange(Self.get).text == "busy")
    #expect(record.all.count == 1)
  }

  @Test("a connection that ends before the answer is repeated, whatever the method, even without listed statuses")
  func reset() throws {
    let record = Record()
    let backend = Self.backend(record) { $0 == 1 ? "" : Self.ok }
    let proxy = try TestProxy.serving([backend.address], rules: [Self.rule(1, [])])
    let answer = try proxy.connect().exchange("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi")
    #expect(answer.text == "ok")
    #expect(record.all.map(\.text) == ["hi", "hi"])
    #expect(try proxy.count("retries_total", "reason=\"connection_closed\"") == 1)
  }

  @Test("a stream that is reset before the answer is repeated")
  func resetStream() throws {
    let backend = Backend { peer, _ in
      let server = try HTTP2Peer(peer, role: .server)
      let first = try server.nextRequest(after: 0)
      server.engine.sendReset(first, .internalError)
      try server.flush()
      let second = try server.nextRequest(after: first.rawValue)
      while !server.stream(second).isEnded { try server.step() }
      server.engine.sendHead(HTTP2Peer.answer(200), on: second, endStream: false)
      try server.send(server.stream(second).body, on: second)
      while true { try server.step() }
    }
    let proxy = try TestProxy.serving([backend.address], rules: [Self.rule(1)], appProtocol: .http2)
    let client = try HTTP2Peer(proxy.connect())
    let stream = try client.request(.post, "/", [], body: Array("hello".utf8))
    let answer = try client.finish(stream)
    #expect(answer.status == 200)
    #expect(String(decoding: answer.body, as: UTF8.self) == "hello")
    #expect(try proxy.count("retries_total", "reason=\"reset\"") == 1)
  }

  @Test("an upload that is answered early goes out again whole, chunks, trailers and what still comes")
  func upload() throws {
    let (record, early) = (Record(), Signal())
    let backend = Backend { peer, number in
      if number == 0 {
        _ = try peer.readThrough("one")
        try peer.send(Self.unavailable)
        early.raise()
        while !peer.isCut() {}
        return
      }
      _ = record.add(try peer.message())
      try peer.send(Self.ok)
    }
    let proxy = try TestProxy.serving([backend.address], rules: [Self.rule(1)])
    let client = try proxy.connect()
    try client.send(
      "POST / HTTP/1.1\r\nHost: h\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
    #expect(early.wait())
    #expect(try proxy.becomes { $0.counters.retries == 1 })
    try client.send("3\r\ntwo\r\n0\r\nx-sum: 6\r\n\r\n")
    #expect(try client.message().text == "ok")
    #expect(record.all.map(\.text) == ["onetwo"])
    #expect(record.all.first?.trailers.lowercased() == "x-sum: 6")
  }

  @Test("a body longer than what is kept is not sent again")
  func tooLong() throws {
    let record = Record()
    let backend = Self.backend(record) { _ in Self.unavailable }
    let proxy = try TestProxy.serving(
      [backend.address], rules: [Self.rule(3)], limits: .with { $0.maximumReplayBytes = 10 })
    let client = try proxy.connect()
    let answer = try client.exchange("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\n\r\nhello world")
    #expect(answer.text == "busy")
    #expect(record.all.count == 1)
    #expect(try proxy.count("limit_hits_total", "replay_bytes") == 1)
    #expect(try client.exchange("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhelloworld").text == "busy")
    #expect(record.all.count == 5)
  }

  @Test("kept bodies go first when the worker holds too much, and no request fails for it")
  func budgetOfBytes() throws {
    let record = Record()
    let backend = Self.backend(record) { _ in Self.unavailable }
    let proxy = try TestProxy.serving(
      [backend.address], rules: [Self.rule(3)], limits: .with { $0.maximumBufferedBytes = 6_000 })
    let body = String(repeating: "a", count: 4_000)
    let answer = try proxy.connect().exchange("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4000\r\n\r\n\(body)")
    #expect(answer.text == "busy")
    #expect(record.all.count == 1)
    #expect(try proxy.onLoop { $0.bufferBudget.held } == 0)
  }

  @Test("another endpoint is tried first")
  func elsewhere() throws {
    let record = Record()
    let (bad, good) = (Self.backend(record) { _ in Self.unavailable }, Backend.named("good"))
    let proxy = try TestProxy.serving([bad.address, good.address], rules: [Self.rule(1)])
    let client = try proxy.connect()
    for _ in 0..<20 { #expect(try client.exchange(Self.get).text == "good") }
    #expect(!record.all.isEmpty)
    #expect(good.connections > 0)
  }

  @Test("a repeat waits for the backoff, and does not begin when the request's time would be over")
  func backoff() throws {
    let record = Record()
    let backend = Self.backend(record) { $0 % 2 == 1 ? Self.unavailable : Self.ok }
    var rule = Self.rule(1, backoff: 100)
    let proxy = try TestProxy.serving([backend.address], rules: [rule])
    let client = try proxy.connect()
    let start = try proxy.onLoop { $0.loop.now }
    #expect(try client.exchange(Self.get).text == "ok")
    #expect(try proxy.onLoop { $0.loop.now } - start >= .milliseconds(100))
    rule = Self.rule(1, backoff: 60_000)
    rule.timeouts.request = .seconds(9)
    proxy.configure([backend.address], rules: [rule])
    #expect(try client.exchange(Self.get).text == "busy")
    #expect(record.all.count == 3)
  }

  @Test("a client that leaves during the wait ends the request")
  func clientLeaves() throws {
    let record = Record()
    let backend = Self.backend(record) { _ in Self.unavailable }
    let proxy = try TestProxy.serving([backend.address], rules: [Self.rule(1, backoff: 60_000)])
    let client = try proxy.connect()
    try client.send(Self.get)
    #expect(try proxy.becomes { $0.counters.retries == 1 })
    client.reset()
    #expect(try proxy.becomes { $0.exchangeCount == 0 })
    #expect(record.all.count == 1)
    #expect(try proxy.count("response_total", "response_flag=\"DC\"") == 1)
  }

  @Test(
    "content and trailers are repeated, and rewritten once, in every version and over the hop", arguments: Pairing.all)
  func pairings(_ pairing: Pairing) throws {
    var rule = Self.rule(1)
    rule.filters = [.rewrite(URLRewrite(path: .prefix(matched: "/", replacement: "/v1")))]
    let count = Count()
    try pairing.run(rules: [rule]) { application in
      while true {
        let (request, content) = (try application.request(), try application.content())
        let text = "\(request.start) \(content.body) \(content.trailers.lowercased())"
        try application.answer(count.next() == 0 ? 503 : 200, body: text, trailers: [("x-end", "1")])
      }
    } client: { (client) throws in
      try client.sendHead(.post, "/a?q", [("te", "trailers")], ends: false)
      try client.sendBody("abc", trailers: [("x-sum", "6")])
      let answer = try client.receive()
      #expect(answer.status == 200)
      #expect(answer.body == "POST /v1/a?q abc x-sum: 6")
      #expect(answer.trailers.lowercased() == "x-end: 1")
    }
    #expect(count.value == 2)
  }

  // MARK: - Which endpoints

  @Test("every endpoint is tried once before any is tried again", arguments: BalancingPolicy.Algorithm.allCases)
  func everyEndpoint(_ algorithm: BalancingPolicy.Algorithm) throws {
    let records = (0..<4).map { _ in Record() }
    let backends = records.map { record in Self.backend(record) { _ in Self.unavailable } }
    defer { withExtendedLifetime(backends) {} }
    var outliers = OutlierPolicy()
    outliers.isEnabled = false
    let policy = BackendPolicy(
      balancing: BalancingPolicy(algorithm: algorithm, hashSource: .query("k")), outliers: outliers,
      retryBudget: .init(percent: 100, minimumPerSecond: 1_000))
    let proxy = try TestProxy.serving(backends.map(\.address), rules: [Self.rule(3)], policy: policy)
    let client = try proxy.connect()
    for i in 1...10 {
      #expect(try client.exchange("GET /?k=\(i) HTTP/1.1\r\nHost: orders\r\n\r\n").text == "busy")
      #expect(records.map(\.all.count) == [i, i, i, i])
    }
    // One attempt more than there are endpoints goes to one of them again, not to the one that failed last.
    proxy.configure(backends.map(\.address), rules: [Self.rule(4)], policy: policy)
    #expect(try client.exchange("GET /?k=0 HTTP/1.1\r\nHost: orders\r\n\r\n").text == "busy")
    #expect(records.map(\.all.count).sorted() == [11, 11, 11, 12])
  }

  // MARK: - Conditions

  @Test("only the failures that the rule names are repeated")
  func failures() throws {
    let record = Record()
    let backend = Self.backend(record) { _ in "" }
    let named = RetryPolicy(attempts: 2, statusCodes: [], failures: .timeout, backoff: .milliseconds(1))
    let proxy = try TestProxy.serving([backend.address], rules: [.toOrders(retry: named)])
    let post = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n"
    #expect(try proxy.connect().exchange(post).status == 503)
    #expect(record.all.count == 1)
    let other = RetryPolicy(attempts: 2, statusCodes: [], failures: .reset, backoff: .milliseconds(1))
    proxy.configure([backend.address], rules: [.toOrders(retry: other)])
    #expect(try proxy.connect().exchange(post).status == 503)
    #expect(record.all.count == 4)
  }

  @Test("an answer's Retry-After is waited for; one that asks for too long is the client's")
  func retryAfter() throws {
    let record = Record()
    let backend = Self.backend(record) { number in
      let after = number == 1 ? 1 : 120
      return number == 2
        ? Self.ok : "HTTP/1.1 503 Busy\r\nRetry-After: \(after)\r\nContent-Length: 4\r\n\r\nbusy"
    }
    let proxy = try TestProxy.serving([backend.address], rules: [Self.rule(1)])
    let client = try proxy.connect()
    let start = try proxy.onLoop { $0.loop.now }
    #expect(try client.exchange(Self.get).text == "ok")
    #expect(try proxy.onLoop { $0.loop.now } - start >= .seconds(1))
    let late = try client.exchange(Self.get)
    #expect(late.text == "busy")
    #expect(late.value("retry-after") == "120")
    #expect(record.all.count == 3)
    #expect(try proxy.onLoop { $0.bufferBudget.held } == 0)
  }

  @Test("a call of gRPC is repeated by its status, not once a message has come")
  func calls() throws {
    let count = Count()
    let backend = Backend { peer, _ in
      let server = try HTTP2Peer(peer, role: .server)
      var stream = try server.nextRequest(after: 0)
      while true {
        while !server.stream(stream).isEnded { try server.step() }
        let number = count.next()
        let fields = [("content-type", "application/grpc")]
        switch number {
        case 0, 2:
          // Trailers alone.
          server.engine.sendHead(
            HTTP2Peer.answer(200, fields + [("grpc-status", "14")]), on: stream, endStream: true)
          try server.flush()
        case 1: try Self.finishCall(server, stream, fields, status: "0")
        default: try Self.finishCall(server, stream, fields, status: "14")
        }
        stream = try server.nextRequest(after: stream.rawValue)
      }
    }
    let retry = RetryPolicy(attempts: 1, statusCodes: [], grpcStatuses: [.unavailable], backoff: .milliseconds(1))
    let proxy = try TestProxy.serving([backend.address], rules: [.toOrders(retry: retry)], appProtocol: .grpc)
    let client = try HTTP2Peer(proxy.connect())
    func call() throws -> String {
      let request = try client.request(
        .post, "/a.B/C", [("content-type", "application/grpc"), ("te", "trailers")], body: [0, 0, 0, 0, 0])
      let answer = try client.finish(request)
      let last = answer.trailers.split(separator: "\n").first { $0.hasPrefix("grpc-status: ") }
      return last.map { String($0.dropFirst(13)) } ?? answer.head.value("grpc-status") ?? ""
    }
    #expect(try call() == "0")
    #expect(try call() == "14")
    #expect(count.value == 4)
    #expect(try proxy.count("retries_total", "reason=\"grpc_status\"") == 2)
  }

  private static func finishCall(
    _ server: HTTP2Peer, _ stream: HTTP2StreamID, _ fields: [(String, String)], status: String
  ) throws {
    server.engine.sendHead(HTTP2Peer.answer(200, fields), on: stream, endStream: false)
    try server.send([0, 0, 0, 0, 0], on: stream, endStream: false)
    let trailers = MessageHead()
    trailers.append(name: "grpc-status", value: status)
    server.engine.sendTrailers(trailers, on: stream)
    try server.flush()
  }

  // MARK: - Budget

  @Test("a storm of failures adds no more requests than the budget gives")
  func storm() throws {
    let record = Record()
    let backend = Self.backend(record) { _ in Self.unavailable }
    let policy = BackendPolicy(retryBudget: .init(percent: 20, minimumPerSecond: 0))
    let proxy = try TestProxy.serving([backend.address], rules: [Self.rule(3)], policy: policy)
    let client = try proxy.connect()
    for _ in 0..<100 { #expect(try client.exchange(Self.get).text == "busy") }
    #expect(record.all.count == 120)
    #expect(try proxy.count("retries_total", "reason=\"status\"") == 20)
    #expect(try proxy.count("retry_overflow_total", "backend=\"orders\"", "dst_namespace=\"shop\"") > 0)
  }

  @Test("repeats that are safe without a rule take from the budget, too")
  func safeRepeats() throws {
    let (nobody, backend) = (ReservedPort(), Backend.named("b"))
    let policy = BackendPolicy(retryBudget: .init(percent: 0, minimumPerSecond: 0))
    let proxy = try TestProxy.serving([nobody.address, backend.address], policy: policy)
    var failures = 0
    for _ in 0..<20 where try proxy.connect().exchange(Self.get).status == 503 { failures += 1 }
    #expect(failures > 0)
    #expect(try proxy.count("retries_total") == 0)
    #expect(try proxy.count("retry_overflow_total", "backend=\"orders\"") == failures)
  }
}
