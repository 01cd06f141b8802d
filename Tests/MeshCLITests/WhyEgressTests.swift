import MeshCore
import MeshPolicy
import Testing

@testable import MeshCLI

@Suite("apus why, out of the mesh") struct WhyEgressTests {
  private static let caller = WhyAnswer.Caller(
    workload: "web-1", service: "web", namespace: "shop", identity: "spiffe://cluster.local/ns/shop/sa/web",
    address: "127.66.0.2", ready: true, connected: true, configuration: "SYNCED")

  private static func ask(_ url: String, _ egress: EgressPolicy = EgressPolicy()) throws -> WhyAnswer {
    let api = ServicePort(service: ServiceName(name: "api", namespace: "shop"), port: 80)
    var view = MeshView()
    view.egress = egress
    view.hosts = ExternalHosts([.init(host: "api.example.com", service: api)])
    view.services[api] = ServiceConfig(
      key: api, appProtocol: .http,
      rules: [RouteRule(name: "x", backends: [WeightedBackend(backend: api, weight: 1)])])
    view.endpoints[api] = EndpointSet(
      key: api, endpoints: [Endpoint(address: .loopback(port: 80), workload: "", identity: nil)])
    return WhyReasoning.answer(
      try WhyRequest(url: url), caller: caller, view: view, knownServices: ["orders.shop:80"], now: 0)
  }

  private static let closed = EgressPolicy(
    mode: .registryOnly, allow: [.init(hosts: ["*.good.com"], name: "egress.allow[0]")],
    deny: [.init(hosts: ["api.example.com"], name: "egress.deny[0]")])

  @Test(
    "ALLOW_ANY lets every host out, and says so",
    arguments: ["http://www.example.com/", "http://example.com/", "http://192.0.2.1/"])
  func allowed(_ url: String) throws {
    let answer = try Self.ask(url)
    #expect(answer.delivered && answer.failures == [])
    #expect(
      answer.notes.contains { $0.contains("may leave the mesh for") && $0.hasSuffix(": ALLOW_ANY") }, "\(answer.notes)")
  }

  @Test(
    "what refuses is named",
    arguments: [
      ("http://www.example.com/", "REGISTRY_ONLY"), ("http://example.com/", "REGISTRY_ONLY"),
      ("http://192.0.2.1:8080/", "REGISTRY_ONLY"), ("http://api.example.com/", "egress.deny[0]"),
    ])
  func refused(_ url: String, _ reason: String) throws {
    let answer = try Self.ask(url, Self.closed)
    #expect(!answer.delivered && answer.failures.map(\.status) == [403])
    #expect(answer.failures[0].reason.contains(reason), "\(answer.failures)")
  }

  @Test("an allow rule is named; an ExternalService is none of it") func opened() throws {
    #expect(try Self.ask("http://a.good.com/", Self.closed).notes.contains { $0.hasSuffix("egress.allow[0]") })
    let registered = EgressPolicy(mode: .registryOnly)
    #expect(try Self.ask("http://api.example.com/", registered).service?.name == "api")
  }

  @Test("a name in a namespace of the mesh is a mistake, never a host outside") func mistyped() throws {
    let answer = try Self.ask("http://ordres.shop/")
    #expect(answer.failures.map(\.status) == [404] && answer.failures[0].fix == "did you mean orders.shop?")
  }
}
