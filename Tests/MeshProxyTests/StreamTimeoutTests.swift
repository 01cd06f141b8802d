import MeshCore
import MeshHTTP
import MeshPolicy
import MeshRuntime
import Testing

@testable import MeshProxy

/// Time limits of connects, of silence and of whole streams.
@Suite("Timeouts of streams")
struct StreamTimeoutTests {
  private static let get = "GET / HTTP/1.1\r\nHost: orders\r\n\r\n"
  private static let connect = "CONNECT orders.shop:80 HTTP/1.1\r\nHost: orders.shop:80\r\n\r\n"

  /// Begins an answer that never ends.
  private static func endless() -> Backend {
    Backend { peer, _ in
      _ = try peer.message()
      try peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n")
      while !peer.isCut() {}
    }
  }

  /// Takes connections and says nothing.
  private static func silent() -> Backend { Backend { peer, _ in while !peer.isCut() {} } }

  private static func rule(idle: TimeSpan? = nil, stream: TimeSpan? = nil) -> RouteRule {
    .toOrders(timeouts: RouteTimeouts(idle: idle, stream: stream))
  }

  // MARK: - Connect

  @Test("a backend's own connect time-out goes before the proxy's, and another endpoint is tried")
  func connectTimeout() throws {
    let silent = SilentPort()
    defer { withExtendedLifetime(silent) {} }
    let backend = Backend.named("b")
    defer { withExtendedLifetime(backend) {} }
    let limits = ProxyLimits.with { $0.connectTimeout = .seconds(30) }
    let policy = BackendPolicy(connectTimeout: .milliseconds(50))
    let proxy = try TestProxy.serving([silent.address], limits: limits, policy: policy)
    let failed = try proxy.connect().exchange(Self.get)
    #expect(failed.status == 504)
    #expect(try proxy.count("response_total", "response_flag=\"UF\"") == 1)
    proxy.configure([silent.address, backend.address], policy: policy)
    for _ in 0..<5 { #expect(try proxy.connect().exchange(Self.get).text == "b") }
    // Of tunnels, too.
    proxy.configure([silent.address], policy: policy)
    #expect(try proxy.connect(1).exchange(Self.connect).status == 504)
  }

  // MARK: - Stream

  @Test("a stream ends at its limit, with the flag DT, whatever has become of it")
  func stream() throws {
    let (endless, silent) = (Self.endless(), Self.silent())
    defer { withExtendedLifetime((endless, silent)) {} }
    let proxy = try TestProxy.serving([endless.address], rules: [Self.rule(stream: .milliseconds(500))])
    let client = try proxy.connect()
    try client.send(Self.get)
    _ = try client.readThrough("hi\r\n")
    #expect(client.isCut())
    #expect(try proxy.count("response_total", "status_code=\"200\"", "response_flag=\"DT\"") == 1)
    proxy.configure([silent.address], rules: [Self.rule(stream: .milliseconds(50))])
    let late = try proxy.connect().exchange(Self.get)
    #expect(late.status == 504)
    #expect(late.text.contains("timeouts.stream"))
  }

  @Test("a tunnel ends at its limit, and has no other")
  func tunnel() throws {
    let silent = Self.silent()
    defer { withExtendedLifetime(silent) {} }
    var rule = Self.rule(stream: .milliseconds(500))
    rule.timeouts.request = .milliseconds(20)
    rule.timeouts.backendRequest = .milliseconds(20)
    let proxy = try TestProxy.serving([silent.address], rules: [rule], appProtocol: .tcp)
    let start = try proxy.onLoop { $0.loop.now }
    let client = try proxy.connect(1)
    try client.send(Self.connect)
    #expect(try client.readThrough("\r\n\r\n").hasPrefix("HTTP/1.1 200"))
    #expect(client.isCut())
    #expect(try proxy.onLoop { $0.loop.now } - start >= .milliseconds(500))
    #expect(try proxy.count("response_total", "response_flag=\"DT\"") == 1)
  }

  // MARK: - Idle

  @Test("silence ends a stream by the rule's limit: 504 before the answer, and a cut in it")
  func idle() throws {
    let (endless, silent) = (Self.endless(), Self.silent())
    defer { withExtendedLifetime((endless, silent)) {} }
    let proxy = try TestProxy.serving([silent.address], rules: [Self.rule(idle: .milliseconds(10))])
    #expect(try proxy.connect().exchange(Self.get).status == 504)
    #expect(try proxy.count("response_total", "response_flag=\"UT\"") == 1)
    // Long enough for the answer's head on a busy machine.
    proxy.configure([endless.address], rules: [Self.rule(idle: .milliseconds(500))])
    let client = try proxy.connect()
    try client.send(Self.get)
    _ = try client.readThrough("hi\r\n")
    #expect(client.isCut())
    #expect(try proxy.count("limit_hits_total", "stream_idle_timeout") == 2)
  }

  @Test("the limit of a rule, of the kind of stream, and of the endpoint's proxy")
  func limits() throws {
    let proxy = try TestProxy([.inboundPlaintext])
    func limit(
      _ rule: TimeSpan?, longest: TimeSpan?? = .none, tunnel: Bool = false, grpc: Bool = false
    ) throws -> TimeSpan {
      try proxy.onLoop { worker in
        let exchange = worker.takeExchange()
        defer { worker.recycle(exchange) }
        if let rule { exchange.rule = CompiledRule(Self.rule(idle: rule), of: .orders, worker: worker) }
        if let longest {
          var port = InboundPortConfig(
            port: 80, appProtocol: .http, service: .orders, application: .loopback(port: 1))
          port.longestIdle = longest
          exchange.inboundPort = InboundPortEntry(port, worker: worker, workload: "w")
        }
        exchange.isTunnel = tunnel
        exchange.isGRPC = grpc
        defer {
          exchange.isTunnel = false
          exchange.isGRPC = false
        }
        return exchange.idleLimit
      }
    }
    #expect(try limit(nil) == .seconds(300))
    #expect(try limit(nil, tunnel: true) == .seconds(3_600))
    #expect(try limit(nil, grpc: true) == .seconds(3_600))
    #expect(try limit(.seconds(2), tunnel: true) == .seconds(2))
    #expect(try limit(.zero) == .zero)
    // Never shorter than what the proxy has for everyone: other rules lead there, too.
    #expect(try limit(nil, longest: .seconds(2)) == .seconds(300))
    #expect(try limit(nil, longest: .seconds(900)) == .seconds(900))
    #expect(try limit(nil, longest: .some(.zero)) == .zero)
    #expect(try limit(nil, longest: .some(nil)) == .seconds(300))
  }
}
