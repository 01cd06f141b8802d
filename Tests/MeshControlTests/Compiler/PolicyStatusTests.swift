import MeshAPI
import MeshCore
import MeshPolicy
import MeshResources
import SwiftProtobuf
import Testing

@testable import MeshControl

@Suite("Status of policies") struct PolicyStatusTests {
  private func lines(_ statuses: [PolicyStatus], of name: String = "p") -> [[String]] {
    (statuses.first { $0.key.name == name }?.ancestors ?? []).map { ancestor in
      ancestor.conditions.map { "\($0.kind.rawValue)=\($0.isTrue ? "True" : "False") \($0.reason): \($0.message)" }
    }
  }

  private func compile(_ manifests: String) -> CompiledMesh {
    MeshCompiler.compile(MeshFixture.snapshot(MeshFixture.orders + manifests))
  }

  private func service(_ name: String) -> String { "group: \"\", kind: Service, name: \(name)" }
  private func route(_ name: String) -> String { "group: gateway.networking.k8s.io, kind: HTTPRoute, name: \(name)" }

  @Test("a policy is accepted for each of its targets")
  func accepted() {
    let rules = "[{name: first, backendRefs: [{name: orders-v1, port: 80}]}]"
    let mesh = compile(
      MeshFixture.route("r", rules: rules)
        + MeshFixture.policy(
          "p",
          targets: [
            service("orders"), service("orders") + ", sectionName: http", route("r"),
            route("r") + ", sectionName: first",
          ],
          "timeouts: {request: 1s}"))
    let targets = [
      ("Service", "Service shop/orders"), ("Service", "Service shop/orders, port http"),
      ("HTTPRoute", "HTTPRoute shop/r"), ("HTTPRoute", "HTTPRoute shop/r, rule first"),
    ]
    #expect(
      lines(mesh.policyStatuses)
        == targets.map { kind, shown in
          ["Accepted=True Accepted: in force for the \(shown)", "ResolvedRefs=True ResolvedRefs: the \(kind) exists"]
        })
    #expect(mesh.warnings == [])
  }

  @Test("what a target does not name is told, with what there is")
  func missing() {
    let mesh = compile(
      MeshFixture.route("orders", rules: "[{name: first, backendRefs: [{name: orders-v1, port: 80}]}]")
        + MeshFixture.policy(
          "p",
          targets: [
            service("ordres"), service("orders") + ", sectionName: grpc", route("ordesr"),
            route("orders") + ", sectionName: last",
          ], "timeouts: {request: 1s}"))
    let texts = [
      "there is no Service shop/ordres; did you mean orders?",
      "the Service shop/orders has no port grpc; its ports: 80 (http)",
      "there is no HTTPRoute shop/ordesr; did you mean orders?",
      "the HTTPRoute shop/orders has no rule with the name last; its rules: first",
    ]
    #expect(
      lines(mesh.policyStatuses)
        == texts.map { ["Accepted=False TargetNotFound: \($0)", "ResolvedRefs=False TargetNotFound: \($0)"] })
    #expect(
      mesh.warnings.map { "\($0.field): \($0.message); \($0.fix)" }
        == texts.enumerated().map { "spec.targetRefs[\($0)]: \($1)" })
  }

  @Test("the younger of two policies for one thing is told what it loses, and to whom")
  func conflicts() {
    let old = MeshFixture.policy(
      "old", targets: [service("orders")], "limits: {connections: 1, activeRequests: 1}",
      created: "2026-01-01T00:00:00Z")
    let mesh = compile(
      old
        // By number and by name it is the same port, and neither conflicts with the whole service.
        + MeshFixture.policy("a", targets: [service("orders") + ", sectionName: http"], "limits: {connections: 9}")
        + MeshFixture.policy("b", targets: [service("orders") + ", sectionName: \"80\""], "limits: {connections: 8}")
        + MeshFixture.policy(
          "p", targets: [service("orders"), service("orders-v1")],
          "limits: {connections: 2, activeRequests: 3, pendingRequests: 4}"))
    let told = "the TrafficPolicy shop/old goes before in limits.connections, limits.activeRequests"
    #expect(
      lines(mesh.policyStatuses) == [
        [
          "Accepted=True Accepted: in force for the Service shop/orders, but for fields of older policies",
          "ResolvedRefs=True ResolvedRefs: the Service exists", "Conflicted=True Conflicted: \(told)",
        ],
        [
          "Accepted=True Accepted: in force for the Service shop/orders-v1",
          "ResolvedRefs=True ResolvedRefs: the Service exists",
        ],
      ])
    let lost = "the TrafficPolicy shop/a goes before in limits.connections"
    #expect(
      lines(mesh.policyStatuses, of: "b") == [
        [
          "Accepted=False Conflicted: \(lost)", "ResolvedRefs=True ResolvedRefs: the Service exists",
          "Conflicted=True Conflicted: \(lost)",
        ]
      ])
    #expect(lines(mesh.policyStatuses, of: "old")[0].count == 2)
    #expect(mesh.warnings.map(\.message) == [lost, told])
    #expect(
      mesh.endpoints[MeshFixture.port("orders")]?.policy.limits
        == BackendLimits(connections: 9, pendingRequests: 4, activeRequests: 1))
  }

  @Test("a policy with an error is invalid; one that was good before falls back")
  func invalid() throws {
    let broken = MeshFixture.policy("p", targets: [service("orders")], "limits: {connections: 0}")
    var store = ManifestStore()
    store.update("mesh.yaml", text: MeshFixture.orders + broken)
    func statuses() -> [PolicyStatus] {
      let set = store.merged()
      return MeshCompiler.compile(
        Snapshot(manifests: set.objects, rejected: set.rejected, problems: set.problems)
      ).policyStatuses
    }
    let told = "mesh.yaml:22:25: spec.limits.connections: must be a whole number from 1 to 1000000, not 0"
    #expect(lines(statuses()) == [["Accepted=False Invalid: \(told)"]])
    store.update("mesh.yaml", text: MeshFixture.orders + broken.replacing("connections: 0", with: "connections: 1"))
    #expect(lines(statuses())[0].count == 2)
    store.update("mesh.yaml", text: MeshFixture.orders + broken)
    #expect(lines(statuses())[0].last == "PartiallyInvalid=True Invalid: Fall Back to the version before: \(told)")
  }

  @Test("a condition keeps the time of its last change")
  func dates() {
    let good = compile(MeshFixture.policy("p", targets: [service("orders")], "limits: {connections: 1}"))
    let bad = compile(MeshFixture.policy("p", targets: [service("orders"), service("x")], "limits: {connections: 1}"))
    let first = good.policyStatuses.dated(after: [], now: 1)
    let second = bad.policyStatuses.dated(after: first, now: 2)
    #expect(second[0].ancestors.map { $0.conditions.map(\.since) } == [[1, 1], [2, 2]])
  }

  @Test("on the wire a policy is a policy, its targets with their own groups")
  func wire() {
    let mesh = compile(
      MeshFixture.policy(
        "p", targets: [service("orders") + ", sectionName: http", "group: \"\", kind: Namespace, name: shop"],
        "limits: {connections: 1}"))
    let response = Apus_V1_RoutesResponse(
      mesh.routes, mesh.policyStatuses, matching: .with { $0.kind = "TrafficPolicy" })
    #expect(response.routes.map(\.apiVersion) == ["mesh.apus.dev/v1alpha1"])
    #expect(response.routes.map(\.isPolicy) == [true])
    #expect(
      response.routes[0].parents.map { [$0.group, $0.kind, $0.namespace, $0.name, $0.sectionName] } == [
        ["", "Service", "shop", "orders", "http"], ["", "Namespace", "", "shop", ""],
      ])
    #expect(
      Apus_V1_RoutesResponse(mesh.routes, mesh.policyStatuses, matching: .with { $0.kind = "HTTPRoute" }).routes.isEmpty
    )
  }
}
