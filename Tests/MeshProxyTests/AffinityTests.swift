import MeshCore
import MeshHTTP
import MeshPolicy
import Testing

@testable import MeshProxy

/// Requests that keep their endpoint by a key.
@Suite("Affinity of requests to endpoints")
struct AffinityTests {
  // Listeners close with their objects, which optimized code lets go after their last use: hence each `withExtendedLifetime`.

  private static func proxy(
    _ backends: [Backend], _ source: HashSource, _ algorithm: BalancingPolicy.Algorithm = .maglev
  ) throws -> TestProxy {
    let policy = BackendPolicy(balancing: BalancingPolicy(algorithm: algorithm, hashSource: source))
    return try TestProxy.serving(backends.map(\.address), policy: policy)
  }

  private static func backends(_ count: Int = 4) -> [Backend] { (0..<count).map { Backend.named("\($0)") } }

  private static func get(_ path: String = "/", _ fields: String = "") -> String {
    "GET \(path) HTTP/1.1\r\nHost: orders.shop\r\n\(fields)\r\n"
  }

  @Test(
    "a header keeps its endpoint, on every connection", arguments: [.ringHash, .maglev] as [BalancingPolicy.Algorithm])
  func header(_ algorithm: BalancingPolicy.Algorithm) throws {
    let backends = Self.backends()
    defer { withExtendedLifetime(backends) {} }
    let proxy = try Self.proxy(backends, .header("x-user"), algorithm)
    var owners: Set<String> = []
    for user in 0..<20 {
      let answers = try (0..<5).map { _ in
        try proxy.connect().exchange(Self.get("/", "X-User: \(user)\r\n")).text
      }
      #expect(Set(answers).count == 1)
      owners.formUnion(answers)
    }
    #expect(owners.count > 1)
  }

  @Test("a query parameter keeps its endpoint, also where the rule rewrites the path")
  func query() throws {
    let backends = Self.backends()
    defer { withExtendedLifetime(backends) {} }
    let policy = BackendPolicy(balancing: BalancingPolicy(algorithm: .ringHash, hashSource: .query("id")))
    let rule = RouteRule.toOrders(routeFilters: [.rewrite(URLRewrite(path: .full("/z")))])
    let proxy = try TestProxy.serving(backends.map(\.address), rules: [rule], policy: policy)
    let client = try proxy.connect()
    for id in 0..<10 {
      let answers = try (0..<5).map { try client.exchange(Self.get("/\($0)?x=\($0)&id=\(id)")).text }
      #expect(Set(answers).count == 1)
    }
  }

  @Test("one client address has one endpoint, whatever its port")
  func source() throws {
    let backends = Self.backends()
    defer { withExtendedLifetime(backends) {} }
    let proxy = try Self.proxy(backends, .sourceAddress)
    let answers = try (0..<20).map { _ in try proxy.connect().exchange(Self.get()).text }
    #expect(Set(answers).count == 1)
  }

  @Test("a client without the cookie is given one, and with it comes back to the same endpoint")
  func cookie() throws {
    let backends = Self.backends()
    defer { withExtendedLifetime(backends) {} }
    let proxy = try Self.proxy(backends, .cookie(AffinityCookie(name: "id", lifetime: .seconds(60), path: "/a")))
    let client = try proxy.connect()
    var owners: Set<String> = []
    for _ in 0..<10 {
      let first = try client.exchange(Self.get())
      let field = try #require(first.value("set-cookie"))
      #expect(field.hasSuffix("; Max-Age=60; Path=/a; HttpOnly"))
      let cookie = field.prefix { $0 != ";" }
      #expect(cookie.hasPrefix("id=") && cookie.utf8.count == 19)
      for _ in 0..<3 {
        let next = try client.exchange(Self.get("/", "Cookie: a=b; \(cookie)\r\n"))
        #expect(next.text == first.text)
        #expect(next.value("set-cookie") == nil)
      }
      owners.insert(first.text)
    }
    #expect(owners.count > 1)
  }

  @Test("the application's own cookies stay, and the proxy's own answers bring none")
  func otherCookies() throws {
    let backend = Backend.answering { _ in
      "HTTP/1.1 200 OK\r\nSet-Cookie: own=1\r\nContent-Length: 0\r\n\r\n"
    }
    defer { withExtendedLifetime(backend) {} }
    let source = HashSource.cookie(AffinityCookie(name: "id"))
    let proxy = try Self.proxy([backend], source)
    let http2 = try HTTP2Peer(proxy.connect())
    let answer = try http2.finish(http2.request(.get, "/"))
    #expect(answer.head.values("set-cookie").count == 2)
    let empty = try Self.proxy([], source)
    let failure = try empty.connect().exchange(Self.get())
    #expect(failure.status == 503)
    #expect(failure.value("set-cookie") == nil)
  }

  @Test("a repeat goes to another endpoint, and its answer still brings the cookie")
  func repeated() throws {
    let nobody = ReservedPort()
    defer { withExtendedLifetime(nobody) {} }
    let backend = Backend.named("b")
    defer { withExtendedLifetime(backend) {} }
    let policy = BackendPolicy(
      balancing: BalancingPolicy(algorithm: .maglev, hashSource: .cookie(AffinityCookie(name: "id"))))
    let proxy = try TestProxy.serving([nobody.address, backend.address], policy: policy)
    let client = try proxy.connect()
    for _ in 0..<20 {
      let answer = try client.exchange(Self.get())
      #expect(answer.text == "b")
      #expect(answer.values("set-cookie").count == 1)
    }
  }
}
