import MeshCore
import MeshPolicy
import MeshResources
import Testing

@testable import MeshControl

@Suite("Compiling fault injections") struct FaultCompilerTests {
  private static func fault(
    _ name: String, _ targets: String..., namespace: String = "shop", created: String? = nil,
    schedule: String = "{end: \"2030-01-01T00:00:00Z\"}"
  ) -> String {
    """
    ---
    apiVersion: mesh.apus.dev/v1alpha1
    kind: FaultInjection
    metadata: {name: \(name), namespace: \(namespace), creationTimestamp: \(created ?? "null")}
    spec:
      targetRefs: [\(targets.map { "{\($0)}" }.joined(separator: ", "))]
      abort: {httpStatus: 503}
      schedule: \(schedule)

    """
  }

  private static func service(_ name: String) -> String { "group: \"\", kind: Service, name: \(name)" }
  private static func route(_ name: String, _ kind: String = "HTTPRoute") -> String {
    "group: gateway.networking.k8s.io, kind: \(kind), name: \(name)"
  }

  private static func compile(_ manifests: String, stopped: Bool = false) -> CompiledMesh {
    var snapshot = MeshFixture.snapshot(MeshFixture.orders + manifests)
    snapshot.areFaultsStopped = stopped
    return MeshCompiler.compile(snapshot)
  }

  private static func names(_ mesh: CompiledMesh, _ port: ServicePort = MeshFixture.port("orders")) -> [[String]] {
    (mesh.services[port]?.rules ?? []).map { $0.faults.map(\.name) }
  }

  private static func conditions(_ mesh: CompiledMesh, _ name: String = "f", at now: Int64 = 0) -> [[String]] {
    let status = mesh.policyStatuses.first { $0.key.name == name && $0.key.kind == "FaultInjection" }
    return (status?.at(now).ancestors ?? []).map { ancestor in
      ancestor.conditions.map { "\($0.kind.rawValue)=\($0.isTrue) \($0.reason)" }
    }
  }

  private static let rules =
    "[{name: first, matches: [{path: {value: /first}}], backendRefs: [{name: orders-v1, port: 80}]}, "
    + "{backendRefs: [{name: orders-v1, port: 80}]}]"
  private static let inForce = ["Accepted=true Accepted", "ResolvedRefs=true ResolvedRefs", "Active=true Active"]

  @Test("a service's faults are its rules', whoever made them, and no other service's")
  func services() {
    let faults = Self.fault("f", Self.service("orders"))
    for manifests in [
      "", MeshFixture.split("orders", "[{service: orders-v1, weight: 1}]"), MeshFixture.route("r", rules: Self.rules),
    ] {
      let mesh = Self.compile(manifests + faults)
      #expect(Self.names(mesh).allSatisfy { $0 == ["shop/f"] } && !Self.names(mesh).isEmpty)
      #expect(Self.names(mesh, MeshFixture.port("orders-v1")) == [[]])
      #expect(Self.conditions(mesh) == [Self.inForce])
    }
  }

  @Test(
    "a server outside the mesh meets faults as a service of it does; one that carries TCP meets none, which is told")
  func externals() {
    func external(_ appProtocol: String) -> String {
      """
      ---
      apiVersion: mesh.apus.dev/v1alpha1
      kind: ExternalService
      metadata: {name: api, namespace: shop}
      spec: {hosts: [api.example.com], resolution: DNS, ports: [{port: 80, appProtocol: \(appProtocol)}]}

      """
    }
    let fault = Self.fault("f", "group: mesh.apus.dev, kind: ExternalService, name: api")
    #expect(Self.names(Self.compile(external("http") + fault), MeshFixture.port("api")) == [["shop/f"]])
    let opaque = Self.compile(external("tcp") + fault)
    #expect(Self.names(opaque, MeshFixture.port("api")) == [[]])
    #expect(opaque.warnings.map(\.message) == ["the ports of shop/api carry TCP, and faults are for requests"])
  }

  @Test("a port, a route and a rule")
  func sections() {
    let two = MeshFixture.service(
      "two", selector: "{app: two}", ports: "[{name: http, port: 80}, {name: other, port: 81}]")
    for section in ["http", "\"80\""] {
      let mesh = Self.compile(two + Self.fault("f", Self.service("two") + ", sectionName: \(section)"))
      #expect(Self.names(mesh, MeshFixture.port("two")) == [["shop/f"]])
      #expect(Self.names(mesh, MeshFixture.port("two", 81)) == [[]])
    }
    let route = MeshFixture.route("r", rules: Self.rules)
    #expect(Self.names(Self.compile(route + Self.fault("f", Self.route("r")))) == [["shop/f"], ["shop/f"]])
    let rule = Self.compile(route + Self.fault("f", Self.route("r") + ", sectionName: first"))
    #expect(Self.names(rule) == [["shop/f"], []])
    let calls = MeshFixture.route("r", kind: "GRPCRoute", rules: "[{backendRefs: [{name: orders-v1, port: 80}]}]")
    #expect(Self.names(Self.compile(calls + Self.fault("f", Self.route("r", "GRPCRoute")))) == [["shop/f"]])
  }

  @Test("the older come first, each once")
  func order() {
    let mesh = Self.compile(
      Self.fault("a", Self.service("orders"), Self.service("orders") + ", sectionName: http")
        + Self.fault("b", Self.service("orders"), created: "\"2026-01-01T00:00:00Z\"")
        + Self.fault("c", Self.service("orders")))
    #expect(Self.names(mesh) == [["shop/b", "shop/a", "shop/c"]])
  }

  @Test("of a consumer route faults are for its clients, and of the service for everybody")
  func consumers() {
    let route = MeshFixture.route(
      "r", namespace: "client", parents: ["name: orders, namespace: shop"],
      rules: "[{backendRefs: [{name: orders-v1, namespace: shop, port: 80}]}]")
    let mesh = Self.compile(
      route + Self.fault("own", Self.route("r"), namespace: "client") + Self.fault("f", Self.service("orders")))
    #expect(Self.names(mesh) == [["shop/f"]])
    let config = mesh.consumers[ConsumerPort(namespace: "client", port: MeshFixture.port("orders"))]
    #expect(config?.rules.map { $0.faults.map(\.name) } == [["client/own", "shop/f"]])
  }

  @Test("the switch takes all of them away, and says so")
  func stopped() {
    let manifests = Self.fault("f", Self.service("orders"))
    let mesh = Self.compile(manifests, stopped: true)
    #expect(Self.names(mesh) == [[]])
    #expect(Self.conditions(mesh) == [Array(Self.inForce.dropLast()) + ["Active=false Stopped"]])
    #expect(!CompiledMesh.difference(from: Self.compile(manifests), to: mesh).isEmpty)
  }

  @Test("each part of a fault counts in the hash")
  func hash() {
    let policy = FaultPolicy(
      name: "a", match: RouteMatch(path: .exact("/")), clients: ["a/b"], delay: .fixed(.seconds(1)),
      abort: FaultAbort(status: 503), requestRate: 1, responseRate: 2, truncateAfter: 3, corruptMillionths: 4,
      schedule: FaultSchedule(start: 1, end: 2, windows: .init(period: 3, length: 4)))
    let changes: [(inout FaultPolicy) -> Void] = [
      { $0.name = "b" }, { $0.match = nil }, { $0.clients = [] }, { $0.millionths = 1 }, { $0.delay = nil },
      { $0.delay = .fixed(.seconds(2)) }, { $0.abort?.status = nil },
      { $0.abort = FaultAbort(status: 503, grpcStatusName: "INTERNAL") },
      { $0.isReset = true }, { $0.requestRate = nil }, { $0.responseRate = 1 }, { $0.truncateAfter = 2 },
      { $0.corruptMillionths = nil }, { $0.schedule.start = nil }, { $0.schedule.end = 3 },
      { $0.schedule.windows = nil }, { $0.schedule.windows?.length = 3 },
    ]
    var hashes: Set<ContentHash> = []
    for change in [{ _ in }] + changes {
      var changed = policy
      change(&changed)
      let rule = RouteRule(name: "r", backends: [], faults: [changed], failureStatus: 500)
      let config = ServiceConfig(key: MeshFixture.port("orders"), appProtocol: .http, rules: [rule])
      hashes.insert(ContentHash { $0.add(config) })
    }
    #expect(hashes.count == changes.count + 1)
  }

  // MARK: - Status

  @Test("what a target does not name, or cannot meet faults, is told")
  func targets() {
    let tcp = MeshFixture.service(
      "db", selector: "{app: db}", ports: "[{name: sql, port: 5432, appProtocol: tcp}]")
    let redirect = MeshFixture.route(
      "moved", rules: "[{filters: [{type: RequestRedirect, requestRedirect: {hostname: a.example}}]}]")
    let mesh = Self.compile(
      tcp + redirect
        + Self.fault(
          "f", Self.service("ordres"), Self.service("db"), Self.service("db") + ", sectionName: sql",
          Self.route("moved")))
    let broken = ["Accepted=false Invalid", "ResolvedRefs=true ResolvedRefs"]
    #expect(
      Self.conditions(mesh) == [
        ["Accepted=false TargetNotFound", "ResolvedRefs=false TargetNotFound"], broken, broken, broken,
      ])
    #expect(
      mesh.warnings.map { "\($0.field): \($0.message)" } == [
        "spec.targetRefs[0]: there is no Service shop/ordres",
        "spec.targetRefs[1]: the ports of shop/db carry TCP, and faults are for requests",
        "spec.targetRefs[2]: port 5432 of shop/db carries TCP, and faults are for requests",
        "spec.targetRefs[3]: all that it names is answered with a redirect, which meets no faults",
      ])
  }

  @Test("a schedule shows in the status as time goes by")
  func schedule() {
    let start: Int64 = 1_767_225_600_000
    let mesh = Self.compile(
      Self.fault(
        "f", Self.service("orders"),
        schedule: "{start: \"2026-01-01T00:00:00Z\", end: \"2026-01-02T00:00:00Z\", every: 1h, for: 1m}"))
    let expected: [(Int64, String)] = [
      (-1, "Active=false NotStarted"), (0, "Active=true Active"), (60_000, "Active=false BetweenWindows"),
      (3_600_000, "Active=true Active"), (86_400_000, "Active=false Ended"),
    ]
    for (offset, text) in expected {
      #expect(Self.conditions(mesh, at: start + offset).first?.last == text)
    }
  }

  @Test("an object that is refused says why")
  func refused() throws {
    let text = Self.fault("f", Self.service("orders")).replacing("httpStatus: 503", with: "httpStatus: 200")
    var store = ManifestStore()
    store.update("a.yaml", text: MeshFixture.orders + text)
    let set = store.merged()
    let mesh = MeshCompiler.compile(
      Snapshot(manifests: set.objects, rejected: set.rejected, problems: set.problems))
    #expect(Self.conditions(mesh) == [["Accepted=false Invalid"]])
    #expect(Self.names(mesh) == [[]])
  }
}
