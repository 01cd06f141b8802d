import MeshCore
import MeshPolicy
import MeshResources
import Testing

@testable import MeshControl

@Suite("Compiling rollouts") struct RolloutCompilerTests {
  private static let workloads = [
    MeshFixture.workload("v1", service: "orders", host: 3, labels: ["version": "v1"]),
    MeshFixture.workload("v2", service: "orders", host: 4, labels: ["version": "v2"]),
  ]
  private static let service = "group: \"\", kind: Service, name: orders"
  private static let route = "group: gateway.networking.k8s.io, kind: HTTPRoute, name: orders"
  private static let versions = Rollout.Versions(stable: "orders-v1", canary: "orders-v2")

  private static func rollout(
    _ target: String = service, stable: String = "orders-v1", canary: String = "orders-v2", name: String = "orders",
    created: String? = nil
  ) -> String {
    MeshFixture.policy(
      name, targets: [target],
      "rollout: {stable: {service: \(stable)}, canary: {service: \(canary)}, steps: [{weight: 20, pause: 1m}]}",
      created: created)
  }

  private func compile(
    _ manifests: String, weight: UInt32 = 20, versions: Rollout.Versions = Self.versions
  ) -> CompiledMesh {
    var snapshot = MeshFixture.snapshot(MeshFixture.orders + manifests, workloads: Self.workloads)
    snapshot.rollouts = ["shop/orders": RolloutShare(versions: versions, weight: weight)]
    return MeshCompiler.compile(snapshot)
  }

  /// `orders-v1 80, orders-v2 20` of each rule.
  private func shares(_ mesh: CompiledMesh, _ port: ServicePort = MeshFixture.port("orders")) -> [String] {
    (mesh.services[port]?.rules ?? []).map { rule in
      rule.backends.map { "\($0.backend.service.name) \($0.weight)" }.joined(separator: ", ")
    }
  }

  private func backends(_ text: String...) -> String {
    text.map { "{backendRefs: [\($0)]}" }.joined(separator: ", ")
  }

  @Test("without a route or a split the service's own requests are divided") func direct() {
    let mesh = compile(Self.rollout())
    #expect(shares(mesh) == ["orders-v1 80, orders-v2 20"])
    #expect(mesh.warnings.isEmpty)
    #expect(mesh.rollouts.map(\.name) == ["shop/orders"])
    #expect(mesh.rollouts[0].services == ["orders"] && mesh.rollouts[0].obstacle.isEmpty)
    #expect(mesh.rollouts[0].stableEndpoints == 1 && mesh.rollouts[0].canaryEndpoints == 1)
    #expect(shares(compile(Self.rollout(), weight: 100)) == ["orders-v1 0, orders-v2 100"])
    // The versions' own names are pins.
    #expect(shares(mesh, MeshFixture.port("orders-v2")) == ["orders-v2 1"])
  }

  @Test("what has not begun, or stands for other versions, sends nothing to the canary") func otherVersions() {
    #expect(
      shares(compile(Self.rollout(), weight: 100, versions: .init(stable: "orders-v0", canary: "orders-v1"))) == [
        "orders-v1 100, orders-v2 0"
      ])
    #expect(
      shares(MeshCompiler.compile(MeshFixture.snapshot(MeshFixture.orders + Self.rollout()))) == [
        "orders-v1 100, orders-v2 0"
      ])
  }

  @Test("a session does not keep its client at a version that gets nothing: roll-backs are for everybody")
  func sessions() {
    let rules = "[{sessionPersistence: {sessionName: s}, backendRefs: [{name: orders, port: 80}]}]"
    let manifests = MeshFixture.route("orders", rules: rules) + Self.rollout()
    #expect(shares(compile(manifests, weight: 20)) == ["orders-v1 80, orders-v2 20"])
    #expect(shares(compile(manifests, weight: 0)) == ["orders-v1 100"])
    #expect(shares(compile(manifests, weight: 100)) == ["orders-v2 100"])
  }

  @Test(
    "of a route's rules those are divided that name the service or both versions; others are pins, or keep their part")
  func routes() {
    let third = MeshFixture.service("third", selector: "{app: third}")
    let rules = backends(
      "{name: orders, port: 80}", "{name: orders-v2, port: 80}",
      "{name: orders-v1, port: 80, weight: 3}, {name: third, port: 80, weight: 5}, {name: orders-v2, port: 80, weight: 2}"
    )
    let mesh = compile(third + MeshFixture.route("orders", rules: "[\(rules)]") + Self.rollout())
    #expect(
      shares(mesh) == ["orders-v1 80, orders-v2 20", "orders-v2 1", "orders-v1 400, orders-v2 100, third 500"])
    #expect(mesh.rollouts[0].rules.map(\.rule).sorted() == ["httproute/shop/orders#0", "httproute/shop/orders#2"])
  }

  @Test("a version keeps the filters and the port that its backendRef has") func filters() throws {
    let filter = "filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: x-a, value: b}]}}]"
    let mesh = compile(
      MeshFixture.route(
        "orders",
        rules:
          "[\(backends("{name: orders-v1, port: 80, weight: 0}, {name: orders-v2, port: 80, weight: 0, \(filter)}"))]")
        + Self.rollout(Self.route))
    let rule = try #require(mesh.services[MeshFixture.port("orders")]?.rules.first)
    #expect(rule.backends.map(\.weight) == [80, 20])
    #expect(rule.backends.map(\.filters.count) == [0, 1])
    // All weights 0 answers 500, but the weights are the rollout's.
    #expect(rule.failureStatus == nil)
  }

  @Test("a split's weights are the rollout's, too") func splits() {
    let split = MeshFixture.split("orders", "[{service: orders-v1, weight: 1}, {service: orders-v2, weight: 0}]")
    #expect(shares(compile(split + Self.rollout())) == ["orders-v1 80, orders-v2 20"])
  }

  @Test("clients with a consumer route that names both versions follow it") func consumers() throws {
    let mesh = compile(
      MeshFixture.route(
        "own", namespace: "web", parents: ["name: orders, namespace: shop"],
        rules:
          "[\(backends("{name: orders-v1, namespace: shop, port: 80}, {name: orders-v2, namespace: shop, port: 80}"))]")
        + Self.rollout())
    let own = try #require(mesh.consumers[ConsumerPort(namespace: "web", port: MeshFixture.port("orders"))])
    #expect(own.rules[0].backends.map(\.weight) == [80, 20])
  }

  @Test("without the canary's Service all goes to the stable version; without the stable one's nothing is divided")
  func missing() {
    let noCanary = compile(Self.rollout(canary: "orders-v3"))
    #expect(shares(noCanary) == ["orders-v1 100"])
    #expect(noCanary.rollouts[0].obstacle == "there is no Service shop/orders-v3")
    #expect(noCanary.warnings.map(\.code) == [.rolloutVersionNotFound])
    #expect(noCanary.warnings.map(\.field) == ["spec.rollout.canary.service"])
    let noStable = compile(Self.rollout(stable: "orders-v0"))
    #expect(shares(noStable) == ["orders 1"])
    #expect(noStable.warnings.map(\.field) == ["spec.rollout.stable.service"])
  }

  @Test("a version without the port, and a target whose rules name one version only, are found") func findings() {
    let other = MeshFixture.service("other", selector: "{app: other}", ports: "[{name: http, port: 81}]")
    let noPort = compile(other + Self.rollout(canary: "other"))
    #expect(noPort.warnings.map(\.code) == [.rolloutPortNotFound])
    #expect(noPort.rollouts[0].obstacle == "the Service shop/other has no port 80")
    let pinned = compile(
      MeshFixture.route("orders", rules: "[\(backends("{name: orders-v1, port: 80}"))]") + Self.rollout())
    #expect(pinned.warnings.map(\.code) == [.rolloutWithoutRule])
  }

  @Test("of two rollouts for one service the older counts, and the other waits") func conflict() {
    let mesh = compile(
      Self.rollout(created: "2026-01-01T00:00:00Z")
        + Self.rollout(canary: "orders", name: "younger", created: "2026-02-01T00:00:00Z"))
    #expect(shares(mesh) == ["orders-v1 80, orders-v2 20"])
    #expect(mesh.rollouts.map(\.obstacle) == ["", "the rollout of the TrafficPolicy shop/orders goes before"])
  }

  @Test("conditions tell how it goes") func conditions() {
    let mesh = compile(Self.rollout())
    func conditions(_ state: RolloutState) -> [String] {
      mesh.policyStatuses[0].with(mesh.rollouts[0], state).ancestors[0].conditions.suffix(2).map {
        "\($0.kind.rawValue)=\($0.isTrue) \($0.reason): \($0.message)"
      }
    }
    var bench = RolloutBench(steps: [.init(weight: 20, pause: nil)])
    #expect(conditions(bench.state).last == "Progressing=true NoEndpoint: begins at once")
    bench.advance()
    #expect(
      conditions(bench.state).last
        == "Progressing=false StepPause: step 1 of 1: 20 % to orders-v2, until somebody resumes it; "
        + "go on with: apus rollout resume shop/orders")
    bench.canaryEndpoints = 0
    bench.advance()
    let message = "every request goes to orders-v1 again: orders-v2 has no ready endpoint"
    #expect(
      conditions(bench.state) == [
        "Progressing=false RolledBack: \(message)", "Degraded=true RolledBack: \(message)",
      ])
  }
}
