import MeshCore
import MeshPolicy
import MeshResources
import Testing

@testable import MeshControl

/// A mesh whose routes change at random.
private struct ChangingMesh {
  static let services = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "split"]

  private(set) var snapshot: Snapshot
  private var random: SeededRandom
  private var revision = 0

  init(seed: UInt64) {
    random = SeededRandom(seed: seed)
    let ports = "[{name: http, port: 80, targetPort: 8080}, {name: tcp, port: 90, appProtocol: tcp}]"
    var text = Self.services.map { MeshFixture.service($0, selector: "{app: \($0)}", ports: ports) }.joined()
    text += """
      ---
      apiVersion: split.smi-spec.io/v1alpha4
      kind: TrafficSplit
      metadata: {name: split, namespace: shop}
      spec: {service: split, backends: [{service: a, weight: 1}]}

      """
    text += MeshFixture.policy(
      "of-c", targets: ["group: \"\", kind: Service, name: c"], "limits: {connections: 10}\n  sessionPersistence: {}")
    text += """
      ---
      apiVersion: mesh.apus.dev/v1alpha1
      kind: ExternalService
      metadata: {name: out, namespace: shop}
      spec: {hosts: [out.example.com], resolution: DNS, ports: [{port: 80}, {port: 90, appProtocol: tcp}]}

      """
    text += MeshFixture.policy(
      "of-kept", targets: ["group: gateway.networking.k8s.io, kind: HTTPRoute, name: kept"], "timeouts: {request: 3s}")
    text += MeshFixture.route("kept", parents: ["name: e"], rules: "[{backendRefs: [{name: e, port: 80}]}]")
    text += MeshFixture.policy(
      "of-d", targets: ["group: \"\", kind: Service, name: d"],
      "rollout: {stable: {service: a}, canary: {service: b}, steps: [{weight: 20, pause: 1m}]}")
    snapshot = MeshFixture.snapshot(text)
    snapshot.rollouts = ["shop/of-d": RolloutShare(versions: .init(stable: "a", canary: "b"), weight: 20)]
  }

  /// A route comes, changes or goes. Returns its key.
  mutating func edit() -> ResourceKey {
    revision += 1
    let name = "r\(random.next(below: 8))"
    let kind = ["HTTPRoute", "HTTPRoute", "HTTPRoute", "GRPCRoute"][Int(random.next(below: 4))]
    // Routes of another namespace are for its own clients.
    let namespace = random.next(below: 4) == 0 ? "pay" : "shop"
    let key = ResourceKey(group: "gateway.networking.k8s.io", kind: kind, namespace: namespace, name: name)
    if random.next(below: 4) == 0 {
      snapshot.manifests[key] = nil
      return key
    }
    let isExternal = random.next(below: 5) == 0
    let parents = Set((0...(random.next(below: 6) == 0 ? 1 : 0)).map { _ in service() }).sorted().map { parent in
      "name: \(parent), namespace: shop\(random.next(below: 3) == 0 ? ", port: 90" : "")"
    }
    var text = MeshFixture.route(
      name, kind: kind, namespace: namespace, created: "\"2024-01-0\(1 + random.next(below: 9))T00:00:00Z\"",
      parents: isExternal ? ["name: out, namespace: shop"] : parents,
      rules: "[{backendRefs: [{name: \(service()), namespace: shop, port: 80, weight: \(1 + random.next(below: 9))}]}]")
    if isExternal { text.replace("group: \"\", kind: Service", with: "group: mesh.apus.dev, kind: ExternalService") }
    let parsed = ManifestParser.parse(file: "r\(revision).yaml", text: text)
    #expect(parsed.errors.filter { $0.severity == .error } == [])
    for object in parsed.objects { snapshot.manifests[object.value.key] = object }
    return key
  }

  /// Now and then one that does not exist.
  private mutating func service() -> String {
    let index = random.next(below: Self.services.count + 1)
    return index < Self.services.count ? Self.services[index] : "nowhere"
  }
}

@Suite("Compiling a part again") struct IncrementalCompilerTests {
  @Test(
    "whatever routes come, change and go, the result is that of compiling everything",
    arguments: 1...4 as ClosedRange<UInt64>)
  func sameAsWhole(_ seed: UInt64) {
    var changing = ChangingMesh(seed: seed)
    var both = PartAndWhole(changing.snapshot)
    for _ in 0..<100 {
      let changed = changing.edit()
      both.check(changing.snapshot, changed: [changed])
    }
    // Those that reach the split, the rollout or the route with a policy are compiled as a whole.
    #expect((20...90).contains(both.compiler.partCount))
  }

  @Test("what is not known to be the change of routes alone compiles everything")
  func whole() {
    let route = MeshFixture.route("r", rules: "[{backendRefs: [{name: orders-v1, port: 80}]}]")
    let key = ResourceKey(group: "gateway.networking.k8s.io", kind: "HTTPRoute", namespace: "shop", name: "r")
    let snapshot = MeshFixture.snapshot(MeshFixture.orders + route)
    func parts(_ changed: Set<ResourceKey>?, _ edit: (inout Snapshot) -> Void) -> Int {
      var compiler = IncrementalCompiler()
      var next = snapshot
      _ = compiler.compile(snapshot, changed: [], now: 1)
      edit(&next)
      _ = compiler.compile(next, changed: changed, now: 1)
      return compiler.partCount
    }
    let service = ResourceKey(group: "", kind: "Service", namespace: "shop", name: "orders")
    #expect(parts([key]) { $0.manifests[key] = nil } == 1)
    #expect(parts([]) { _ in } == 1)
    #expect(parts(nil) { _ in } == 0)
    #expect(parts([key, service]) { $0.manifests[key] = nil } == 0)
    #expect(parts([key]) { $0.workloads = [MeshFixture.workload("o", service: "orders", host: 9)] } == 0)
    #expect(parts([key]) { $0.areFaultsStopped = true } == 0)
    let share = RolloutShare(versions: .init(stable: "a", canary: "b"), weight: 1)
    #expect(parts([key]) { $0.rollouts = ["shop/o": share] } == 0)
  }

  @Test("which route a policy's author meant depends on all routes")
  func suggestions() {
    let rules = "[{backendRefs: [{name: orders-v1, port: 80}]}]"
    let policy = MeshFixture.policy(
      "p", targets: ["group: gateway.networking.k8s.io, kind: HTTPRoute, name: rout"], "timeouts: {request: 3s}")
    let key = ResourceKey(group: "gateway.networking.k8s.io", kind: "HTTPRoute", namespace: "shop", name: "route")
    var compiler = IncrementalCompiler()
    _ = compiler.compile(MeshFixture.snapshot(MeshFixture.orders + policy), changed: nil, now: 1)
    let routed = MeshFixture.snapshot(MeshFixture.orders + policy + MeshFixture.route("route", rules: rules))
    _ = compiler.compile(routed, changed: [key], now: 1)
    #expect(compiler.mesh.warnings.map(\.fix) == ["did you mean route?"])
  }

  @Test("a condition keeps the time at which it came to be what it is")
  func times() throws {
    let key = ResourceKey(group: "gateway.networking.k8s.io", kind: "HTTPRoute", namespace: "shop", name: "r")
    func snapshot(_ backend: String) -> Snapshot {
      MeshFixture.snapshot(
        MeshFixture.orders + MeshFixture.route("r", rules: "[{backendRefs: [{name: \(backend), port: 80}]}]"))
    }
    var compiler = IncrementalCompiler()
    _ = compiler.compile(snapshot("orders-v1"), changed: nil, now: 1)
    _ = compiler.compile(snapshot("nowhere"), changed: [key], now: 2)
    #expect(compiler.partCount == 1)
    #expect(try #require(compiler.mesh.routes.first).parents[0].conditions.map(\.since) == [1, 2])
    _ = compiler.compile(snapshot("orders-v2"), changed: [key], now: 3)
    #expect(try #require(compiler.mesh.routes.first).parents[0].conditions.map(\.since) == [1, 3])
  }
}
