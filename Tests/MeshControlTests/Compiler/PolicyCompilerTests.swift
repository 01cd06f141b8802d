import MeshCore
import MeshPolicy
import MeshResources
import Testing

@testable import MeshControl

@Suite("Compilation of policies") struct PolicyCompilerTests {
  private func compile(_ manifests: String) -> CompiledMesh {
    MeshCompiler.compile(MeshFixture.snapshot(MeshFixture.orders + manifests))
  }

  private func policy(_ name: String, _ target: String, _ blocks: String, namespace: String = "shop") -> String {
    MeshFixture.policy(name, targets: [target], blocks, namespace: namespace)
  }

  private let mesh = "group: mesh.apus.dev, kind: Mesh, name: default"
  private let namespace = "group: \"\", kind: Namespace, name: shop"
  private func service(_ name: String) -> String { "group: \"\", kind: Service, name: \(name)" }

  private func backend(_ mesh: CompiledMesh, _ name: String, _ port: UInt16 = 80) -> BackendPolicy? {
    mesh.endpoints[MeshFixture.port(name, port)]?.policy
  }

  @Test("mesh, namespace, service and port: each field from the most specific")
  func levels() {
    let ports = MeshFixture.service(
      "two", selector: "{app: two}", ports: "[{name: http, port: 80}, {name: alt, port: 81}]")
    let compiled = compile(
      ports
        + policy(
          "all", mesh, "limits: {connections: 1, pendingRequests: 1, activeRequests: 1}", namespace: "apus-system")
        + policy("shop", namespace, "limits: {connections: 2, pendingRequests: 2}")
        + policy("two", service("two"), "limits: {connections: 3}")
        + policy(
          "alt", service("two") + ", sectionName: alt", "limits: {connections: 4}\n  balancer: {algorithm: random}"))
    #expect(backend(compiled, "orders")?.limits == BackendLimits(connections: 2, pendingRequests: 2, activeRequests: 1))
    #expect(backend(compiled, "two")?.limits == BackendLimits(connections: 3, pendingRequests: 2, activeRequests: 1))
    #expect(
      backend(compiled, "two", 81)?.limits == BackendLimits(connections: 4, pendingRequests: 2, activeRequests: 1))
    #expect(backend(compiled, "two")?.balancing.algorithm == .peakEWMA)
    #expect(backend(compiled, "two", 81)?.balancing.algorithm == .random)
    #expect(compiled.warnings == [])
    let effective = compiled.policies.effective(for: MeshFixture.port("two", 81))
    #expect(
      effective.ordered.map { "\($0.setting.field.rawValue) \($0.source.policy.name) \($0.source.level.rawValue)" } == [
        "balancer.algorithm alt port", "limits.connections alt port", "limits.pendingRequests shop namespace",
        "limits.activeRequests all mesh",
      ])
  }

  @Test("a section may be the port's number; another namespace's policies do not apply")
  func sections() {
    let compiled = compile(
      policy("a", service("orders") + ", sectionName: \"80\"", "limits: {connections: 5}")
        + policy("b", "group: \"\", kind: Namespace, name: other", "limits: {pendingRequests: 5}", namespace: "other"))
    #expect(backend(compiled, "orders")?.limits == BackendLimits(connections: 5))
    #expect(backend(compiled, "orders-v1")?.limits == BackendLimits())
  }

  @Test("rules have retries and time limits of policies where they say nothing themselves")
  func rules() {
    let backends = "backendRefs: [{name: orders-v1, port: 80}]"
    let route = MeshFixture.route(
      "r",
      rules: "[{name: own, \(backends), timeouts: {request: 1s, backendRequest: 0s}, retry: {attempts: 3}}, "
        + "{name: mine, matches: [{path: {value: /mine}}], \(backends)}, "
        + "{matches: [{path: {value: /none}}], \(backends), retry: {attempts: 0}}]")
    let ofRoute = "group: gateway.networking.k8s.io, kind: HTTPRoute, name: r"
    let compiled = compile(
      route
        + policy("s", service("orders"), "timeouts: {request: 5s, backendRequest: 2s}\n  retries: {conditions: [503]}")
        + policy("r", ofRoute, "timeouts: {request: 6s}")
        + policy("rule", ofRoute + ", sectionName: mine", "retries: {attempts: 7}")
        // Backends have their own; the requests come for `orders`.
        + policy("b", service("orders-v1"), "timeouts: {request: 9s}"))
    let rules = compiled.services[MeshFixture.port("orders")]?.rules ?? []
    let found = Dictionary(
      uniqueKeysWithValues: rules.map { ($0.name.split(separator: "#").last.map(String.init), $0) })
    #expect(found["own"]?.timeouts == RouteTimeouts(request: .seconds(1)))
    #expect(found["own"]?.retry == RetryPolicy(attempts: 3, statusCodes: []))
    #expect(found["mine"]?.timeouts == RouteTimeouts(request: .seconds(6), backendRequest: .seconds(2)))
    #expect(found["mine"]?.retry == RetryPolicy(attempts: 7, statusCodes: [503]))
    #expect(found["2"]?.timeouts == RouteTimeouts(request: .seconds(6), backendRequest: .seconds(2)))
    #expect(found["2"]?.retry == RetryPolicy(attempts: 0, statusCodes: []))
  }

  @Test("services without a route, and those with a split, have them, too; a redirect has no retries")
  func otherRules() {
    let redirect = MeshFixture.route(
      "r", parents: ["name: orders-v2"],
      rules: "[{filters: [{type: RequestRedirect, requestRedirect: {scheme: https}}]}]")
    let compiled = compile(
      MeshFixture.split("orders", "[{service: orders-v1, weight: 1}]") + redirect
        + policy("n", namespace, "timeouts: {request: 5s}\n  retries: {attempts: 2}"))
    let retry = RetryPolicy(attempts: 2, statusCodes: [])
    for (name, expected) in [("orders", retry), ("orders-v1", retry), ("orders-v2", nil)] {
      let rule = compiled.services[MeshFixture.port(name)]?.rules.first
      #expect(rule?.timeouts == RouteTimeouts(request: .seconds(5)))
      #expect(rule?.retry == expected)
    }
  }

  @Test("a policy that goes leaves nothing behind, and changes what it must and no more")
  func changes() {
    let before = compile("")
    let after = compile(policy("p", service("orders"), "limits: {connections: 5}"))
    let key = MeshFixture.port("orders")
    #expect(
      CompiledMesh.difference(from: before, to: after) == CompiledDifference(changed: [.endpoints(key)], removed: []))
    let timed = compile(policy("p", service("orders"), "timeouts: {request: 5s}"))
    #expect(
      CompiledMesh.difference(from: before, to: timed) == CompiledDifference(changed: [.service(key)], removed: []))
    let budget = compile(policy("p", service("orders"), "retries: {budget: {percent: 5}}"))
    #expect(
      CompiledMesh.difference(from: before, to: budget) == CompiledDifference(changed: [.endpoints(key)], removed: []))
    #expect(CompiledMesh.difference(from: before, to: compile("")).isEmpty)
  }

  // MARK: - Warnings

  private func warnings(_ manifests: String) -> [String] {
    compile(manifests).warnings.map { "\($0.object): \($0.field): \($0.message)" }
  }

  @Test("keys that no balancer goes by, and balancers without keys, are told")
  func keys() {
    let hash = "balancer: {hashOn: {header: x-user}}"
    #expect(
      warnings(policy("p", service("orders"), hash)) == [
        "TrafficPolicy shop/p: spec.balancer.hashOn: no service that it applies to has a balancer that goes by keys"
      ])
    #expect(
      warnings(policy("p", service("orders"), "balancer: {algorithm: maglev}")) == [
        "TrafficPolicy shop/p: spec.balancer.algorithm: no policy says by what requests are told apart, "
          + "so their endpoints are chosen at random"
      ])
    // The two may come from two policies.
    #expect(
      warnings(policy("p", service("orders"), "balancer: {algorithm: maglev}") + policy("n", namespace, hash)) == [])
  }

  @Test("a slow start that no balancer knows is told")
  func slowStart() {
    let start = policy("p", service("orders"), "balancer: {slowStart: {window: 1s}}")
    let hash = policy("n", namespace, "balancer: {algorithm: maglev, hashOn: {sourceAddress: true}}")
    #expect(warnings(start) == [])
    #expect(
      warnings(start + hash) == [
        "TrafficPolicy shop/p: spec.balancer.slowStart: ringHash and maglev know none, and every service it applies to "
          + "has one of them"
      ])
  }
}
