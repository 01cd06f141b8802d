import MeshCore
import MeshHTTP
import MeshPolicy
import MeshResources
import Testing

@testable import MeshControl

/// The examples of the specification with the tables that it gives for them, and what it leaves open.
@Suite("TrafficTargets")
struct TrafficTargetTests {
  private static let routes = """
    ---
    apiVersion: specs.smi-spec.io/v1alpha4
    kind: TCPRoute
    metadata: {name: api-service-port, namespace: shop}
    spec: {matches: {ports: [8080]}}
    ---
    apiVersion: specs.smi-spec.io/v1alpha4
    kind: HTTPRouteGroup
    metadata: {name: api-service-routes, namespace: shop}
    spec:
      matches:
      - {name: api, pathRegex: /api, methods: ["*"]}
      - {name: metrics, pathRegex: /metrics, methods: [GET]}

    """

  private static func account(_ name: String) -> String { "{kind: ServiceAccount, name: \(name)}" }
  private static func binding(_ name: String) -> String {
    "{kind: IdentityBinding, group: access.smi-spec.io, name: \(name)}"
  }

  private static func target(
    _ name: String, _ destination: String, rules: [String], sources: [String], version: String = "v1alpha4"
  ) -> String {
    """
    ---
    apiVersion: access.smi-spec.io/\(version)
    kind: TrafficTarget
    metadata: {name: \(name), namespace: shop}
    spec:
      destination: \(destination)
      rules: [\(rules.joined(separator: ", "))]
      sources: [\(sources.joined(separator: ", "))]

    """
  }

  private static func bindings(_ names: [String]) -> String {
    names.map { name in
      """
      ---
      apiVersion: access.smi-spec.io/v1alpha4
      kind: IdentityBinding
      metadata: {name: \(name), namespace: shop}
      spec: {schemes: {serviceAccount: \(name)}}

      """
    }.joined()
  }

  private static let port = "{kind: TCPRoute, name: api-service-port}"
  private static func group(_ match: String) -> String {
    "{kind: HTTPRouteGroup, name: api-service-routes, matches: [\(match)]}"
  }

  private static func compile(
    _ manifests: String, ports: [UInt16] = [8080], _ more: [RegisteredWorkload] = []
  ) -> CompiledMesh {
    let workload = MeshFixture.workload("api-1", service: "api-service", host: 3, ports: ports)
    return MeshCompiler.compile(MeshFixture.snapshot(manifests, workloads: [workload] + more))
  }

  /// Whether the workload's port takes a request, or a connection for nil, of an account.
  private static func admits(
    _ mesh: CompiledMesh, _ source: String, _ path: String?, _ method: Method = .get, port: UInt16 = 8080,
    workload: String = "api-1", fields: [(String, String)] = []
  ) -> Bool {
    guard let inbound = mesh.workloads[workload]?.ports.first(where: { $0.port == port }) else {
      Issue.record("no port \(port)")
      return false
    }
    guard let authorization = inbound.authorization else { return true }
    let identity = SPIFFEID(trustDomain: "cluster.local", namespace: "shop", serviceAccount: source)
    var request: MessageHead?
    if let path {
      let head = MessageHead()
      head.method = method
      head.path = head.intern(string: path)
      for (name, value) in fields { head.append(name: name, value: value) }
      request = head
    }
    let call = AuthorizationCall(caller: CallerFacts(identity: identity, address: nil), request: request)
    return Authorizer(authorization).decide(call).verdict == .allow
  }

  // MARK: - The specification's examples

  private static let example =
    routes
    + target(
      "api-service-metrics", binding("api-service"), rules: [port, group("metrics")], sources: [binding("prometheus")])
    + target(
      "api-service-api", binding("api-service"), rules: [port, group("api")],
      sources: [binding("website-service"), binding("payments-service")])
    + bindings(["api-service", "prometheus", "website-service", "payments-service"])

  @Test(
    "the example for HTTP gives its table: source, path, method",
    arguments: [
      ("website-service", "/api", Method.get, true), ("website-service", "/api", Method.delete, true),
      ("payments-service", "/api", Method.post, true), ("prometheus", "/metrics", Method.get, true),
      ("website-service", "/metrics", Method.get, false), ("payments-service", "/metrics", Method.get, false),
      ("prometheus", "/api", Method.get, false), ("prometheus", "/metrics", Method.post, false),
      ("prometheus", "/", Method.get, false),
      ("api-service", "/api", Method.get, false), ("stranger", "/api", Method.get, false),
      ("stranger", "/metrics", Method.get, false),
      // Anchored at the beginning only.
      ("website-service", "/api/orders", Method.get, true), ("website-service", "/apiary", Method.get, true),
      ("website-service", "/v1/api", Method.get, false),
    ])
  func http(source: String, path: String, method: Method, isAdmitted: Bool) {
    let mesh = Self.compile(Self.example)
    #expect(Self.admits(mesh, source, path, method) == isAdmitted)
    #expect(mesh.warnings.filter { $0.code != .accountNotDeclared } == [])
  }

  @Test("beside a group a TCPRoute opens nothing: it bounds the ports") func bounded() {
    let mesh = Self.compile(Self.example, ports: [8080, 9090])
    #expect(!Self.admits(mesh, "website-service", nil))
    #expect(
      !Self.admits(mesh, "website-service", "/api", port: 9090) && !Self.admits(mesh, "prometheus", nil, port: 9090))
  }

  @Test(
    "the example for TCP: the ports of the TCPRoute, and no UDP",
    arguments: [
      (8300 as UInt16, true), (8301, true), (8302, true), (8303, false),
    ])
  func tcp(port: UInt16, isAdmitted: Bool) {
    let manifests =
      """
      ---
      apiVersion: specs.smi-spec.io/v1alpha4
      kind: TCPRoute
      metadata: {name: tcp-ports, namespace: shop}
      spec: {matches: {ports: [8301, 8302, 8300]}}
      ---
      apiVersion: specs.smi-spec.io/v1alpha4
      kind: UDPRoute
      metadata: {name: udp-ports, namespace: shop}
      spec: {matches: {ports: [8301, 8302]}}

      """
      + Self.target(
        "protocol-specific", Self.account("api-service"),
        rules: ["{kind: TCPRoute, name: tcp-ports}", "{kind: UDPRoute, name: udp-ports}"],
        sources: [Self.account("client")])
    let mesh = Self.compile(manifests, ports: [8300, 8301, 8302, 8303])
    #expect(Self.admits(mesh, "client", nil, port: port) == isAdmitted)
    #expect(Self.admits(mesh, "client", "/anything", .post, port: port) == isAdmitted)
    #expect(!Self.admits(mesh, "stranger", nil, port: port))
    #expect(mesh.warnings.contains { $0.code == .smiWithoutEffect && $0.message.contains("UDP goes its own way") })
  }

  // MARK: - What is left open

  @Test("v1alpha1 and v1alpha2 keep their port, which conversions of others lose", arguments: ["v1alpha1", "v1alpha2"])
  func oldPorts(version: String) {
    let fields = """
      destination: {kind: ServiceAccount, name: api-service, port: 8080}
        NAME: [{kind: HTTPRouteGroup, name: api-service-routes}]
        sources: [{kind: ServiceAccount, name: web}]
      """
    let isFlat = version == "v1alpha1"
    let body = fields.replacing("NAME", with: isFlat ? "specs" : "rules")
    let manifest =
      "---\napiVersion: access.smi-spec.io/\(version)\nkind: TrafficTarget\nmetadata: {name: t, namespace: shop}\n"
      + (isFlat
        ? body.split(separator: "\n").map { $0.drop { $0 == " " } }.joined(separator: "\n") : "spec:\n  " + body)
      + "\n"
    let mesh = Self.compile(Self.routes + manifest, ports: [8080, 9090])
    #expect(Self.admits(mesh, "web", "/api") && !Self.admits(mesh, "web", "/other"))
    #expect(!Self.admits(mesh, "web", "/api", port: 9090))
  }

  @Test("what a target names and is not there admits nothing, and is told") func missing() {
    func warnings(_ rules: [String], _ sources: [String]) -> (CompiledMesh, [FindingCode]) {
      let mesh = Self.compile(
        Self.routes + Self.target("t", Self.account("api-service"), rules: rules, sources: sources))
      return (mesh, mesh.warnings.compactMap(\.code).filter { $0 != .smiWithoutEffect })
    }
    let (noGroup, a) = warnings(["{kind: HTTPRouteGroup, name: nobody}"], [Self.account("web")])
    #expect(a == [.targetRuleNotFound] && !Self.admits(noGroup, "web", "/api"))
    let (noMatch, b) = warnings([Self.group("apis")], [Self.account("web")])
    #expect(b == [.targetRuleNotFound] && !Self.admits(noMatch, "web", "/api"))
    #expect(noMatch.warnings.contains { $0.fix == "did you mean api?" })
    let (noPort, c) = warnings(["{kind: TCPRoute, name: nothing}", Self.group("api")], [Self.account("web")])
    #expect(c == [.targetRuleNotFound] && !Self.admits(noPort, "web", "/api"))
    // A rule without callers must not be one for everybody.
    let (nobody, d) = warnings([Self.port], [Self.binding("nobody")])
    #expect(
      d == [.targetIdentityNotFound] && !Self.admits(nobody, "web", "/api") && !Self.admits(nobody, "nobody", nil))
  }

  @Test("a target with an error still protects its destination, and admits nobody") func refused() throws {
    let good = Self.target("t", Self.account("api-service"), rules: [Self.port], sources: [Self.account("web")])
    let bad = good.replacing("rules:", with: "ruels: []\n  rules:")
    let result = ManifestParser.parse(file: "f.yaml", text: Self.routes + bad)
    #expect(result.errors.map(\.field) == ["spec.ruels"] && result.rejected.count == 1)
    var snapshot = MeshFixture.snapshot(
      Self.routes, workloads: [MeshFixture.workload("api-1", service: "api-service", host: 3)])
    let located = try #require(result.rejected.first)
    snapshot.rejected[located.value.key] = located
    #expect(!Self.admits(MeshCompiler.compile(snapshot), "web", "/api"))
  }

  @Test("labels prove nothing: an account counts where all of its workloads are selected") func labels() {
    let manifests =
      """
      ---
      apiVersion: access.smi-spec.io/v1alpha4
      kind: IdentityBinding
      metadata: {name: callers, namespace: shop}
      spec: {schemes: {podLabelSelectors: [{matchLabels: {tier: front}}], spiffeIdentities: [cluster.local/ns/shop/sa/cron]}}

      """ + Self.routes
      + Self.target("t", Self.account("api-service"), rules: [Self.port], sources: [Self.binding("callers")])
    func caller(_ name: String, _ account: String, _ host: UInt8, _ tier: String) -> RegisteredWorkload {
      MeshFixture.workload(name, service: account, host: host, labels: ["tier": tier])
    }
    let mesh = Self.compile(
      manifests,
      [caller("w-1", "web", 4, "front"), caller("m-1", "mixed", 5, "front"), caller("m-2", "mixed", 6, "back")])
    #expect(Self.admits(mesh, "web", nil) && Self.admits(mesh, "cron", nil))
    #expect(!Self.admits(mesh, "mixed", nil))
    #expect(mesh.warnings.contains { $0.code == .bindingIsNarrower && $0.message.contains("sa/mixed") })
  }

  @Test("a destination by labels protects what they select, and no other workload") func selectedDestination() {
    let manifests =
      """
      ---
      apiVersion: access.smi-spec.io/v1alpha4
      kind: IdentityBinding
      metadata: {name: backends, namespace: shop}
      spec: {schemes: {podLabelSelector: {matchLabels: {tier: back}}}}

      """ + Self.routes + Self.target("t", Self.binding("backends"), rules: [Self.port], sources: [Self.account("web")])
    let back = MeshFixture.workload("back-1", service: "api-service", host: 7, labels: ["tier": "back"])
    let mesh = Self.compile(manifests, [back])
    #expect(
      !Self.admits(mesh, "stranger", nil, workload: "back-1") && Self.admits(mesh, "web", nil, workload: "back-1"))
    #expect(Self.admits(mesh, "stranger", nil))
  }

  @Test("headers of a match are regular expressions of the whole value, all of which must hold") func headers() {
    let manifests =
      """
      ---
      apiVersion: specs.smi-spec.io/v1alpha4
      kind: HTTPRouteGroup
      metadata: {name: beta, namespace: shop}
      spec: {matches: [{name: b, headers: {X-Cohort: "beta|gamma", user-agent: ".*Firefox.*"}}]}

      """
      + Self.target(
        "t", Self.account("api-service"), rules: ["{kind: HTTPRouteGroup, name: beta}"], sources: [Self.account("web")])
    let mesh = Self.compile(manifests)
    func admits(_ fields: [(String, String)]) -> Bool { Self.admits(mesh, "web", "/", fields: fields) }
    #expect(admits([("x-cohort", "gamma"), ("User-Agent", "a Firefox b")]))
    #expect(!admits([("x-cohort", "gammas"), ("user-agent", "Firefox")]) && !admits([("x-cohort", "beta")]))
    #expect(!Self.admits(mesh, "web", nil), "a connection has no headers")
  }

  @Test("AuthorizationPolicies are beside it: an allow admits more, a deny takes away") func beside() {
    func policy(_ name: String, _ action: String, _ account: String) -> String {
      """
      ---
      apiVersion: mesh.apus.dev/v1alpha1
      kind: AuthorizationPolicy
      metadata: {name: \(name), namespace: shop}
      spec: {action: \(action), rules: [{from: [{serviceAccounts: [shop/\(account)]}]}]}

      """
    }
    let mesh = Self.compile(Self.example + policy("more", "allow", "ops") + policy("less", "deny", "payments-service"))
    #expect(Self.admits(mesh, "ops", "/metrics", .delete) && !Self.admits(mesh, "payments-service", "/api"))
    #expect(Self.admits(mesh, "website-service", "/api"))
  }
}
