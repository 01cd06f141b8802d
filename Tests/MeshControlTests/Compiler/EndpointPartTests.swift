import MeshCore
import MeshPolicy
import MeshResources
import Testing

@testable import MeshControl

/// A mesh whose workloads and EndpointSlices change at random.
private struct RollingMesh {
  private static let services = ["a", "b", "c", "d", "limited", "two"]

  private(set) var snapshot: Snapshot
  private var random: SeededRandom

  init(seed: UInt64, more: String = "") {
    random = SeededRandom(seed: seed)
    let ports = "[{name: http, port: 80, targetPort: 8080}, {name: tcp, port: 90, targetPort: 9090, appProtocol: tcp}]"
    var text = Self.services.map { MeshFixture.service($0, selector: "{app: \($0)}", ports: ports) }.joined()
    // Of many workloads, one of an undeclared account, one whose ports do not fit, one that is published while it is not ready.
    text += MeshFixture.service("all", selector: "{tier: front}")
    text += MeshFixture.service("one", selector: "{app: one}", ports: "[{name: http, port: 80, targetPort: 7000}]")
    text += MeshFixture.policy(
      "limited", targets: ["group: \"\", kind: Service, name: limited"],
      "rateLimits: [{requests: 5, period: 1s}]\n  compression: {enabled: true}")
    text += MeshFixture.policy(
      "rolled", targets: ["group: \"\", kind: Service, name: d"],
      "rollout: {stable: {service: a}, canary: {service: b}, steps: [{weight: 20, pause: 1m}]}")
    text += MeshFixture.route("r", parents: ["name: c"], rules: "[{backendRefs: [{name: a, port: 80}]}]")
    text += """
      ---
      apiVersion: v1
      kind: ServiceAccount
      metadata: {name: a, namespace: shop}
      ---
      apiVersion: mesh.apus.dev/v1alpha1
      kind: AuthorizationPolicy
      metadata: {name: closed, namespace: shop}
      spec:
        targetRefs: [{group: "", kind: Service, name: b}]
        defaultMode: deny
      ---
      apiVersion: mesh.apus.dev/v1alpha1
      kind: MeshTLS
      metadata: {name: strict, namespace: shop}
      spec: {selector: {matchLabels: {app: c}}, mode: strict}
      ---
      apiVersion: mesh.apus.dev/v1alpha1
      kind: MeshConfig
      metadata: {name: default, namespace: apus-system}
      spec: {egress: {mode: REGISTRY_ONLY}}

      """
    snapshot = MeshFixture.snapshot(text + more)
  }

  /// Returns the manifests that changed.
  mutating func change() -> Set<ResourceKey> {
    let changed: Set<ResourceKey> = random.next(below: 3) == 0 ? [changeSlice()] : []
    if changed.isEmpty || random.next(below: 8) == 0 {
      for _ in 0...random.next(below: 3) { changeWorkload() }
    }
    return changed
  }

  private mutating func changeWorkload() {
    let host = UInt8(1 + random.next(below: 12))
    let name = "w\(host)"
    let index = snapshot.workloads.firstIndex { $0.name == name }
    switch random.next(below: 4) {
    case 0:
      if let index { snapshot.workloads.remove(at: index) }
    case 1:
      if let index { snapshot.workloads[index].ready.toggle() }
    default:
      let service = (Self.services + ["one", "implicit", "all"])[Int(random.next(below: 9))]
      var labels: [String: String] = random.next(below: 2) == 0 ? ["tier": "front"] : [:]
      if random.next(below: 4) == 0 { labels["app"] = "two" }
      if random.next(below: 3) == 0 { labels[Locality.zoneLabel] = "z\(random.next(below: 2))" }
      if random.next(below: 10) == 0 { labels[Locality.regionLabel] = "r\(random.next(below: 2))" }
      let ports: [UInt16] = [[8080], [8080, 9090], [7000], [9999]][Int(random.next(below: 4))]
      let workload = MeshFixture.workload(
        name, service: service, host: host, ports: ports, labels: labels, ready: random.next(below: 4) != 0)
      if let index { snapshot.workloads[index] = workload } else { snapshot.workloads.append(workload) }
    }
  }

  private mutating func changeSlice() -> ResourceKey {
    let name = "slice-\(random.next(below: 5))"
    let key = ResourceKey(group: "discovery.k8s.io", kind: "EndpointSlice", namespace: "shop", name: name)
    guard random.next(below: 4) != 0 else {
      snapshot.manifests[key] = nil
      return key
    }
    let service = (Self.services + ["nowhere"])[Int(random.next(below: 7))]
    // Some of the addresses are those of workloads.
    let endpoints = (0...random.next(below: 3)).map { _ in
      let address =
        random.next(below: 3) == 0 ? "127.66.0.\(1 + random.next(below: 12))" : "10.0.0.\(random.next(below: 9))"
      return
        "{addresses: [\(address)], conditions: {ready: \(random.next(below: 3) != 0)}, zone: z\(random.next(below: 2))}"
    }
    let text = """
      apiVersion: discovery.k8s.io/v1
      kind: EndpointSlice
      metadata: {name: \(name), namespace: shop, labels: {kubernetes.io/service-name: \(service)}}
      addressType: IPv4
      endpoints: [\(endpoints.joined(separator: ", "))]
      ports: [{name: http, port: 8080}, {name: tcp, port: 9090}]
      """
    for object in ManifestParser.parse(file: "slices.yaml", text: text).objects {
      snapshot.manifests[object.value.key] = object
    }
    return key
  }
}

@Suite("Compiling endpoints again") struct EndpointPartTests {
  @Test(
    "whatever workloads and slices come, change and go, the result is that of compiling everything",
    arguments: 1...6 as ClosedRange<UInt64>)
  func sameAsWhole(_ seed: UInt64) {
    var rolling = RollingMesh(seed: seed)
    var both = PartAndWhole(rolling.snapshot)
    for round in 0..<150 {
      let changed = rolling.change()
      both.check(rolling.snapshot, changed: changed, "seed \(seed), round \(round)")
    }
    // Those that bring or take a service, or say regions of zones, are compiled as a whole.
    #expect((60...145).contains(both.compiler.partCount), "\(both.compiler.partCount)")
  }

  @Test(
    "what more depends on than the endpoints of a service is compiled with the mesh",
    arguments: [
      MeshFixture.policy(
        "idle", targets: ["group: \"\", kind: Service, name: a"], "timeouts: {idle: 3s}"),
      """
      ---
      apiVersion: mesh.apus.dev/v1alpha1
      kind: RequestAuthentication
      metadata: {name: jwt, namespace: shop}
      spec:
        targetRefs: [{group: "", kind: Service, name: a}]
        jwtRules: [{issuer: i, jwksFile: /keys, audiences: [a]}]

      """,
      """
      ---
      apiVersion: access.smi-spec.io/v1alpha4
      kind: IdentityBinding
      metadata: {name: i, namespace: shop}
      spec: {schemes: {podLabelSelectors: [{matchLabels: {app: a}}]}}

      """,
      """
      ---
      apiVersion: mesh.apus.dev/v1alpha1
      kind: Workload
      metadata: {name: outside, namespace: shop, labels: {app: b}}
      spec: {address: 10.0.0.77, ports: [{port: 8080}]}

      """,
    ])
  func whole(_ more: String) {
    var rolling = RollingMesh(seed: 3, more: more)
    var both = PartAndWhole(rolling.snapshot)
    var other = RollingMesh(seed: 3)
    var free = PartAndWhole(other.snapshot)
    for _ in 0..<40 {
      let changed = rolling.change()
      both.check(rolling.snapshot, changed: changed)
      #expect(other.change() == changed)
      free.check(other.snapshot, changed: changed)
    }
    #expect(both.compiler.partCount < free.compiler.partCount)
  }

  @Test("a workload that comes, is not ready, and goes again concerns its service and its own proxy")
  func rolling() {
    var snapshot = MeshFixture.snapshot(MeshFixture.orders)
    snapshot.workloads = (1...3).map { MeshFixture.workload("w\($0)", service: "orders", host: UInt8($0)) }
    var compiler = IncrementalCompiler()
    _ = compiler.compile(snapshot, changed: nil, now: 1)
    snapshot.workloads.append(MeshFixture.workload("w4", service: "orders", host: 4))
    let orders = CompiledKey.endpoints(MeshFixture.port("orders"))
    #expect(compiler.compile(snapshot, changed: [], now: 2).changed == [orders, .workload("w4")])
    snapshot.workloads[3].ready = false
    #expect(compiler.compile(snapshot, changed: [], now: 3).changed == [orders])
    #expect(compiler.mesh.unready[MeshFixture.port("orders")]?.map(\.workload) == ["w4"])
    snapshot.workloads.remove(at: 0)
    let last = compiler.compile(snapshot, changed: [], now: 4)
    #expect(last.changed == [orders] && last.removed == [.workload("w1")])
    #expect(compiler.mesh.endpoints[MeshFixture.port("orders")]?.endpoints.map(\.workload) == ["w2", "w3"])
    #expect(compiler.partCount == 3)
  }

  @Test("two programs at one address are compiled with the mesh: whose it is depends on both")
  func sharedAddress() {
    var snapshot = MeshFixture.snapshot(MeshFixture.orders)
    snapshot.workloads = [MeshFixture.workload("one", service: "orders", host: 1)]
    var both = PartAndWhole(snapshot)
    snapshot.workloads.append(MeshFixture.workload("same", service: "orders", host: 1))
    both.check(snapshot, changed: [])
    snapshot.workloads.remove(at: 0)
    both.check(snapshot, changed: [])
    #expect(both.compiler.partCount == 0)
  }
}
