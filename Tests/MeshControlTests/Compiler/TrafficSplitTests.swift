import MeshCore
import MeshPolicy
import MeshResources
import Testing

@testable import MeshControl

@Suite("Traffic splits")
struct TrafficSplitTests {
  private func compile(_ manifests: String) -> CompiledMesh {
    MeshCompiler.compile(MeshFixture.snapshot(MeshFixture.orders + manifests))
  }

  private func split(
    _ name: String, _ leaf: String, groups: [String] = [], created: String? = nil, service: String = "orders"
  ) -> String {
    """
    ---
    apiVersion: split.smi-spec.io/v1alpha4
    kind: TrafficSplit
    metadata: {name: \(name), namespace: shop, creationTimestamp: \(created ?? "null")}
    spec:
      service: \(service)
      matches: [\(groups.map { "{kind: HTTPRouteGroup, name: \($0)}" }.joined(separator: ", "))]
      backends: [{service: \(leaf), weight: 1}]

    """
  }

  private func group(_ name: String, _ match: String) -> String {
    """
    ---
    apiVersion: specs.smi-spec.io/v1alpha4
    kind: HTTPRouteGroup
    metadata: {name: \(name), namespace: shop}
    spec: {matches: [{name: m, \(match)}]}

    """
  }

  private func rules(_ mesh: CompiledMesh, _ port: UInt16 = 80) -> [String] {
    (mesh.services[MeshFixture.port("orders", port)]?.rules ?? []).map { rule in
      "\(rule.name): \(rule.matches.count) -> \(rule.backends.map(\.backend.service.name).joined(separator: ","))"
    }
  }

  private func status(_ mesh: CompiledMesh, _ name: String, _ kind: String = "TrafficSplit") -> [String] {
    let status = mesh.routes.first { $0.key.name == name && $0.key.kind == kind }
    return ((status?.parents.flatMap(\.conditions) ?? []) + (status?.conditions ?? [])).map {
      "\($0.kind.rawValue)=\($0.isTrue) \($0.reason): \($0.message)"
    }
  }

  private let resolved = "ResolvedRefs=true ResolvedRefs: every backend exists"

  @Test("a split with matches is for what one of its groups matches; the rest goes to the root itself")
  func matches() {
    let mesh = compile(
      split("ab", "orders-v2", groups: ["beta", "paths"]) + group("beta", "headers: {x-beta: \"1\"}")
        + group("paths", "pathRegex: /new, methods: [GET, PUT]"))
    #expect(
      rules(mesh) == [
        "trafficsplit/shop/ab: 1 -> orders-v2", "trafficsplit/shop/ab: 2 -> orders-v2",
        "service/shop/orders: 0 -> orders",
      ])
    #expect(
      mesh.services[MeshFixture.port("orders")]?.rules[1].matches[0]
        == RouteMatch(path: .regularExpression("(/new).*"), method: "GET"))
    #expect(mesh.warnings == [])
    #expect(status(mesh, "ab") == ["Accepted=true Accepted: splits port 80 of shop/orders", resolved])
    #expect(status(mesh, "beta", "HTTPRouteGroup") == ["Accepted=true Accepted: matches for TrafficSplit shop/ab"])
  }

  @Test("splits with matches go first, then the older; a second one without matches has nothing, and is told")
  func rivals() {
    let mesh = compile(
      split("all", "orders-v1", created: "2026-01-01T00:00:00Z") + split("younger", "orders-v2")
        + split("b", "orders-v2", groups: ["g"]) + split("a", "orders-v1", groups: ["g"])
        + split("old", "orders-v2", groups: ["g"], created: "2026-02-01T00:00:00Z") + group("g", "pathRegex: /a"))
    #expect(
      rules(mesh) == [
        "trafficsplit/shop/old: 1 -> orders-v2", "trafficsplit/shop/a: 1 -> orders-v1",
        "trafficsplit/shop/b: 1 -> orders-v2", "trafficsplit/shop/all: 0 -> orders-v1",
      ])
    #expect(
      status(mesh, "younger") == [
        "Accepted=false RouteReasonConflicted: the split all already splits shop/orders; remove one of the two",
        resolved,
      ])
    #expect(mesh.warnings.map(\.object) == ["TrafficSplit shop/younger"])
  }

  @Test("a group that does not exist matches nothing, and the split says so")
  func missingGroup() {
    let mesh = compile(split("ab", "orders-v2", groups: ["gamma", "betta"]) + group("beta", "methods: [GET]"))
    #expect(rules(mesh) == ["service/shop/orders: 0 -> orders"])
    #expect(
      status(mesh, "ab").last?.hasPrefix("ResolvedRefs=false MatchNotFound: spec.matches[0].name: there is no") == true)
    #expect(mesh.warnings.map(\.field).sorted() == ["", "spec.matches[0].name", "spec.matches[1].name"])
    #expect(mesh.warnings.contains { $0.fix == "did you mean beta?" })
    #expect(
      status(mesh, "beta", "HTTPRouteGroup") == [
        "Accepted=true Accepted: no TrafficSplit and no TrafficTarget names the group, so it has no effect"
      ])
  }

  @Test("on a TCP port a split with matches leaves the connections to the root")
  func tcp() {
    let services =
      MeshFixture.service("db", selector: "{app: db}", ports: "[{name: tcp, port: 5432}]")
      + MeshFixture.service("db-v2", selector: "{app: db2}", ports: "[{name: tcp, port: 5432}]")
    let mesh = compile(
      services + split("ab", "db-v2", groups: ["g"], service: "db") + group("g", "pathRegex: /a"))
    #expect(mesh.services[MeshFixture.port("db", 5432)]?.rules.map(\.name) == ["service/shop/db"])
    #expect(
      status(mesh, "ab").first
        == "Accepted=false NoMatchingParent: port 5432 of shop/db carries TCP, where nothing can be matched: it is not split; "
        + "write appProtocol: http on the Service's port, or remove matches")
    let whole = compile(services + split("all", "db-v2", service: "db"))
    #expect(whole.services[MeshFixture.port("db", 5432)]?.rules.map(\.name) == ["trafficsplit/shop/all"])
  }

  @Test("a leaf that does not exist gets nothing, and the condition names it; a root that does not, no split")
  func references() {
    let mesh = compile(split("s", "orders-v9") + split("t", "orders-v1", service: "order"))
    #expect(
      status(mesh, "s") == [
        "Accepted=true Accepted: splits port 80 of shop/orders",
        "ResolvedRefs=false BackendNotFound: spec.backends[0].service: there is no Service shop/orders-v9 yet; "
          + "it gets no requests",
      ])
    #expect(
      status(mesh, "t").first
        == "Accepted=false NoMatchingParent: there is no Service shop/order, so the split has no effect")
  }

  @Test("a route that takes every port leaves a split none")
  func behindRoute() {
    let route = MeshFixture.route("r", rules: "[{backendRefs: [{name: orders-v1, port: 80}]}]")
    let mesh = compile(route + split("s", "orders-v2"))
    #expect(
      status(mesh, "s").first?.hasPrefix("Accepted=false RouteReasonConflicted: the HTTPRoute shop/r takes") == true
    )
  }

  @Test("port routes are accepted, and say what applies of them")
  func portRoutes() {
    let mesh = compile(
      ["TCPRoute", "UDPRoute"].map { kind in
        "---\napiVersion: specs.smi-spec.io/v1alpha4\nkind: \(kind)\nmetadata: {name: p, namespace: shop}\n"
          + "spec: {matches: {ports: [80]}}\n"
      }.joined())
    #expect(
      status(mesh, "p", "TCPRoute") == [
        "Accepted=true Accepted: no TrafficTarget names it, so it has no effect"
      ])
    #expect(
      status(mesh, "p", "UDPRoute") == [
        "Accepted=true Accepted: the mesh carries TCP only, so it has no effect: UDP goes its own way"
      ])
    #expect(mesh.warnings.map(\.object) == ["TCPRoute shop/p", "UDPRoute shop/p"])
  }

  @Test("a split that is refused, and one whose newer text is, say why")
  func refused() {
    let result = ManifestParser.parse(
      file: "mesh.yaml",
      text: MeshFixture.orders + split("s", "orders"))
    #expect(result.rejected.count == 1)
    var snapshot = MeshFixture.snapshot(MeshFixture.orders)
    for located in result.rejected { snapshot.rejected[located.value.key] = located }
    snapshot.problems = result.errors
    let mesh = MeshCompiler.compile(snapshot)
    #expect(status(mesh, "s").count == 1)
    #expect(status(mesh, "s").first?.hasPrefix("Accepted=false UnsupportedValue: mesh.yaml:") == true)
  }
}
