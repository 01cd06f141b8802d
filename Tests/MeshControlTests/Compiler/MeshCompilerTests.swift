import MeshCore
import MeshPolicy
import MeshResources
import Testing

@testable import MeshControl

@Suite("Compiler")
struct MeshCompilerTests {
  private let workloads = [
    MeshFixture.workload("orders-1", service: "orders", host: 3, labels: ["version": "v1"]),
    MeshFixture.workload("orders-2", service: "orders", host: 4, labels: ["version": "v2"]),
    MeshFixture.workload("orders-3", service: "orders", host: 5, labels: ["version": "v2"], ready: false),
  ]

  private func compile(_ manifests: String, _ workloads: [RegisteredWorkload]? = nil) -> CompiledMesh {
    MeshCompiler.compile(MeshFixture.snapshot(manifests, workloads: workloads ?? self.workloads))
  }

  private func addresses(_ mesh: CompiledMesh, _ service: String, _ port: UInt16 = 80) -> [String] {
    mesh.endpoints[MeshFixture.port(service, port)]?.endpoints.map(\.address.description) ?? ["no such port"]
  }

  @Test("selectors choose ready workloads, and targetPort their port")
  func selectors() {
    let mesh = compile(MeshFixture.orders)
    #expect(addresses(mesh, "orders") == ["127.66.0.3:8080", "127.66.0.4:8080"])
    #expect(addresses(mesh, "orders-v2") == ["127.66.0.4:8080"])
    #expect(mesh.endpoints[MeshFixture.port("orders")]?.endpoints.first?.identity == workloads[0].identity)
    #expect(mesh.services[MeshFixture.port("orders")]?.rules.map(\.name) == ["service/shop/orders"])
    #expect(mesh.workloads["orders-1"]?.ports.map(\.service) == [MeshFixture.port("orders")])
    #expect(mesh.warnings.isEmpty)
  }

  @Test("a service without a manifest has its workloads' ports, and port 80 leads to the first")
  func implicitService() {
    let mesh = compile("", [MeshFixture.workload("w", service: "web", host: 9, ports: [9000, 9001])])
    #expect(mesh.services.keys.sorted() == [80, 9000, 9001].map { MeshFixture.port("web", $0) })
    #expect(addresses(mesh, "web") == ["127.66.0.9:9000"])
    #expect(addresses(mesh, "web", 9001) == ["127.66.0.9:9001"])
  }

  @Test("the only port of a workload stands in for the only port of its service; otherwise a warning tells")
  func standIn() {
    let web = [MeshFixture.workload("w", service: "web", host: 9, ports: [9000])]
    let one = compile(MeshFixture.service("web", selector: "{app: web}"), web)
    #expect(addresses(one, "web") == ["127.66.0.9:9000"])
    let two = compile(
      MeshFixture.service(
        "web", selector: "{app: web}",
        ports: "[{name: a, port: 80, targetPort: 8080}, {name: b, port: 81, targetPort: 9000}]"),
      web)
    #expect(addresses(two, "web") == [])
    #expect(addresses(two, "web", 81) == ["127.66.0.9:9000"])
    #expect(
      two.warnings.map(\.message) == ["port 80 leads to 8080, but the workload w has 9000"])
  }

  @Test("EndpointSlices and Workload objects add endpoints; an address of the mesh keeps its identity")
  func staticEndpoints() {
    let mesh = compile(
      MeshFixture.orders + """
        ---
        apiVersion: discovery.k8s.io/v1
        kind: EndpointSlice
        metadata: {name: orders-x, namespace: shop, labels: {kubernetes.io/service-name: orders}}
        addressType: IPv4
        endpoints:
        - {addresses: [10.0.0.1], targetRef: {kind: Pod, name: old}}
        - {addresses: [10.0.0.2], conditions: {ready: false}}
        - {addresses: [127.66.0.3]}
        ports: [{name: http, port: 8080}]
        ---
        apiVersion: mesh.apus.dev/v1alpha1
        kind: Workload
        metadata: {name: vm, namespace: shop}
        spec: {address: 10.0.0.9, ports: [{port: 8080}], serviceAccount: vm, labels: {app: orders}}
        """)
    #expect(
      addresses(mesh, "orders") == ["10.0.0.1:8080", "10.0.0.9:8080", "127.66.0.3:8080", "127.66.0.4:8080"])
    let endpoints = mesh.endpoints[MeshFixture.port("orders")]?.endpoints ?? []
    #expect(endpoints.map(\.workload) == ["old", "vm", "orders-1", "orders-2"])
    #expect(
      endpoints.map { $0.identity?.serviceAccount } == [nil, "vm", "orders", "orders"])
  }

  @Test("a TrafficSplit weighs leaves that have the port, leaves out the others, and answers 503 without one")
  func trafficSplit() {
    let split = MeshFixture.split("orders", "[{service: orders-v1, weight: 90}, {service: orders-v9, weight: 10}]")
    let mesh = compile(MeshFixture.orders + split)
    let rule = mesh.services[MeshFixture.port("orders")]?.rules.first
    #expect(rule?.name == "trafficsplit/shop/orders")
    #expect(rule?.backends == [WeightedBackend(backend: MeshFixture.port("orders-v1"), weight: 90)])
    #expect(rule?.failureStatus == nil)
    #expect(mesh.warnings.map(\.field) == ["spec.backends[1].service"])
    let dead = compile(MeshFixture.orders + MeshFixture.split("s", "[{service: orders-v1, weight: 0}]"))
    #expect(dead.services[MeshFixture.port("orders")]?.rules.first?.failureStatus == 503)
  }

  @Test("an HTTPRoute goes before a TrafficSplit, and the split's author is told")
  func routeBeforeSplit() {
    let route = MeshFixture.route("r", rules: "[{backendRefs: [{name: orders-v2, port: 80}]}]")
    let mesh = compile(MeshFixture.orders + route + MeshFixture.split("s", "[{service: orders-v1, weight: 1}]"))
    #expect(mesh.services[MeshFixture.port("orders")]?.rules.map(\.name) == ["httproute/shop/r#0"])
    #expect(mesh.warnings.map(\.object) == ["TrafficSplit shop/s"])
  }

  @Test("the share of a backend that does not exist answers 500, and so does a rule without backends")
  func missingBackends() {
    let rules = """
      [{backendRefs: [{name: orders-v1, port: 80, weight: 3}, {name: none, port: 80}, {name: orders-v2, port: 81}]},
       {matches: [{path: {value: /empty}}]}]
      """
    let mesh = compile(MeshFixture.orders + MeshFixture.route("r", rules: rules))
    let compiled = mesh.services[MeshFixture.port("orders")]?.rules ?? []
    #expect(compiled.map(\.failureStatus) == [500, nil])
    #expect(compiled.last?.backends.map(\.failureStatus) == [nil, 500, 500])
    #expect(compiled.last?.backends.map(\.weight) == [3, 1, 1])
  }

  @Test("the order of the snapshot's parts changes nothing", arguments: UInt64(0)..<20)
  func determinism(seed: UInt64) {
    let manifests =
      MeshFixture.orders + MeshFixture.route("r", rules: "[{backendRefs: [{name: orders-v1, port: 80}]}]")
      + MeshFixture.split("s", "[{service: orders-v1, weight: 1}]")
    let snapshot = MeshFixture.snapshot(manifests, workloads: workloads)
    var random = SeededRandom(seed: seed)
    var shuffled = Snapshot(workloads: workloads.shuffled(using: &random))
    for key in snapshot.manifests.keys.shuffled(using: &random) { shuffled.manifests[key] = snapshot.manifests[key] }
    let (a, b) = (MeshCompiler.compile(snapshot), MeshCompiler.compile(shuffled))
    #expect(a.hashes == b.hashes)
    #expect(a.warnings == b.warnings)
    #expect(a.services == b.services)
    #expect(a.endpoints == b.endpoints)
    #expect(a.workloads == b.workloads)
  }

  @Test("a hash is the same in every process")
  func stableHash() {
    let hash = ContentHash { $0.add(EndpointSet(key: MeshFixture.port("web"), endpoints: [])) }
    #expect(hash.description == "ae832f8db9cc73618bb395259b4ec9e1")
    #expect(hash.bytes.count == 16)
  }

  @Test("the difference names what changed and what is gone")
  func difference() {
    let old = compile(MeshFixture.orders)
    var fewer = workloads
    fewer.removeFirst()
    let new = compile(MeshFixture.orders, fewer)
    let difference = CompiledMesh.difference(from: old, to: new)
    #expect(
      difference.changed == [.endpoints(MeshFixture.port("orders")), .endpoints(MeshFixture.port("orders-v1"))])
    #expect(difference.removed == [.workload("orders-1")])
    #expect(CompiledMesh.difference(from: new, to: new).isEmpty)
  }
}
