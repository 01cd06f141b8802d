import MeshPolicy
import MeshResources
import Testing

@testable import MeshControl

@Suite("Routes for connections")
struct ConnectionRouteTests {
  private let db =
    MeshFixture.service("db", selector: "{app: db}", ports: "[{name: tcp, port: 5432}, {name: http, port: 80}]")
    + MeshFixture.service("db-v1", selector: "{app: db, version: v1}", ports: "[{name: tcp, port: 5432}]")
    + MeshFixture.service("db-v2", selector: "{app: db, version: v2}", ports: "[{port: 5432, appProtocol: http2}]")

  private func compile(_ manifests: String) -> CompiledMesh {
    MeshCompiler.compile(MeshFixture.snapshot(db + manifests))
  }

  private func tcp(
    _ name: String, _ backends: String = "{name: db-v1, port: 5432}", namespace: String = "shop",
    created: String? = nil,
    parents: [String] = ["name: db, namespace: shop"], kind: String = "TCPRoute"
  ) -> String {
    MeshFixture.route(
      name, kind: kind, namespace: namespace, created: created, parents: parents,
      rules: "[{backendRefs: [\(backends)]}]")
  }

  private func accepted(_ mesh: CompiledMesh, _ name: String, _ kind: String = "TCPRoute") -> [String] {
    let status = mesh.routes.first { $0.key.name == name && $0.key.kind == kind }
    return (status?.parents ?? []).map { parent in
      parent.conditions[0].isTrue ? parent.conditions[0].message : "\(parent.conditions[0].reason)"
    }
  }

  @Test("a UDPRoute is checked, and no parent takes it") func udp() {
    let mesh = compile(tcp("u", kind: "UDPRoute"))
    let status = mesh.routes.first { $0.key.kind == "UDPRoute" }
    #expect(
      status?.parents.flatMap(\.conditions).map { "\($0.kind.rawValue) \($0.isTrue) \($0.reason): \($0.message)" } == [
        "Accepted false NoMatchingParent: the mesh carries TCP only, so no port takes the route: UDP goes its own way; "
          + "remove the route"
      ])
    #expect(
      mesh.warnings.map { "\($0.object) \($0.field)" } == ["UDPRoute shop/u spec.parentRefs"])
    #expect(mesh.services[MeshFixture.port("db", 5432)]?.rules.map(\.name) == ["service/shop/db"])
    let wrong = ManifestParser.parse(
      file: "f.yaml", text: tcp("u", "{name: db-v1}", kind: "UDPRoute"))
    #expect(wrong.rejected.count == 1 && wrong.errors.map(\.field) == ["spec.rules[0].backendRefs[0].port"])
  }

  @Test("a TCPRoute splits the connections of its parent's ports by weight, and makes their bytes opaque")
  func weights() {
    let mesh = compile(tcp("r", "{name: db-v1, port: 5432, weight: 3}, {name: db-v2, port: 5432, weight: 0}"))
    let expected = RouteRule(
      name: "tcproute/shop/r#0",
      backends: [
        WeightedBackend(backend: MeshFixture.port("db-v1", 5432), weight: 3),
        WeightedBackend(backend: MeshFixture.port("db-v2", 5432), weight: 0),
      ])
    for port in [5432, 80] as [UInt16] {
      let config = mesh.services[MeshFixture.port("db", port)]
      #expect(config?.rules == [expected])
      #expect(config?.appProtocol == .tcp)
    }
    // What the endpoints speak is another question.
    #expect(mesh.endpoints[MeshFixture.port("db-v2", 5432)]?.appProtocol == .http2)
    #expect(mesh.warnings == [])
    #expect(accepted(mesh, "r") == ["attached to ports 80, 5432 of shop/db"])
  }

  @Test("the share of what does not exist is refused, and all of a rule in which nothing can serve")
  func invalid() {
    let half = compile(tcp("r", "{name: db-v1, port: 5432}, {name: none, port: 5432}"))
    #expect(half.services[MeshFixture.port("db", 5432)]?.rules.map(\.failureStatus) == [nil])
    #expect(half.services[MeshFixture.port("db", 5432)]?.rules[0].backends.map(\.failureStatus) == [nil, 500])
    #expect(
      half.warnings.map(\.message) == ["there is no Service shop/none; its share is closed"])
    for backends in ["{name: db-v1, port: 1}", "{name: db-v1, port: 5432, weight: 0}", "{kind: Bucket, name: b}"] {
      #expect(compile(tcp("r", backends)).services[MeshFixture.port("db", 5432)]?.rules.map(\.failureStatus) == [500])
    }
    let zero = compile(tcp("r", "{name: db-v1, port: 5432, weight: 0}"))
    #expect(zero.warnings.map(\.message) == ["all weights are 0, so the rule closes its connections"])
  }

  @Test("an HTTPRoute goes before a TCPRoute at the port that both name; a TCP port leaves it the TCPRoute")
  func kinds() {
    let http = MeshFixture.route("h", parents: ["name: db"], rules: "[{backendRefs: [{name: db-v2, port: 5432}]}]")
    let mesh = compile(http + tcp("r") + tcp("s", parents: ["name: db, port: 80"]))
    #expect(mesh.services[MeshFixture.port("db", 80)]?.rules.map(\.name) == ["httproute/shop/h#0"])
    #expect(mesh.services[MeshFixture.port("db", 80)]?.appProtocol == .http)
    #expect(mesh.services[MeshFixture.port("db", 5432)]?.rules.map(\.name) == ["tcproute/shop/r#0"])
    let note =
      "port 80 of shop/db follows the HTTPRoute shop/h, and only one kind of route applies to a port; remove one of the "
      + "two, or name another port"
    #expect(accepted(mesh, "r") == ["attached to port 5432 of shop/db; \(note)"])
    #expect(accepted(mesh, "s") == ["RouteReasonConflicted"])
  }

  @Test("of several TCPRoutes the oldest takes the connections; the others are accepted, and told")
  func oldest() {
    let mesh = compile(
      tcp("a", parents: ["name: db, port: 5432"])
        + tcp("b", "{name: db-v2, port: 5432}", created: "2026-01-01T00:00:00Z"))
    #expect(mesh.services[MeshFixture.port("db", 5432)]?.rules.map(\.name) == ["tcproute/shop/b#0"])
    #expect(
      accepted(mesh, "a") == [
        "attached to port 5432 of shop/db; the older TCPRoute shop/b takes every connection to port 5432 of shop/db; "
          + "remove one of the two, or join their backendRefs"
      ])
    #expect(accepted(mesh, "b") == ["attached to ports 80, 5432 of shop/db"])
  }

  @Test("a consumer's TCPRoute is for its namespace, and the port stays HTTP for the others")
  func consumers() {
    let mesh = compile(tcp("c", "{name: db-v2, namespace: shop, port: 5432}", namespace: "web"))
    let port = MeshFixture.port("db", 80)
    #expect(mesh.services[port]?.appProtocol == .http)
    let consumer = mesh.consumers[ConsumerPort(namespace: "web", port: port)]
    #expect(consumer?.appProtocol == .tcp)
    #expect(consumer?.rules.map(\.name) == ["tcproute/web/c#0"])
    // The other way about: the producers' route makes the port opaque for all but the consumer's clients.
    let http = MeshFixture.route(
      "h", namespace: "web", parents: ["name: db, namespace: shop, port: 80"],
      rules: "[{backendRefs: [{name: db-v2, namespace: shop, port: 5432}]}]")
    let other = compile(tcp("p") + http)
    #expect(other.services[port]?.appProtocol == .tcp)
    #expect(other.consumers[ConsumerPort(namespace: "web", port: port)]?.appProtocol == .http)
  }

  // MARK: - TLSRoute

  private func tls(
    _ name: String, _ names: String, created: String? = nil, parent: String = "name: db, port: 5432"
  ) -> String {
    """
    ---
    apiVersion: gateway.networking.k8s.io/v1alpha2
    kind: TLSRoute
    metadata: {name: \(name), namespace: shop, creationTimestamp: \(created ?? "null")}
    spec:
      parentRefs: [{group: "", kind: Service, \(parent)}]
      hostnames: [\(names)]
      rules: [{backendRefs: [{name: db-v1, port: 5432}]}]

    """
  }

  @Test("a TLSRoute's rules go by server names; it goes before a TCPRoute, and after an HTTPRoute")
  func serverNames() {
    let http = MeshFixture.route(
      "h", parents: ["name: db, port: 80"], rules: "[{backendRefs: [{name: db-v2, port: 5432}]}]")
    let mesh = compile(http + tcp("t") + tls("s", "a.example, '*.b.example'", parent: "name: db"))
    let rules = mesh.services[MeshFixture.port("db", 5432)]?.rules
    #expect(rules?.map(\.name) == ["tlsroute/shop/s#0"])
    #expect(rules?.map(\.serverNames) == [["a.example", "*.b.example"]])
    #expect(mesh.services[MeshFixture.port("db", 80)]?.rules.map(\.name) == ["httproute/shop/h#0"])
    #expect(accepted(mesh, "t") == ["RouteReasonConflicted"])
    #expect(accepted(mesh, "s", "TLSRoute")[0].hasPrefix("attached to port 5432 of shop/db; port 80 of"))
  }

  @Test("the older TLSRoute has the names that two want; the younger is accepted, and told which")
  func rivals() {
    let mesh = compile(
      tls("b", "a.example, b.example, c.example") + tls("a", "c.example, d.example, a.example") + tls("c", "")
        + tls("d", "")
        + tls("z", "e.example", created: "2026-01-01T00:00:00Z"))
    #expect(
      mesh.services[MeshFixture.port("db", 5432)]?.rules.map(\.name)
        == ["z", "a", "b", "c", "d"].map { "tlsroute/shop/\($0)#0" })
    let fix = "remove one of the two, or join their backendRefs"
    #expect(
      ["a", "b", "c", "d"].map { accepted(mesh, $0, "TLSRoute") }
        == [
          "",
          "; the older TLSRoute shop/a takes the connections for a.example, c.example at port 5432 of shop/db; \(fix)",
          "",
          "; the older TLSRoute shop/c takes every other server's connections to port 5432 of shop/db; \(fix)",
        ].map { ["attached to port 5432 of shop/db\($0)"] })
  }

  @Test("a TLSRoute without hostnames is for TLS connections only, whatever name they give")
  func everyName() {
    let rules = compile(tls("a", "")).services[MeshFixture.port("db", 5432)]?.rules
    #expect(rules?.map(\.serverNames) == [["*"]])
  }

  @Test("a change of names is a change of the service")
  func hashOfNames() {
    let key = CompiledKey.service(MeshFixture.port("db", 5432))
    let difference = CompiledMesh.difference(from: compile(tls("a", "a.example")), to: compile(tls("a", "b.example")))
    #expect(difference == CompiledDifference(changed: [key], removed: []))
  }
}
