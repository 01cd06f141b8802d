import MeshCore
import MeshHTTP
import MeshPolicy
import MeshRuntime
import MeshTelemetry
import Testing

@testable import MeshProxy

/// The adaptive limit of a workload's port.
@Suite("Adaptive concurrency in the proxy")
struct ConcurrencyProxyTests {
  // Listeners close with their objects, which optimized code lets go after their last use: hence each `withExtendedLifetime`.

  private static let get = "GET / HTTP/1.1\r\nHost: orders.shop\r\n\r\n"
  private static let two = AdaptiveConcurrency(minimum: 2, maximum: 2)

  /// Answers each request once the gate is open.
  private static func gated(_ arrivals: Count, _ gate: Signal) -> Backend {
    Backend { peer, _ in
      while true {
        _ = try peer.message()
        _ = arrivals.next()
        gate.wait()
        try peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
      }
    }
  }

  private static func inFlight(_ proxy: TestProxy, _ count: Int) throws -> Bool {
    try proxy.becomes { $0.shared.concurrency.gauges.first?.inFlight == count }
  }

  @Test("past the limit requests are answered 503 at once, and its places come back with the answers")
  func refusal() throws {
    let (arrivals, gate) = (Count(), Signal())
    let backend = Self.gated(arrivals, gate)
    defer { withExtendedLifetime(backend) {} }
    let pair = try MeshPair(to: backend, adaptiveConcurrency: Self.two)
    let waiting = try (0..<2).map { _ in try pair.sender.connect() }
    for client in waiting { try client.send(Self.get) }
    #expect(try Self.inFlight(pair.receiver, 2))
    let refused = try pair.sender.connect().exchange(Self.get)
    #expect(refused.status == 503)
    #expect(refused.text.hasPrefix("overload: "))
    #expect(try pair.receiver.connect(1).exchange(Self.get).status == 503)
    gate.raise()
    for client in waiting { #expect(try client.message().text == "ok") }
    #expect(try Self.inFlight(pair.receiver, 0))
    #expect(try pair.sender.connect().exchange(Self.get).text == "ok")
    #expect(arrivals.value == 3)
    #expect(try pair.receiver.count("adaptive_concurrency_refused_total", "backend=\"orders\"") == 2)
    #expect(try pair.receiver.count("response_total", "response_flag=\"CL\"", "status_code=\"503\"") == 2)
    #expect(try pair.sender.count("response_total", "response_flag=\"CL\"", "status_code=\"503\"") == 1)
    // The only endpoint would say the same again.
    #expect(try pair.sender.count("retries_total") == 0)
    #expect(try pair.sender.count("outlier_ejections_total") == 0)
  }

  @Test("a request that one endpoint refuses goes to another")
  func elsewhere() throws {
    let (arrivals, gate) = (Count(), Signal())
    let slow = Self.gated(arrivals, gate)
    let quick = Backend.named("quick")
    defer { withExtendedLifetime((slow, quick)) {} }
    // In turns, so that some begin at the one that is busy.
    let policy = BackendPolicy(balancing: BalancingPolicy(algorithm: .roundRobin))
    let pair = try MeshPair(
      to: slow, policy: policy, adaptiveConcurrency: AdaptiveConcurrency(minimum: 1, maximum: 1))
    let client = try pair.sender.connect()
    try client.send(Self.get)
    #expect(try Self.inFlight(pair.receiver, 1))
    pair.add(Endpoint(address: quick.address, workload: "quick", identity: nil))
    // Few, as repeats take from a budget.
    for _ in 0..<6 { #expect(try pair.sender.connect().exchange(Self.get).text == "quick") }
    #expect(try pair.sender.count("retries_total", "reason=\"overload\"") > 0)
    #expect(try pair.sender.count("outlier_ejections_total") == 0)
    gate.raise()
    #expect(try client.message().text == "ok")
  }

  @Test("a place is held until the head of the answer, not for its content, and given back by who goes away")
  func places() throws {
    let backend = Backend { peer, number in
      _ = try peer.message()
      if number == 0 { try peer.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf") }
      while !peer.isCut() {}
    }
    defer { withExtendedLifetime(backend) {} }
    let pair = try MeshPair(to: backend, adaptiveConcurrency: Self.two)
    let first = try pair.sender.connect()
    try first.send(Self.get)
    #expect(try first.readThrough("\r\n\r\nhalf").hasPrefix("HTTP/1.1 200"))
    #expect(try Self.inFlight(pair.receiver, 0))
    let second = try pair.sender.connect()
    try second.send(Self.get)
    #expect(try Self.inFlight(pair.receiver, 1))
    second.reset()
    #expect(try Self.inFlight(pair.receiver, 0))
  }

  @Test("a tunnel of bytes holds no place")
  func tunnels() throws {
    let backend = Backend { peer, _ in while true { try peer.send(peer.receive()) } }
    defer { withExtendedLifetime(backend) {} }
    let pair = try MeshPair(to: backend, adaptiveConcurrency: AdaptiveConcurrency(minimum: 1, maximum: 1))
    for _ in 0..<3 {
      let client = try pair.receiver.connect(1)
      try client.send("CONNECT orders.shop:80 HTTP/1.1\r\nHost: orders.shop:80\r\n\r\n")
      _ = try? client.readThrough("\r\n\r\n")
    }
    #expect(try Self.inFlight(pair.receiver, 0))
    #expect(try pair.receiver.count("adaptive_concurrency_refused_total") == 0)
  }

  @Test("what was learnt survives configuration that comes anew")
  func updates() throws {
    let backend = Backend.named("orders")
    defer { withExtendedLifetime(backend) {} }
    let settings = AdaptiveConcurrency(interval: .milliseconds(10))
    let pair = try MeshPair(to: backend, adaptiveConcurrency: settings)
    let client = try pair.sender.connect()
    for _ in 0..<400 { #expect(try client.exchange(Self.get).status == 200) }
    #expect(try pair.receiver.becomes { ($0.shared.concurrency.gauges.first?.unloadedLatency ?? .zero) > .zero })
    pair.reconfigure(rateLimits: [RateLimit(1_000, per: .seconds(1))], settings)
    #expect(try pair.receiver.onLoop { $0.shared.concurrency.gauges.map { $0.unloadedLatency > .zero } } == [true])
  }
}
