import MeshCore
import MeshPolicy
import MeshResources
import Testing

@testable import MeshControl

@Suite("Compilation of zones and subsets") struct LocalityCompilerTests {
  private func workload(_ name: String, _ host: UInt8, _ labels: [String: String]) -> RegisteredWorkload {
    MeshFixture.workload(name, service: "orders", host: host, labels: labels)
  }

  private let a = ["topology.kubernetes.io/zone": "a", "topology.kubernetes.io/region": "west"]

  private let slice = """
    ---
    apiVersion: discovery.k8s.io/v1
    kind: EndpointSlice
    metadata: {name: orders-x, namespace: shop, labels: {kubernetes.io/service-name: orders}}
    addressType: IPv4
    ports: [{name: http, port: 8080}]
    endpoints:
    - {addresses: [10.0.0.1], zone: a, nodeName: n}
    - {addresses: [10.0.0.2], zone: b}
    - {addresses: [127.66.0.5], zone: c}

    """

  private func policy(_ blocks: String, targets: [String] = ["group: \"\", kind: Service, name: orders"]) -> String {
    MeshFixture.policy("zones", targets: targets, blocks)
  }

  private func compile(
    _ manifests: String, _ workloads: [RegisteredWorkload] = [], with services: String = MeshFixture.orders
  ) -> CompiledMesh {
    MeshCompiler.compile(MeshFixture.snapshot(services + manifests, workloads: workloads))
  }

  @Test("endpoints have the zone of their labels or of their slice, and the region that any workload of the zone says")
  func places() {
    let mesh = compile(
      slice,
      [
        workload("orders-1", 3, a), workload("orders-2", 4, ["topology.kubernetes.io/zone": "a"]),
        workload("orders-3", 5, [:]),
      ])
    let endpoints = mesh.endpoints[MeshFixture.port("orders")]?.endpoints ?? []
    #expect(
      endpoints.map { "\($0.address.host) \($0.locality.region)/\($0.locality.zone)" } == [
        "10.0.0.1 west/a", "10.0.0.2 /b", "127.66.0.3 west/a", "127.66.0.4 west/a", "127.66.0.5 /c",
      ])
    #expect(mesh.workloads["orders-2"]?.locality == Locality(region: "west", zone: "a"))
    #expect(mesh.warnings == [])
  }

  @Test("a slice tells the zone of a workload that does not say it") func sliceZone() {
    let bare = MeshFixture.service("plain", selector: "{app: nothing}")
    let mesh = compile(
      bare + slice.replacing("service-name: orders", with: "service-name: plain"), [workload("orders-3", 5, [:])])
    let endpoints = mesh.endpoints[MeshFixture.port("plain")]?.endpoints ?? []
    #expect(endpoints.map(\.locality.zone) == ["a", "b", "c"])
  }

  private func locality(_ mesh: CompiledMesh) -> LocalityPolicy? {
    mesh.endpoints[MeshFixture.port("orders")]?.policy.balancing.locality
  }

  @Test("trafficDistribution goes before wider policies, and a policy for the service before it")
  func trafficDistribution() {
    let service = MeshFixture.service(
      "orders", selector: "{app: orders}, trafficDistribution: PreferClose")
    let namespace = policy(
      "balancer: {locality: {overprovisioningPercent: 200}}", targets: ["group: \"\", kind: Namespace, name: shop"])
    let own = MeshFixture.policy(
      "own", targets: ["group: \"\", kind: Service, name: orders"], "balancer: {locality: {enabled: false}}")
    #expect(locality(compile(service, with: "")) == LocalityPolicy())
    #expect(locality(compile(namespace))?.overprovisioningPercent == 200)
    #expect(locality(compile(service + namespace, with: "")) == LocalityPolicy())
    #expect(locality(compile(service + namespace + own, with: "")) == nil)
    let entry = compile(service, with: "").policies.effective(for: MeshFixture.port("orders")).entries[.locality]
    #expect(entry?.source.policy.description == "Service shop/orders")
    let conditions = compile(service + namespace, with: "").policyStatuses.flatMap(\.ancestors).flatMap(\.conditions)
    #expect(!conditions.isEmpty && !conditions.contains { !$0.isTrue })
  }

  @Test("what differs in zone, subset or preference has another hash") func hashes() {
    let port = CompiledKey.endpoints(MeshFixture.port("orders"))
    let texts = [
      "", "locality: {}", "locality: {overprovisioningPercent: 150}", "locality: {activeRequestsPerEndpoint: 2}",
      "locality: {failover: [{from: a, to: [b]}]}", "locality: {failover: [{from: \"*\", to: [b]}]}",
      "locality: {distribution: [{from: a, to: {b: 100}}]}", "subset: {header: a, label: b}",
      "subset: {header: a, label: c}", "subset: {header: a, label: b, default: c}",
      "subset: {header: a, label: b, fallback: none}",
    ]
    var hashes = texts.map { compile($0.isEmpty ? "" : policy("balancer: {\($0)}")).hashes[port] }
    for labels in [[:], ["topology.kubernetes.io/zone": "a"], a] {
      hashes.append(compile("", [workload("orders-1", 3, labels)]).hashes[port])
    }
    #expect(Set(hashes).count == texts.count + 3)
    let zones = [[:], ["topology.kubernetes.io/zone": "a"], a].map {
      compile("", [workload("orders-1", 3, $0)]).hashes[.workload("orders-1")]
    }
    #expect(Set(zones).count == 3)
  }

  @Test("subsets of ports that carry TCP are told to have no effect") func tcp() {
    let tcp = MeshFixture.service("db", selector: "{app: db}", ports: "[{name: tcp, port: 5432}]")
    let mesh = compile(
      tcp + policy("balancer: {subset: {header: a, label: b}}", targets: ["group: \"\", kind: Service, name: db"]))
    #expect(
      mesh.warnings.map { "\($0.field): \($0.message)" } == [
        "spec.balancer.subset: connections have no requests, and every port it applies to carries TCP"
      ])
  }

  // MARK: - Findings

  private func findings(_ manifests: String, _ workloads: [RegisteredWorkload]) -> [String] {
    MeshAnalysis.findings(MeshFixture.snapshot(MeshFixture.orders + manifests, workloads: workloads), isLive: true)
      .filter { [.subsetUnreachable, .zonesUnknown].contains($0.code) }.map {
        "\($0.object) \($0.field): \($0.message)"
      }
  }

  @Test("a subset that no endpoint belongs to is found, in a policy and in a route") func unreachable() {
    let manifests =
      policy("balancer: {subset: {header: X-Version, label: version, default: v8}}")
      + MeshFixture.route(
        "r",
        rules:
          "[{backendRefs: [{name: orders, port: 80, filters: [{type: RequestHeaderModifier, "
          + "requestHeaderModifier: {set: [{name: x-version, value: v9}]}}]}]}]")
    let v1 = workload("orders-1", 3, ["version": "v1"])
    #expect(
      findings(manifests, [v1]) == [
        "TrafficPolicy shop/zones spec.balancer.subset.default: no endpoint of orders.shop:80 has the label version=v8",
        "HTTPRoute shop/r spec.rules[0].backendRefs[0]: sets x-version: v9, and no endpoint of orders.shop:80 has the "
          + "label version=v9",
      ])
    let all = [v1, workload("orders-8", 4, ["version": "v8"]), workload("orders-9", 5, ["version": "v9"])]
    #expect(findings(manifests, all) == [])
  }

  @Test("zones that are to count and are not known are found") func unknownZones() {
    let manifests = policy("balancer: {locality: {}}")
    #expect(
      findings(manifests, [workload("orders-1", 3, [:])]) == [
        "TrafficPolicy shop/zones spec.balancer.locality: of none of the endpoints of orders.shop:80 the zone is known"
      ])
    #expect(findings(manifests, [workload("orders-1", 3, a)]) == [])
    #expect(findings(manifests, []) == [])
  }
}
