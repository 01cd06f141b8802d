import Glibc
import MeshCore
import MeshPolicy
import MeshResources
import Testing

@testable import MeshControl

@Suite("Compilation of sessions")
struct SessionCompilerTests {
  private static func sessions(
    key: SipKey = SipKey(1, 2), kind: String = "HTTPRoute", _ session: String
  )
    -> [SessionPolicy?]
  {
    let backend = "backendRefs: [{name: orders-v1, port: 80}]"
    var snapshot = MeshFixture.snapshot(
      MeshFixture.orders
        + MeshFixture.route(
          "r", kind: kind,
          rules: "[{name: a, \(backend), sessionPersistence: \(session)}, {name: b, \(backend), "
            + "sessionPersistence: \(session)}, {name: c, \(backend)}]"))
    snapshot.sessionKey = key
    return MeshCompiler.compile(snapshot).services[MeshFixture.port("orders")]?.rules.map(\.session) ?? []
  }

  @Test("every rule has a key and a name of its own, the same in each compilation")
  func keys() throws {
    let sessions = Self.sessions("{absoluteTimeout: 60s}")
    #expect(sessions.count == 3 && sessions[2] == nil)
    let (a, b) = (try #require(sessions[0]), try #require(sessions[1]))
    #expect(a.key != b.key && a.carrier != b.carrier)
    #expect(a.absoluteTimeout == .seconds(60))
    #expect(Self.sessions("{absoluteTimeout: 60s}") == sessions)
    #expect(Self.sessions(key: SipKey(1, 3), "{}")[0]?.key != a.key)
    guard case .cookie(let cookie) = a.carrier else { throw NoCookie() }
    #expect(cookie.name.hasPrefix("apus-session-") && cookie.name.utf8.count == 21)
    #expect(cookie.path == "/" && !cookie.isPermanent)
  }

  private struct NoCookie: Error {}

  @Test("a policy's are shared by the rules of its service, those of a route by the route's; a rule's own go before")
  func policies() throws {
    let backend = "backendRefs: [{name: orders-v1, port: 80}]"
    func sessions(_ policy: String, of service: String = "orders") -> [SessionPolicy?] {
      let manifests =
        MeshFixture.orders
        + MeshFixture.route(
          "r",
          rules: "[{name: a, \(backend)}, {name: b, \(backend)}, {name: c, \(backend), sessionPersistence: {}}, "
            + "{name: d, filters: [{type: RequestRedirect, requestRedirect: {port: 81}}]}]") + policy
      return MeshCompiler.compile(MeshFixture.snapshot(manifests)).services[MeshFixture.port(service)]?.rules
        .map(\.session) ?? []
    }
    let block = "sessionPersistence: {sessionName: sid, idleTimeout: 5s}"
    func policy(_ kind: String, _ section: String = "") -> String {
      let isRoute = kind == "HTTPRoute"
      let group = isRoute ? "gateway.networking.k8s.io" : "\"\""
      return MeshFixture.policy(
        "p", targets: ["group: \(group), kind: \(kind), name: \(isRoute ? "r" : "orders")\(section)"], block)
    }
    let cookie = SessionPolicy.Carrier.cookie(.init(name: "sid"))
    let ofService = sessions(policy("Service"))
    #expect(ofService.map { $0?.carrier == cookie } == [true, true, false, false])
    #expect(ofService[0] == ofService[1] && ofService[3] == nil)
    #expect(ofService[0]?.idleTimeout == .seconds(5))
    let ofRoute = sessions(policy("HTTPRoute"))
    #expect(ofRoute[0] == ofRoute[1] && ofRoute[0]?.key != ofService[0]?.key)
    let ofRule = sessions(policy("HTTPRoute", ", sectionName: b"))
    #expect(ofRule.map { $0?.carrier == cookie } == [false, true, false, false])
    #expect(ofRule[1]?.key != ofRoute[1]?.key)
    // Without a route, too, and the service alone.
    let direct = MeshFixture.policy("p", targets: ["group: \"\", kind: Service, name: orders-v1"], block)
    #expect(sessions(direct, of: "orders-v1").map { $0?.carrier } == [cookie])
    #expect(sessions(direct) == sessions(""))
  }

  @Test("what has no requests has no sessions, repeats, times of requests and keys in them, which is told")
  func opaque() {
    let service = MeshFixture.service("db", selector: "{app: db}", ports: "[{port: 5432, appProtocol: tcp}]")
    let policy = MeshFixture.policy(
      "p", targets: ["group: \"\", kind: Service, name: db"],
      "sessionPersistence: {}\n  retries: {attempts: 2}\n  timeouts: {request: 3s, idle: 5s}\n"
        + "  balancer: {algorithm: ringHash, hashOn: {header: x-user}}")
    let mesh = MeshCompiler.compile(MeshFixture.snapshot(service + policy))
    #expect(mesh.services[MeshFixture.port("db", 5432)]?.rules.map(\.session) == [nil])
    #expect(
      Set(mesh.warnings.map { "\($0.field): \($0.message)" })
        == Set(
          ["retries.attempts", "timeouts.request", "sessionPersistence", "balancer.hashOn"].map {
            "spec.\($0): connections have no requests, and every port it applies to carries TCP"
          }))
  }

  @Test("a GRPCRoute's, by header")
  func grpc() {
    let sessions = Self.sessions(kind: "GRPCRoute", "{type: Header, sessionName: X-S, idleTimeout: 5s}")
    #expect(sessions.first??.carrier == .header("x-s"))
    #expect(sessions.first??.idleTimeout == .seconds(5))
  }

  @Test("a change of any field changes the service's hash")
  func hash() {
    let texts = [
      "{}", "{sessionName: a}", "{cookie: {name: a, path: /a}}", "{type: Header, sessionName: a}",
      "{sessionName: a, idleTimeout: 1s}", "{sessionName: a, absoluteTimeout: 1s}",
      "{sessionName: a, absoluteTimeout: 1s, cookieConfig: {lifetimeType: Permanent}}",
    ]
    let hashes = texts.map { text in
      let config = ServiceConfig(
        key: MeshFixture.port("orders"), appProtocol: .http,
        rules: [RouteRule(name: "r", backends: [], session: Self.sessions(text)[0])])
      return ContentHash { $0.add(config) }
    }
    #expect(Set(hashes).count == texts.count)
  }

  @Test("the mesh's secret is made once")
  func secret() throws {
    var template = Array("/tmp/apus-session-XXXXXX".utf8CString)
    let directory = try #require(mkdtemp(&template).map { String(cString: $0) })
    let path = directory + "/session.key"
    defer {
      unlink(path)
      rmdir(directory)
    }
    let key = try SessionSecret.loadOrCreate(path)
    #expect(try SessionSecret.loadOrCreate(path) == key)
    unlink(path)
    #expect(try SessionSecret.loadOrCreate(path) != key)
    let file = try #require(fopen(path, "w"))
    fputs("short", file)
    fclose(file)
    #expect(throws: ControlPlaneError.self) { try SessionSecret.loadOrCreate(path) }
  }
}
