import MeshCore
import MeshPolicy
import MeshResources
import Testing

@testable import MeshControl

@Suite("Compilation of health checks and rate limits") struct CheckAndRateCompilerTests {
  private let namespace = "group: \"\", kind: Namespace, name: shop"
  private func service(_ name: String) -> String { "group: \"\", kind: Service, name: \(name)" }

  private func compile(_ manifests: String) -> CompiledMesh { MeshFixture.compileWithOrders(manifests) }

  @Test("a health check is the endpoints', as a whole of the most specific policy, and may be switched off")
  func healthChecks() {
    let compiled = compile(
      MeshFixture.policy("n", targets: [namespace], "healthCheck: {http: {path: /a}, interval: 1s}")
        + MeshFixture.policy("s", targets: [service("orders-v1")], "healthCheck: {tcp: {}}")
        + MeshFixture.policy("none", targets: [service("orders-v2")], "healthCheck: {enabled: false}"))
    func check(_ name: String) -> HealthCheckPolicy? { compiled.endpoints[MeshFixture.port(name)]?.policy.healthCheck }
    var wide = HealthCheckPolicy(probe: .http(.init(path: "/a")))
    wide.interval = .seconds(1)
    #expect(check("orders") == wide)
    #expect(check("orders-v1") == HealthCheckPolicy(probe: .tcp))
    #expect(check("orders-v2") == nil)
    let key = MeshFixture.port("orders")
    let other = compile(MeshFixture.policy("n", targets: [service("orders")], "healthCheck: {http: {path: /b}}"))
    #expect(
      CompiledMesh.difference(from: compile(""), to: other)
        == CompiledDifference(changed: [.endpoints(key)], removed: []))
  }

  @Test("limits of a service are kept by its endpoints' proxies, those of a route by its clients'")
  func rateLimits() {
    let route = MeshFixture.route(
      "r",
      rules: "[{name: own, backendRefs: [{name: orders-v1, port: 80}]}, "
        + "{name: mine, matches: [{path: {value: /mine}}], backendRefs: [{name: orders-v1, port: 80}]}]")
    let ofRoute = "group: gateway.networking.k8s.io, kind: HTTPRoute, name: r"
    let compiled = compile(
      route
        + MeshFixture.policy("n", targets: [namespace], "rateLimits: [{requests: 1, period: 1s}]")
        + MeshFixture.policy("s", targets: [service("orders")], "rateLimits: [{requests: 2, period: 1s, caller: true}]")
        + MeshFixture.policy("r", targets: [ofRoute], "rateLimits: [{requests: 3, period: 1s}]")
        + MeshFixture.policy("m", targets: [ofRoute + ", sectionName: mine"], "rateLimits: []"))
    #expect(compiled.workloads["w"]?.ports.map(\.rateLimits) == [[RateLimit(2, per: .seconds(1), key: .caller)]])
    let rules = compiled.services[MeshFixture.port("orders")]?.rules ?? []
    #expect(rules.first { $0.name.hasSuffix("#own") }?.rateLimits == [RateLimit(3, per: .seconds(1))])
    #expect(rules.first { $0.name.hasSuffix("#mine") }?.rateLimits == [])
    #expect(compiled.services[MeshFixture.port("orders-v1")]?.rules.map(\.rateLimits) == [[]])
    #expect(compiled.warnings == [])
    let before = compile(route)
    let after = compile(
      route + MeshFixture.policy("s", targets: [service("orders")], "rateLimits: [{requests: 2, period: 1s}]"))
    #expect(
      CompiledMesh.difference(from: before, to: after) == CompiledDifference(changed: [.workload("w")], removed: []))
  }

  @Test("a service's limit that nobody keeps, as an endpoint has no proxy, is told")
  func unlimited() {
    let bare = """
      ---
      apiVersion: mesh.apus.dev/v1alpha1
      kind: Workload
      metadata: {name: bare, namespace: shop, labels: {app: orders}}
      spec: {address: 10.0.0.9, ports: [{name: http, port: 8080}]}

      """
    let policy = MeshFixture.policy("s", targets: [service("orders")], "rateLimits: [{requests: 2, period: 1s}]")
    #expect(compile(policy).warnings == [])
    let told = compile(bare + policy).warnings.map { "\($0.object): \($0.field): \($0.message)" }
    #expect(told.count == 1)
    #expect(
      told.first?.hasPrefix("TrafficPolicy shop/s: spec.rateLimits: the endpoint 10.0.0.9:") == true
        && told.first?.hasSuffix("of orders.shop:80 is outside the mesh, so no proxy limits what it gets") == true)
  }
}
