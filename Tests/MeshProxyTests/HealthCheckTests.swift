import MeshCore
import MeshHTTP
import MeshPolicy
import MeshRuntime
import Synchronization
import Testing

@testable import MeshProxy

/// A server's state that a test changes while requests come.
private final class Switch: Sendable {
  private let state = Mutex(true)
  var isOn: Bool {
    get { state.withLock { $0 } }
    set { state.withLock { $0 = newValue } }
  }
}

@Suite("Health checks of endpoints")
struct HealthCheckTests {
  // Listeners close with their objects, which optimized code lets go after their last use: hence each `withExtendedLifetime`.

  private static func policy(_ probe: HealthCheckPolicy.Probe) -> BackendPolicy {
    var check = HealthCheckPolicy(probe: probe)
    check.interval = .milliseconds(20)
    check.timeout = .seconds(5)
    return BackendPolicy(
      balancing: BalancingPolicy(algorithm: .roundRobin, panicPercent: 0), healthCheck: check)
  }

  private static let http = HealthCheckPolicy.Probe.http(.init(path: "/health?deep=1", host: "probe.test"))

  private func becomes(_ proxy: TestProxy, _ wanted: [EndpointHealth]) throws -> Bool {
    try proxy.becomes { worker in
      worker.backends[.orders]?.balancer.endpointStates(now: worker.loop.now).map(\.health) == wanted
    }
  }

  private static func get(_ proxy: TestProxy) throws -> String {
    String(decoding: try proxy.connect().exchange("GET / HTTP/1.1\r\nHost: orders.shop\r\n\r\n").body, as: UTF8.self)
  }

  @Test("an endpoint whose checks fail gets no requests until they succeed again, and none of it counts as a request")
  func http() throws {
    let isWell = Switch()
    let asked = Mutex<[String]>([])
    let backends = ["a", "b"].map { name in
      Backend.answering { request in
        if request.head.hasPrefix("GET /health?deep=1 ") {
          if name == "b" { asked.withLock { $0 = [request.value("host") ?? "", request.value("user-agent") ?? ""] } }
          let isGood = name == "a" || isWell.isOn
          return "HTTP/1.1 \(isGood ? 204 : 500) Well\r\n\(isGood ? "" : "Content-Length: 0\r\n")\r\n"
        }
        return "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n\(name)"
      }
    }
    defer { withExtendedLifetime(backends) {} }
    let proxy = try TestProxy.serving(backends.map(\.address), policy: Self.policy(Self.http))
    #expect(try becomes(proxy, [.healthy, .healthy]))
    #expect(Set(try (0..<4).map { _ in try Self.get(proxy) }) == ["a", "b"])
    isWell.isOn = false
    #expect(try becomes(proxy, [.healthy, .unhealthy(.unexpectedStatus)]))
    for _ in 0..<6 { #expect(try Self.get(proxy) == "a") }
    isWell.isOn = true
    #expect(try becomes(proxy, [.healthy, .healthy]))
    #expect(Set(try (0..<4).map { _ in try Self.get(proxy) }) == ["a", "b"])
    #expect(asked.withLock { $0 } == ["probe.test", "apus-health-check"])
    #expect(try proxy.count("request_total") == 14)
    #expect(try proxy.count("retries_total") == 0)
    #expect(try proxy.count("health_checks_total", "result=\"failure\"", "backend=\"orders\"") >= 3)
    #expect(try proxy.count("health_checks_total", "result=\"success\"") >= 4)
    #expect(try proxy.count("endpoint_health_changes_total", "health=\"unhealthy\"") == 1)
    #expect(try proxy.count("endpoint_health_changes_total", "health=\"healthy\"") == 1)
  }

  @Test("an endpoint's own check goes before the policy's, and needs none")
  func ownCheck() throws {
    let backends = ["a", "b"].map { name in
      Backend.answering { request in
        let status = request.head.hasPrefix("GET /own ") ? 500 : 200
        return "HTTP/1.1 \(status) Well\r\nContent-Length: 1\r\n\r\n\(name)"
      }
    }
    defer { withExtendedLifetime(backends) {} }
    var own = try #require(Self.policy(.http(.init(path: "/own"))).healthCheck)
    func endpoints(_ check: HealthCheckPolicy?) -> [Endpoint] {
      zip(["a", "b"], backends).map { name, backend in
        Endpoint(
          address: backend.address, workload: name, identity: nil, healthCheck: name == "b" ? check : nil)
      }
    }
    var policy = Self.policy(.http(.init(path: "/policy")))
    let proxy = try TestProxy.serving([], policy: policy)
    func apply(_ check: HealthCheckPolicy?) {
      proxy.apply(
        ConfigUpdate(endpoints: [(.orders, EndpointSet(key: .orders, endpoints: endpoints(check), policy: policy))]))
    }
    apply(own)
    #expect(try becomes(proxy, [.healthy, .unhealthy(.unexpectedStatus)]))
    policy.healthCheck = nil
    apply(own)
    #expect(try becomes(proxy, [.unknown, .unhealthy(.unexpectedStatus)]))
    own.probe = .http(.init(path: "/other"))
    apply(own)
    #expect(try becomes(proxy, [.unknown, .healthy]))
    apply(nil)
    #expect(try becomes(proxy, [.unknown, .unknown]))
  }

  @Test("a refused connection, a silent and a broken endpoint fail a check, each with its reason")
  func failures() throws {
    let silent = Backend { peer, _ in _ = try peer.readToEnd() }
    let broken = Backend { peer, _ in
      _ = try peer.message()
      try peer.send("nonsense\r\n\r\n")
    }
    defer { withExtendedLifetime((silent, broken)) {} }
    let nobody = ReservedPort()
    defer { withExtendedLifetime(nobody) {} }
    var policy = Self.policy(Self.http)
    policy.healthCheck?.timeout = .milliseconds(200)
    let proxy = try TestProxy.serving([silent.address, broken.address, nobody.address], policy: policy)
    #expect(
      try becomes(
        proxy, [.unhealthy(.timeout), .unhealthy(.transportFailure), .unhealthy(.connectFailure)]))
  }

  @Test("a TCP check is an open connection, which it closes in order")
  func tcp() throws {
    let ends = Promise<Int>()
    let backend = Backend { peer, _ in
      // A reset would throw.
      ends.put(try peer.readToEnd().count)
    }
    defer { withExtendedLifetime(backend) {} }
    let nobody = ReservedPort()
    defer { withExtendedLifetime(nobody) {} }
    let proxy = try TestProxy.serving([backend.address, nobody.address], policy: Self.policy(.tcp))
    #expect(try becomes(proxy, [.healthy, .unhealthy(.connectFailure)]))
    #expect(try ends.get() == 0)
    #expect(try proxy.becomes { worker in worker.exchangeCount == 0 })
  }

  @Test("gRPC's health service is asked for a service, and believed")
  func grpc() throws {
    let isServing = Switch()
    let paths = Mutex<[String]>([])
    let bodies = Mutex<[[UInt8]]>([])
    let backend = Backend { peer, _ in
      let server = try HTTP2Peer(peer, role: .server)
      var last: UInt32 = 0
      while true {
        let stream = try server.nextRequest(after: last)
        last = stream.rawValue
        let request = try server.finish(stream)
        paths.withLock { $0.append(request.path) }
        bodies.withLock { $0.append(request.body) }
        server.engine.sendHead(
          HTTP2Peer.answer(200, [("content-type", "application/grpc")]), on: stream, endStream: false)
        try server.send([0, 0, 0, 0, 2, 8, isServing.isOn ? 1 : 2], on: stream, endStream: false)
        let trailers = MessageHead()
        trailers.append(name: "grpc-status", value: "0")
        server.engine.sendTrailers(trailers, on: stream)
        try server.flush()
      }
    }
    defer { withExtendedLifetime(backend) {} }
    let proxy = try TestProxy.serving(
      [backend.address], appProtocol: .grpc, policy: Self.policy(.grpc(service: "ab")))
    #expect(try becomes(proxy, [.healthy]))
    isServing.isOn = false
    #expect(try becomes(proxy, [.unhealthy(.notServing)]))
    #expect(paths.withLock { Set($0) } == ["/grpc.health.v1.Health/Check"])
    #expect(bodies.withLock { Set($0) } == [[0, 0, 0, 0, 4, 0x0A, 2, 0x61, 0x62]])
  }

  @Test("a meshed endpoint is asked through its proxy, which tells when the program is gone", arguments: [true, false])
  func meshed(_ isTCP: Bool) throws {
    // A connection for each request: a program that is gone has none.
    var backend: Backend? = .answering { _ in "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n" }
    let pair = try MeshPair(to: backend!, policy: Self.policy(isTCP ? .tcp : Self.http))
    #expect(try becomes(pair.sender, [.healthy]))
    backend = nil
    #expect(try becomes(pair.sender, [.unhealthy(.connectFailure)]))
    #expect(try pair.sender.becomes { worker in worker.exchangeCount == 0 })
  }

  @Test("a check that the endpoint's rules refuse says nothing of its health", arguments: [true, false])
  func refused(_ isTCP: Bool) throws {
    let isWell = Switch()
    let backend = Backend.answering { _ in
      "HTTP/1.1 \(isWell.isOn ? 204 : 500) Well\r\nConnection: close\r\n\(isWell.isOn ? "" : "Content-Length: 0\r\n")\r\n"
    }
    defer { withExtendedLifetime(backend) {} }
    let pair = try MeshPair(to: backend, policy: Self.policy(isTCP ? .tcp : Self.http))
    #expect(try becomes(pair.sender, [.healthy]))
    pair.authorize(Authorization(mode: .deny))
    #expect(try pair.sender.becomes { $0.sum(of: "health_checks_total", "result=\"refused\"") > 2 })
    #expect(try becomes(pair.sender, [.healthy]))
    if isTCP { return }
    isWell.isOn = false
    pair.authorize(nil)
    #expect(try becomes(pair.sender, [.unhealthy(.unexpectedStatus)]))
    // What nobody may find out any more is not held against the endpoint.
    pair.authorize(Authorization(mode: .deny))
    #expect(try becomes(pair.sender, [.healthy]))
  }

  @Test("checks end with their policy, and the endpoints come back")
  func policyGoes() throws {
    let nobody = ReservedPort()
    defer { withExtendedLifetime(nobody) {} }
    let proxy = try TestProxy.serving([nobody.address], policy: Self.policy(.tcp))
    #expect(try becomes(proxy, [.unhealthy(.connectFailure)]))
    proxy.configure([nobody.address])
    #expect(try becomes(proxy, [.unknown]))
    // What was on its way when the checks ended does not count.
    let report = HealthReport(backend: .orders, address: nobody.address, health: .unhealthy(.timeout))
    _ = try proxy.onLoop { $0.take(report) }
    #expect(try becomes(proxy, [.unknown]))
  }

  @Test("a check under way is given up when its policy goes")
  func givenUp() throws {
    let silent = Backend { peer, _ in _ = try peer.readToEnd() }
    defer { withExtendedLifetime(silent) {} }
    var policy = Self.policy(Self.http)
    policy.healthCheck?.timeout = .seconds(3_600)
    let proxy = try TestProxy.serving([silent.address], policy: policy)
    #expect(try proxy.becomes { $0.exchangeCount == 1 })
    proxy.configure([silent.address])
    #expect(try proxy.becomes { $0.exchangeCount == 0 })
    #expect(try proxy.count("request_total") == 0)
  }

  @Test("exactly one worker checks an endpoint, and each has its part", arguments: [1, 2, 4, 7])
  func owners(_ count: Int) {
    var owned = [Int](repeating: 0, count: count)
    for n in 0..<1_000 {
      let address = SocketAddress(ipv4: 0x0A00_0000 + UInt32(n), port: 8080)
      let owners = (0..<count).filter { WorkerPart(index: $0, count: count).checks(address) }
      #expect(owners.count == 1)
      for owner in owners { owned[owner] += 1 }
    }
    #expect(owned.allSatisfy { abs($0 * count - 1_000) < 300 })
  }
}
