import MeshCore
import MeshHTTP
import MeshPolicy
import Testing

@testable import MeshProxy

/// Clients that keep the endpoint that answered them first.
@Suite("Sessions")
struct SessionTests {
  // Listeners close with their objects, which optimized code lets go after their last use: hence each `withExtendedLifetime`.

  private static let key = SipKey(11, 12)
  private static let cookie = SessionPolicy(.cookie(.init(name: "sid")), idleTimeout: .seconds(3_600), key: key)

  private static func backends(_ count: Int = 4) -> [Backend] { (0..<count).map { Backend.named("\($0)") } }

  private static func rule(
    _ policy: SessionPolicy = cookie, _ backends: [WeightedBackend] = [WeightedBackend(backend: .orders, weight: 1)],
    retry: RetryPolicy? = nil
  ) -> RouteRule {
    RouteRule(name: "httproute/shop/orders#0", backends: backends, retry: retry, session: policy)
  }

  private static func proxy(
    _ backends: [Backend], _ policy: SessionPolicy = cookie, balancing: BackendPolicy = BackendPolicy()
  ) throws -> TestProxy {
    try TestProxy.serving(backends.map(\.address), rules: [rule(policy)], policy: balancing)
  }

  private static func get(_ fields: String = "") -> String {
    "GET / HTTP/1.1\r\nHost: orders.shop\r\n\(fields)\r\n"
  }

  private static func with(_ cookie: Substring) -> String { get("Cookie: a=b; \(cookie)\r\n") }

  private static func cookie(of answer: Message) -> Substring? { answer.value("set-cookie")?.prefix { $0 != ";" } }

  /// As every backend's configuration comes: one endpoint each.
  private static func split(_ proxy: TestProxy, _ one: [Backend], _ two: [Backend], weights: (UInt32, UInt32)) {
    let shares = [
      WeightedBackend(backend: .orders, weight: weights.0), WeightedBackend(backend: .other, weight: weights.1),
    ]
    func set(_ key: ServicePort, _ backends: [Backend]) -> EndpointSet {
      EndpointSet(key: key, endpoints: backends.map { Endpoint(address: $0.address, workload: "w", identity: nil) })
    }
    let service = ServiceConfig(key: .orders, appProtocol: .http, rules: [rule(cookie, shares)])
    proxy.apply(
      ConfigUpdate(
        endpoints: [(.orders, set(.orders, one)), (.other, set(.other, two))], services: [(.orders, service)]))
  }

  @Test("a client comes back to its endpoint, on every connection, and from every proxy of the mesh")
  func cookie() throws {
    let backends = Self.backends()
    defer { withExtendedLifetime(backends) {} }
    let proxies = [try Self.proxy(backends), try Self.proxy(backends.reversed())]
    var owners: Set<String> = []
    for _ in 0..<10 {
      let first = try proxies[0].connect().exchange(Self.get())
      let cookie = try #require(Self.cookie(of: first))
      #expect(first.value("set-cookie")?.hasSuffix("; Path=/; HttpOnly; SameSite=Strict") == true)
      for proxy in proxies {
        for _ in 0..<3 { #expect(try proxy.connect().exchange(Self.with(cookie)).text == first.text) }
      }
      owners.insert(first.text)
    }
    #expect(owners.count > 1)
    #expect(try proxies[0].count("session_requests_total", "session=\"new\"") == 10)
    #expect(try proxies[0].count("session_requests_total", "session=\"kept\"") == 30)
  }

  @Test("what the mesh did not make, or made for another rule, is no session")
  func forged() throws {
    let backends = Self.backends(2)
    defer { withExtendedLifetime(backends) {} }
    let proxy = try Self.proxy(backends)
    let other = try Self.proxy(backends, SessionPolicy(.cookie(.init(name: "sid")), key: SipKey(1, 1)))
    let foreign = try #require(Self.cookie(of: other.connect().exchange(Self.get())))
    let client = try proxy.connect()
    for cookie in [foreign, "sid=127.0.0.1:22", "sid=\(String(repeating: "A", count: 32))"] {
      let answer = try client.exchange(Self.with(cookie))
      #expect(answer.status == 200)
      #expect(answer.values("set-cookie").count == 1)
    }
    #expect(try proxy.count("session_requests_total", "session=\"new\"") == 3)
  }

  @Test("a header carries it over HTTP/2, and the application's field of that name does not count")
  func header() throws {
    let backends = (0..<4).map { name in
      Backend.answering { _ in "HTTP/1.1 200 OK\r\nX-Session: mine\r\nX-Name: \(name)\r\nContent-Length: 0\r\n\r\n" }
    }
    defer { withExtendedLifetime(backends) {} }
    let proxy = try Self.proxy(backends, SessionPolicy(.header("x-session"), idleTimeout: .seconds(9), key: Self.key))
    let client = try HTTP2Peer(proxy.connect())
    for _ in 0..<5 {
      let first = try client.finish(client.request(.get, "/"))
      let tokens = first.head.values("x-session")
      #expect(tokens.count == 1 && tokens.first != "mine")
      for _ in 0..<3 {
        let next = try client.finish(client.request(.get, "/", [("x-session", tokens.first ?? "")]))
        #expect(next.head.value("x-name") == first.head.value("x-name"))
      }
    }
  }

  @Test("a session stays with its backend at weight 0, where no new one begins")
  func weights() throws {
    let backends = Self.backends(2)
    defer { withExtendedLifetime(backends) {} }
    let proxy = try TestProxy([.mapped(.orders)])
    Self.split(proxy, [backends[0]], [backends[1]], weights: (1, 0))
    let client = try proxy.connect()
    let old = try #require(Self.cookie(of: try client.exchange(Self.get())))
    Self.split(proxy, [backends[0]], [backends[1]], weights: (0, 1))
    for _ in 0..<5 {
      #expect(try client.exchange(Self.with(old)).text == "0")
      #expect(try client.exchange(Self.get()).text == "1")
    }
  }

  @Test("a session whose endpoint is gone begins anew, by the weights")
  func gone() throws {
    let backends = Self.backends(3)
    defer { withExtendedLifetime(backends) {} }
    let proxy = try TestProxy([.mapped(.orders)])
    Self.split(proxy, [backends[0]], [backends[1]], weights: (1, 0))
    let client = try proxy.connect()
    let old = try #require(Self.cookie(of: try client.exchange(Self.get())))
    Self.split(proxy, [backends[2]], [backends[1]], weights: (0, 1))
    let moved = try client.exchange(Self.with(old))
    #expect(moved.text == "1")
    let new = try #require(Self.cookie(of: moved))
    #expect(new != old)
    Self.split(proxy, [backends[2]], [backends[1]], weights: (1, 0))
    #expect(try client.exchange(Self.with(new)).text == "1")
    #expect(try proxy.count("session_requests_total", "session=\"moved\"") == 1)
  }

  @Test("a session moves away from an endpoint that refuses, and stays where it was answered")
  func refused() throws {
    let backends = Self.backends(2)
    defer { withExtendedLifetime(backends) {} }
    let nobody = ReservedPort()
    defer { withExtendedLifetime(nobody) {} }
    let proxy = try TestProxy([.mapped(.orders)])
    proxy.configure([backends[0].address, nobody.address], rules: [Self.rule()])
    // What another proxy, to which the endpoint answered, would have given.
    let tag = SessionToken.tag(of: nobody.address, in: .orders, Self.key)
    let token = SessionToken(began: .max, used: .max, endpoint: tag).text(Self.key)
    let client = try proxy.connect()
    let moved = try client.exchange(Self.with("sid=\(token)"))
    #expect(moved.text == "0")
    let new = try #require(Self.cookie(of: moved))
    for _ in 0..<3 {
      let next = try client.exchange(Self.with(new))
      #expect(next.text == "0")
    }
  }

  @Test("an ejected endpoint has no sessions; the proxy's own answers bring none")
  func ejected() throws {
    let shaky = Backend.answering { request in
      let isBad = request.startLine.contains("/bad")
      return "HTTP/1.1 \(isBad ? 500 : 200) X\r\nContent-Length: 1\r\n\r\ns"
    }
    defer { withExtendedLifetime(shaky) {} }
    var outliers = OutlierPolicy()
    outliers.consecutiveFailures = 1
    outliers.baseEjection = .seconds(60)
    let proxy = try Self.proxy([shaky], balancing: BackendPolicy(outliers: outliers))
    let client = try proxy.connect()
    let cookie = try #require(Self.cookie(of: try client.exchange(Self.get())))
    let steady = Backend.named("0")
    defer { withExtendedLifetime(steady) {} }
    proxy.configure(
      [shaky.address, steady.address], rules: [Self.rule()],
      policy: BackendPolicy(balancing: BalancingPolicy(panicPercent: 0), outliers: outliers))
    #expect(try client.exchange(Self.with(cookie).replacing("GET / ", with: "GET /bad ")).status == 500)
    let moved = try client.exchange(Self.with(cookie))
    #expect(moved.text == "0")
    #expect(Self.cookie(of: moved) != nil)
    proxy.configure([], rules: [Self.rule()])
    let failure = try client.exchange(Self.get())
    #expect(failure.status == 503)
    #expect(failure.value("set-cookie") == nil)
  }
}
