import MeshCore
import MeshHTTP
import MeshPolicy
import MeshRuntime
import Testing

@testable import MeshProxy

/// What a backend's policy lets a worker use of it.
@Suite("Limits of a backend")
struct BackendLimitTests {
  // Listeners close with their objects, which optimized code lets go after their last use: hence each `withExtendedLifetime`.

  private static let get = "GET / HTTP/1.1\r\nHost: orders.shop\r\n\r\n"

  private static func proxy(
    _ endpoints: [SocketAddress], _ limits: BackendLimits, rules: [RouteRule] = [.toOrders()],
    appProtocol: AppProtocol = .http, algorithm: BalancingPolicy.Algorithm = .roundRobin
  ) throws -> TestProxy {
    try TestProxy.serving(
      endpoints, rules: rules, appProtocol: appProtocol,
      policy: BackendPolicy(balancing: BalancingPolicy(algorithm: algorithm), limits: limits))
  }

  /// Answers a request only after `gate` was opened.
  private static func held(_ gate: Promise<Bool>) -> Backend {
    Backend { peer, _ in
      while true {
        _ = try peer.message()
        _ = try gate.get()
        try peer.send("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nb")
      }
    }
  }

  @Test("of active requests exactly as many as the limit are served, the others answered 503 with UO")
  func active() throws {
    let gate = Promise<Bool>()
    let backend = Self.held(gate)
    defer { withExtendedLifetime(backend) {} }
    let proxy = try Self.proxy([backend.address], BackendLimits(activeRequests: 3))
    let client = try HTTP2Peer(proxy.connect())
    let streams = try client.requests(.get, "/", count: 10)
    let refused = try streams.dropFirst(3).map { try client.finish($0) }
    #expect(refused.allSatisfy { $0.status == 503 })
    gate.put(true)
    #expect(try streams.prefix(3).allSatisfy { try client.finish($0).status == 200 })
    #expect(try proxy.count("backend_overflow_total", "limit=\"active_requests\"", "backend=\"orders\"") == 7)
    #expect(try proxy.count("response_total", "response_flag=\"UO\"") == 7)
    // Their places are free again.
    #expect(try proxy.onLoop { $0.backends[.orders]?.use.active } == 0)
    #expect(try client.finish(client.request(.get, "/")).status == 200)
  }

  @Test("a request counts once, however often it is sent, and gives its place back when its client leaves")
  func places() throws {
    let backend = Backend.answering { _ in "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n" }
    defer { withExtendedLifetime(backend) {} }
    let rule = RouteRule.toOrders(retry: RetryPolicy(attempts: 3, statusCodes: [503], backoff: .zero))
    let proxy = try Self.proxy([backend.address], BackendLimits(activeRequests: 1), rules: [rule])
    let client = try proxy.connect()
    for _ in 0..<3 { #expect(try client.exchange(Self.get).status == 503) }
    #expect(try proxy.count("backend_overflow_total") == 0)
    let silent = Backend { peer, _ in _ = try peer.readToEnd() }
    defer { withExtendedLifetime(silent) {} }
    proxy.configure([silent.address], policy: BackendPolicy(limits: BackendLimits(activeRequests: 1)))
    let leaving = try proxy.connect()
    try leaving.send(Self.get)
    #expect(try proxy.becomes { $0.backends[.orders]?.use.active == 1 })
    leaving.reset()
    #expect(try proxy.becomes { $0.backends[.orders]?.use.active == 0 })
  }

  @Test("as many requests wait for a connection as may, the others are answered 503", arguments: [1, 5])
  func pending(_ limit: Int) throws {
    let gate = Promise<Bool>()
    let backend = Self.held(gate)
    defer { withExtendedLifetime(backend) {} }
    let limits = BackendLimits(connections: 1, pendingRequests: UInt32(limit))
    let proxy = try Self.proxy([backend.address], limits)
    let client = try HTTP2Peer(proxy.connect())
    let first = try client.request(.get, "/")
    #expect(try proxy.becomes { $0.backends[.orders].map { $0.use.connections == 1 && $0.use.pending == 0 } ?? false })
    let streams = try client.requests(.get, "/", count: 10)
    let refused = try streams.dropFirst(limit).map { try client.finish($0).status }
    #expect(refused.allSatisfy { $0 == 503 })
    #expect(try proxy.onLoop { $0.backends[.orders]?.use.pending } == limit)
    gate.put(true)
    #expect(try client.finish(first).status == 200)
    #expect(try streams.prefix(limit).allSatisfy { try client.finish($0).status == 200 })
    #expect(backend.connections == 1)
    #expect(try proxy.count("backend_overflow_total", "limit=\"pending_requests\"") == 10 - limit)
    #expect(try proxy.onLoop { $0.backends[.orders]?.use.pending } == 0)
  }

  @Test("never more connections than the limit; what needs more waits for one that becomes free", arguments: [1, 2, 3])
  func connections(_ limit: Int) throws {
    let backend = Backend.named("b")
    defer { withExtendedLifetime(backend) {} }
    let proxy = try Self.proxy([backend.address], BackendLimits(connections: UInt32(limit)))
    let client = try HTTP2Peer(proxy.connect())
    for stream in try client.requests(.get, "/", count: 50) { #expect(try client.finish(stream).status == 200) }
    #expect(backend.connections == limit)
    #expect(try proxy.onLoop { $0.backends[.orders]?.use.connections } == limit)
    #expect(try proxy.count("backend_overflow_total", "limit=\"connections\"") > 0)
  }

  @Test("an idle connection to one endpoint makes room for one to another")
  func idleMakesRoom() throws {
    let backends = (0..<3).map { Backend.named("\($0)") }
    defer { withExtendedLifetime(backends) {} }
    let proxy = try Self.proxy(backends.map(\.address), BackendLimits(connections: 1))
    let client = try proxy.connect()
    let answers = try (0..<9).map { _ in try client.exchange(Self.get) }
    #expect(answers.allSatisfy { $0.status == 200 })
    #expect(Set(answers.map(\.text)).count == 3)
    #expect(try proxy.onLoop { $0.backends[.orders]?.use.connections } == 1)
  }

  @Test(
    "where the endpoint has no connection and none is idle, the request is answered 503; its endpoint is not blamed")
  func noConnection() throws {
    let gate = Promise<Bool>()
    let backends = [Self.held(gate), Self.held(gate)]
    defer { withExtendedLifetime(backends) {} }
    let proxy = try Self.proxy(backends.map(\.address), BackendLimits(connections: 1))
    let client = try HTTP2Peer(proxy.connect())
    let first = try client.request(.get, "/")
    #expect(try proxy.becomes { $0.backends[.orders]?.use.connections == 1 })
    #expect(try client.finish(client.request(.get, "/")).status == 503)
    let states = try proxy.onLoop { worker in
      worker.backends[.orders]?.balancer.endpointStates(now: worker.loop.now).map(\.state)
    }
    #expect(states == [.ready, .ready])
    gate.put(true)
    #expect(try client.finish(first).status == 200)
  }

  @Test("connections of HTTP/2 count, too, and one carries all requests")
  func http2() throws {
    let backends = [Backend.http2(named: "a"), Backend.http2(named: "b")]
    defer { withExtendedLifetime(backends) {} }
    let proxy = try Self.proxy(backends.map(\.address), BackendLimits(connections: 1), appProtocol: .http2)
    let client = try proxy.connect()
    let answers = try (0..<6).map { _ in try client.exchange(Self.get) }
    #expect(answers.allSatisfy { $0.status == 200 })
    #expect(Set(answers.map(\.text)) == ["a", "b"])
    #expect(try proxy.becomes { $0.backends[.orders]?.use.connections == 1 })
  }

  @Test("tunnels have a connection and an active place each")
  func tunnels() throws {
    let backend = Backend { peer, _ in try peer.send(try peer.read(4)) }
    defer { withExtendedLifetime(backend) {} }
    let proxy = try Self.proxy([backend.address], BackendLimits(connections: 1), appProtocol: .tcp)
    let connect = "CONNECT orders.shop:80 HTTP/1.1\r\nHost: orders.shop:80\r\n\r\n"
    let first = try proxy.connect(1)
    try first.send(connect)
    #expect(try first.readThrough("\r\n\r\n").hasPrefix("HTTP/1.1 200 "))
    let second = try proxy.connect(1)
    try second.send(connect)
    #expect(try second.message().status == 503)
    try first.send("ping")
    #expect(try first.readText(4) == "ping")
    first.close()
    #expect(try proxy.becomes { $0.backends[.orders].map { $0.use.connections == 0 && $0.use.active == 0 } ?? false })
  }

  @Test("a limit that comes with an update holds from then on, and one that goes lets go")
  func updates() throws {
    let gate = Promise<Bool>()
    let backend = Self.held(gate)
    defer { withExtendedLifetime(backend) {} }
    let proxy = try Self.proxy([backend.address], BackendLimits())
    let client = try HTTP2Peer(proxy.connect())
    let streams = try client.requests(.get, "/", count: 4)
    #expect(try proxy.becomes { $0.backends[.orders]?.use.active == 4 })
    proxy.configure([backend.address], policy: BackendPolicy(limits: BackendLimits(activeRequests: 2)))
    #expect(try client.finish(client.request(.get, "/")).status == 503)
    proxy.configure([backend.address])
    let later = try client.request(.get, "/")
    gate.put(true)
    for stream in streams + [later] { #expect(try client.finish(stream).status == 200) }
  }

  @Test("ejections, returns and panics are counted for the backend")
  func ejections() throws {
    let nobody = [ReservedPort(), ReservedPort()]
    defer { withExtendedLifetime(nobody) {} }
    let backend = Backend.named("b")
    defer { withExtendedLifetime(backend) {} }
    var policy = BackendPolicy(balancing: BalancingPolicy(algorithm: .roundRobin))
    policy.outliers.baseEjection = .seconds(60)
    let proxy = try TestProxy.serving(nobody.map(\.address) + [backend.address], policy: policy)
    let client = try proxy.connect()
    for _ in 0..<6 { #expect(try client.exchange(Self.get).status == 200) }
    #expect(try proxy.count("outlier_ejections_total", "reason=\"connect_failures\"", "backend=\"orders\"") == 2)
    #expect(try proxy.count("balancer_panics_total", "backend_namespace=\"shop\"") == 1)
  }
}
