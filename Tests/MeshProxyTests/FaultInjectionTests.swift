import MeshCore
import MeshHTTP
import MeshPolicy
import MeshRuntime
import MeshTelemetry
import Testing

@testable import MeshProxy

/// What clients, metrics and the log see of faults injected on purpose.
@Suite("Injected faults")
struct FaultInjectionTests {
  private static let get = "GET / HTTP/1.1\r\nHost: orders\r\n\r\n"
  private static let name = "shop/f"

  private static func proxy(
    _ backend: Backend, _ faults: FaultPolicy..., timeouts: RouteTimeouts = RouteTimeouts(),
    retry: RetryPolicy? = nil, limits: ProxyLimits = ProxyLimits(), accessLog: AccessLogPolicy = .off,
    appProtocol: AppProtocol = .http
  ) throws -> TestProxy {
    var rule = RouteRule.toOrders(timeouts: timeouts, retry: retry)
    rule.faults = faults
    return try .serving(
      [backend.address], rules: [rule], limits: limits, accessLog: accessLog, appProtocol: appProtocol)
  }

  private static func expect(_ proxy: TestProxy, _ counts: [String: Int], served: Int = 0) throws {
    #expect(try proxy.becomes { $0.exchangeCount == 0 && $0.faultCount == 0 })
    for (kind, count) in counts {
      #expect(
        try proxy.count(
          "injected_faults_total", "fault_injection=\"\(name)\"", "fault=\"\(kind)\"", "dst_service=\"orders\"",
          "route_name=\"httproute/shop/orders#0\"") == count)
    }
    #expect(try proxy.count("injected_faults_total") == counts.values.reduce(0, +))
    for family in ["request_total", "response_total", "response_latency_ms_count"] {
      #expect(try proxy.count(family, "direction=\"outbound\"") == served)
    }
  }

  // MARK: - Abort and reset

  @Test("an abort answers in the backend's place, is not repeated, and counts neither as request nor as failure")
  func abort() throws {
    let backend = Backend.named("b")
    let retry = RetryPolicy(attempts: 3, statusCodes: [503])
    let proxy = try Self.proxy(
      backend, FaultPolicy(name: Self.name, abort: FaultAbort(status: 503)), retry: retry, accessLog: .all)
    let client = try proxy.connect()
    for _ in 0..<3 {
      let answer = try client.exchange(Self.get)
      #expect(answer.status == 503)
      #expect(answer.text.hasPrefix("fault injected: "))
    }
    let second = try HTTP2Peer(proxy.connect())
    #expect(try second.finish(second.request(.get, "/")).status == 503)
    #expect(backend.connections == 0)
    try Self.expect(proxy, ["abort": 4])
    #expect(try proxy.count("retries_total") == 0)
    #expect(try proxy.becomes { _ in proxy.log.lines.count == 4 })
    for line in proxy.log.lines {
      #expect(line.contains("\"status\":503,\"flag\":\"FI\",\"faults\":\"shop/f:abort\""))
    }
  }

  @Test("a gRPC call is aborted with a status in a head that ends the stream")
  func grpc() throws {
    let backend = Backend.http2(named: "b")
    for (abort, expected) in [
      (FaultAbort(status: 503), "14"), (FaultAbort(status: 404, grpcStatus: .resourceExhausted), "8"),
      (FaultAbort(grpcStatus: .aborted), "10"),
    ] {
      let proxy = try Self.proxy(backend, FaultPolicy(name: Self.name, abort: abort), appProtocol: .grpc)
      let client = try HTTP2Peer(proxy.connect())
      let call = try client.finish(client.request(.post, "/a/b", [("content-type", "application/grpc")]))
      #expect(call.status == 200)
      #expect(call.head.value("grpc-status") == expected)
      #expect(call.head.value("grpc-message")?.hasPrefix("fault injected") == true)
      #expect(call.body.isEmpty && call.trailers.isEmpty)
      // A request that is no call.
      let plain = try client.finish(client.request(.get, "/"))
      #expect(plain.status == abort.status.map(Int.init) ?? 200)
      try Self.expect(proxy, ["abort": abort.status == nil ? 1 : 2], served: abort.status == nil ? 1 : 0)
    }
  }

  @Test("a reset leaves without an answer, and only the stream where there are several")
  func reset() throws {
    let backend = Backend.named("b")
    let proxy = try Self.proxy(backend, FaultPolicy(name: Self.name, isReset: true))
    #expect(throws: SocketProblem.self) { try proxy.connect().exchange(Self.get) }
    let client = try HTTP2Peer(proxy.connect())
    for _ in 0..<2 {
      let stream = try client.request(.get, "/")
      while client.stream(stream).reset == nil { try client.step() }
      #expect(!client.stream(stream).hasHead)
    }
    #expect(backend.connections == 0)
    try Self.expect(proxy, ["reset": 3])
  }

  // MARK: - Delay

  @Test("a delay holds the request back, and no number tells of it but its own")
  func delay() throws {
    let backend = Backend.named("b")
    let proxy = try Self.proxy(
      backend, FaultPolicy(name: Self.name, delay: .fixed(.milliseconds(400))), accessLog: .all)
    let before = try proxy.onLoop { $0.loop.now }
    #expect(try proxy.connect().exchange("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi").text == "b")
    #expect(try proxy.onLoop { $0.loop.now } - before >= .milliseconds(400))
    try Self.expect(proxy, ["delay": 1], served: 1)
    #expect(
      try proxy.count("response_total", "response_flag=\"DI\"", "classification=\"success\"", "status_code=\"200\"")
        == 1)
    #expect(try proxy.count("response_latency_ms_bucket", "le=\"300\"") == 1)
    #expect(try proxy.becomes { _ in proxy.log.lines.count == 1 })
    #expect(proxy.log.lines[0].contains("\"flag\":\"DI\",\"faults\":\"shop/f:delay\""))
  }

  @Test("a body larger than what is held back meanwhile arrives whole")
  func delayedBody() throws {
    let body = String(repeating: "0123456789abcdef", count: 40_000)
    let backend = Backend.answering { "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n\($0.body.count)" }
    let proxy = try Self.proxy(backend, FaultPolicy(name: Self.name, delay: .fixed(.milliseconds(100))))
    let client = try proxy.connect()
    let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \(body.utf8.count)\r\n\r\n"
    #expect(try client.exchange(head + body).text == "\(body.utf8.count)")
    let second = try HTTP2Peer(proxy.connect())
    let stream = try second.request(.post, "/", endStream: false)
    try second.send(Array(body.utf8), on: stream)
    #expect(String(decoding: try second.finish(stream).body, as: UTF8.self) == "\(body.utf8.count)")
  }

  @Test("a delay is part of the request's time, and what runs out then is the fault's doing")
  func timeout() throws {
    let backend = Backend.named("b")
    let proxy = try Self.proxy(
      backend, FaultPolicy(name: Self.name, delay: .fixed(.seconds(600))),
      timeouts: RouteTimeouts(request: .milliseconds(50)))
    #expect(try proxy.connect().exchange(Self.get).status == 504)
    #expect(backend.connections == 0)
    try Self.expect(proxy, ["delay": 1])
  }

  @Test("a client that leaves meanwhile is the fault's doing")
  func impatience() throws {
    let backend = Backend.named("b")
    let proxy = try Self.proxy(backend, FaultPolicy(name: Self.name, delay: .fixed(.seconds(600))))
    let client = try proxy.connect()
    try client.send(Self.get)
    #expect(try proxy.becomes { $0.faultCount == 1 })
    client.reset()
    try Self.expect(proxy, ["delay": 1])
  }

  @Test("a request that was delayed may still be aborted, and one whose backend fails still fails")
  func afterDelay() throws {
    let backend = Backend.answering { _ in "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n" }
    let both = FaultPolicy(
      name: Self.name, delay: .fixed(.milliseconds(5)), abort: FaultAbort(status: 418))
    let proxy = try Self.proxy(backend, both)
    #expect(try proxy.connect().exchange(Self.get).status == 418)
    try Self.expect(proxy, ["delay": 1, "abort": 1])
    let delayed = try Self.proxy(backend, FaultPolicy(name: Self.name, delay: .fixed(.milliseconds(5))))
    #expect(try delayed.connect().exchange(Self.get).status == 500)
    try Self.expect(delayed, ["delay": 1], served: 1)
    #expect(try delayed.count("response_total", "classification=\"failure\"", "response_flag=\"DI\"") == 1)
  }

  // MARK: - The end of an experiment

  @Test("a configuration without the fault frees who waits, one that keeps it does not")
  func withdrawal() throws {
    let backend = Backend.named("b")
    let policy = FaultPolicy(name: Self.name, delay: .fixed(.seconds(600)))
    let proxy = try Self.proxy(backend, policy)
    let client = try proxy.connect()
    try client.send(Self.get)
    #expect(try proxy.becomes { $0.faultCount == 1 })
    var rule = RouteRule.toOrders()
    rule.faults = [policy]
    proxy.configure([backend.address], rules: [rule])
    #expect(try proxy.onLoop { $0.faultCount } == 1)
    #expect(backend.connections == 0)
    proxy.configure([backend.address])
    #expect(try client.message().text == "b")
    try Self.expect(proxy, ["delay": 1], served: 1)
  }

  @Test("at the end of its schedule a fault ends without anybody's saying so")
  func end() throws {
    let backend = Backend.named("b")
    var policy = FaultPolicy(name: Self.name, delay: .fixed(.seconds(600)), abort: FaultAbort(status: 503))
    let end = WallClock.now + 300
    policy.schedule = FaultSchedule(end: end)
    let proxy = try Self.proxy(backend, policy)
    let client = try proxy.connect()
    #expect(try client.exchange(Self.get).text == "b")
    #expect(try proxy.becomes { _ in WallClock.now >= end })
    #expect(try client.exchange(Self.get).text == "b")
    try Self.expect(proxy, ["delay": 1], served: 2)
  }

  @Test("past the limit requests meet no faults")
  func limit() throws {
    var limits = ProxyLimits()
    limits.maximumFaults = 1
    let backend = Backend.named("b")
    let proxy = try Self.proxy(
      backend, FaultPolicy(name: Self.name, delay: .fixed(.seconds(600))), limits: limits)
    let first = try proxy.connect()
    try first.send(Self.get)
    #expect(try proxy.becomes { $0.faultCount == 1 })
    #expect(try proxy.connect().exchange(Self.get).text == "b")
    #expect(try proxy.count("limit_hits_total", "limit=\"faults\"") == 1)
    first.reset()
    try Self.expect(proxy, ["delay": 1], served: 1)
  }

  // MARK: - Bodies

  private static func sized(_ count: Int) -> Backend {
    let body = String(repeating: "x", count: count)
    return .answering { _ in "HTTP/1.1 200 OK\r\nContent-Length: \(count)\r\n\r\n\(body)" }
  }

  @Test("an answer takes the time that its rate gives it", arguments: [true, false])
  func responseRate(isHTTP2: Bool) throws {
    let backend = Self.sized(40_000)
    let proxy = try Self.proxy(backend, FaultPolicy(name: Self.name, responseRate: 100_000))
    let before = try proxy.onLoop { $0.loop.now }
    if isHTTP2 {
      let client = try HTTP2Peer(proxy.connect())
      #expect(try client.finish(client.request(.get, "/")).body.count == 40_000)
    } else {
      #expect(try proxy.connect().exchange(Self.get).body.count == 40_000)
    }
    // The first portion of 50 ms goes at once.
    #expect(try proxy.onLoop { $0.loop.now } - before >= .milliseconds(340))
    try Self.expect(proxy, ["bandwidth": 1], served: 1)
    #expect(try proxy.count("response_total", "response_flag=\"FI\"", "classification=\"success\"") == 1)
  }

  @Test("so does a request", arguments: [true, false])
  func requestRate(isHTTP2: Bool) throws {
    let backend = Backend.answering { "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n\($0.body.count)" }
    let proxy = try Self.proxy(backend, FaultPolicy(name: Self.name, requestRate: 500_000))
    let body = [UInt8](repeating: 0x78, count: 200_000)
    let before = try proxy.onLoop { $0.loop.now }
    if isHTTP2 {
      let client = try HTTP2Peer(proxy.connect())
      let stream = try client.request(.post, "/", endStream: false)
      try client.send(body, on: stream)
      #expect(String(decoding: try client.finish(stream).body, as: UTF8.self) == "200000")
    } else {
      let client = try proxy.connect()
      try client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n")
      try client.send(body)
      #expect(try client.message().text == "200000")
    }
    #expect(try proxy.onLoop { $0.loop.now } - before >= .milliseconds(340))
    try Self.expect(proxy, ["bandwidth": 1], served: 1)
  }

  @Test("a body is cut after so many bytes, which all arrive", arguments: [0, 1, 30_000])
  func truncation(after count: Int) throws {
    let backend = Self.sized(100_000)
    let proxy = try Self.proxy(backend, FaultPolicy(name: Self.name, truncateAfter: UInt64(count)))
    let client = try proxy.connect()
    try client.send(Self.get)
    let text = String(decoding: try client.readToEnd(), as: UTF8.self)
    #expect(text.hasPrefix("HTTP/1.1 200"))
    #expect(text.contains("ontent-length: 100000") || text.contains("ontent-Length: 100000"))
    #expect(text.hasSuffix("\r\n\r\n" + String(repeating: "x", count: count)))
    let second = try HTTP2Peer(proxy.connect())
    let stream = try second.request(.get, "/")
    while second.stream(stream).reset == nil { try second.step() }
    #expect(second.stream(stream).status == 200)
    #expect(second.stream(stream).body.count == count)
    #expect(!second.stream(stream).isEnded)
    try Self.expect(proxy, ["truncate": 2])
  }

  @Test("a body that is no longer than that is left alone")
  func noTruncation() throws {
    let backend = Self.sized(10)
    let proxy = try Self.proxy(backend, FaultPolicy(name: Self.name, truncateAfter: 10))
    let client = try proxy.connect()
    for _ in 0..<2 { #expect(try client.exchange(Self.get).body.count == 10) }
    #expect(backend.connections == 1)
    try Self.expect(proxy, [:], served: 2)
  }

  @Test("a corrupted body keeps its length and loses a share of its bits")
  func corruption() throws {
    let backend = Self.sized(200_000)
    let proxy = try Self.proxy(backend, FaultPolicy(name: Self.name, corruptMillionths: 10_000))
    let body = try proxy.connect().exchange(Self.get).body
    #expect(body.count == 200_000)
    #expect(abs(body.count { $0 != 0x78 } - 2_000) < 250)
    let second = try HTTP2Peer(proxy.connect())
    let other = try second.finish(second.request(.get, "/")).body
    #expect(other.count == 200_000)
    #expect(abs(other.count { $0 != 0x78 } - 2_000) < 250)
    try Self.expect(proxy, ["corrupt": 2])
  }

  @Test("a slow body ends its slowness with the experiment")
  func bandwidthEnds() throws {
    let backend = Self.sized(300_000)
    var policy = FaultPolicy(name: Self.name, responseRate: 10)
    policy.schedule = FaultSchedule(end: WallClock.now + 200)
    let proxy = try Self.proxy(backend, policy)
    #expect(try proxy.connect().exchange(Self.get).body.count == 300_000)
    let withdrawn = try Self.proxy(backend, FaultPolicy(name: Self.name, responseRate: 10))
    let client = try withdrawn.connect()
    try client.send(Self.get)
    #expect(try withdrawn.becomes { $0.faultCount == 1 })
    withdrawn.configure([backend.address])
    #expect(try client.message().body.count == 300_000)
  }

  @Test("what the proxy answers itself is whole")
  func ownAnswers() throws {
    var rule = RouteRule.toOrders()
    rule.faults = [FaultPolicy(name: Self.name, responseRate: 1, truncateAfter: 1, corruptMillionths: 1_000_000)]
    let proxy = try TestProxy.serving([], rules: [rule])
    let answer = try proxy.connect().exchange(Self.get)
    #expect(answer.status == 503)
    #expect(answer.text.hasPrefix("no endpoint: "))
  }
}
