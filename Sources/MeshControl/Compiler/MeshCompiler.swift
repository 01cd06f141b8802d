import MeshCore
import MeshPolicy
import MeshResources

/// Snapshot in, resources out: pure and deterministic.
///
/// Every port of every service gets a `ServiceConfig` and an `EndpointSet`. A service is a `Service` object, or is
/// implied by the workloads registered for it (`ServiceTable`). A port's rules come from the routes attached to it,
/// else from a TrafficSplit of the service, else lead to the service itself. Clients of a namespace with consumer
/// routes for the port get the rules of those instead. Policies say how endpoints are treated, and what the rules do not say themselves; rollouts
/// (`RolloutCompiler`) set the weights of two versions.
package enum MeshCompiler {
  package static func compile(_ snapshot: Snapshot) -> CompiledMesh { Compilation(snapshot).mesh }
}

/// A compiled mesh (`MeshBuild`), with the tables that it was made from, which a change of a part needs again.
struct Compilation {
  var snapshot: Snapshot
  var table: ServiceTable
  let attachments: PolicyAttachments
  let faults: FaultTable
  var authorizations: AuthorizationTable
  let splits: SplitCompiler
  var routes: [ResourceKey: MeshRoute]
  var mesh: CompiledMesh
  /// Of routes that have any; `mesh.warnings` has them among the others.
  var routeWarnings: [ResourceKey: [ManifestProblem]]
  /// Of services whose endpoints give reason for any.
  var endpointWarnings: [ServiceName: [ManifestProblem]]
  /// Of registered workloads, by name.
  var accountWarnings: [String: ManifestProblem] = [:]
  let accounts: AccountTable
  let otherWarnings: Set<ManifestProblem>
  var meshTLS: MeshTLSTable
  let egress: EgressTable
  /// Something of SMI's access control is there: what it says depends on all workloads.
  let hasAccessObjects: Bool

  init(_ snapshot: Snapshot) {
    var build = MeshBuild(snapshot)
    build.compile()
    self.snapshot = snapshot
    table = build.table
    attachments = build.attachments
    faults = build.faults
    authorizations = build.authorizations
    splits = build.splits
    routes = Dictionary(build.routes.attachments.routes.map { ($0.key, $0) }, uniquingKeysWith: { $1 })
    mesh = build.mesh
    routeWarnings = build.routes.warnings
    endpointWarnings = build.endpointWarnings
    otherWarnings = Set(build.warnings)
    accounts = AccountTable(snapshot)
    meshTLS = build.meshTLS
    egress = build.egress
    hasAccessObjects = Self.hasAccessObjects(snapshot)
    for workload in snapshot.workloads { accountWarnings[workload.name] = accounts.warning(of: workload) }
    mesh.warnings = orderedWarnings()
  }

  func orderedWarnings() -> [ManifestProblem] {
    otherWarnings.union(routeWarnings.values.joined()).union(endpointWarnings.values.joined())
      .union(accountWarnings.values).union(meshTLS.warnings).union(authorizations.warnings).sorted {
        ($0.position, $0.field, $0.message, $0.object) < ($1.position, $1.field, $1.message, $1.object)
      }
  }

  /// A port that no route applies to: its splits, else the service itself.
  static func unrouted(
    _ key: ServicePort, _ appProtocol: AppProtocol, _ splits: SplitCompiler, _ policy: EffectivePolicy,
    _ faults: FaultTable, _ sessionKey: SipKey
  ) -> ServiceConfig {
    let rules = splits.rules(of: key, appProtocol) ?? [.direct(key)]
    return ServiceConfig(
      key: key, appProtocol: appProtocol,
      rules: rules.map { $0.with(policy, faults.faults(of: key), appProtocol, at: key, sessionKey) })
  }

  private static func hasAccessObjects(_ snapshot: Snapshot) -> Bool {
    [snapshot.manifests, snapshot.rejected].contains { objects in
      objects.values.contains { located in
        switch located.value {
        case .trafficTarget, .identityBinding: true
        default: false
        }
      }
    }
  }
}

extension RouteRule {
  /// Without a route: everything goes to the service itself.
  static func direct(_ port: ServicePort) -> RouteRule {
    RouteRule(name: "service/\(port.service.path)", backends: [WeightedBackend(backend: port, weight: 1)])
  }

  /// A rule that no route made says nothing of retries, time limits and sessions itself.
  func with(
    _ policy: EffectivePolicy, _ faults: [FaultPolicy], _ appProtocol: AppProtocol, at port: ServicePort,
    _ sessionKey: SipKey
  ) -> RouteRule {
    var rule = self
    guard appProtocol != .tcp else {
      rule.timeouts = policy.ofConnections.timeouts(of: timeouts)
      return rule
    }
    rule.timeouts = policy.timeouts(of: timeouts)
    rule.retry = policy.retry
    rule.hedging = policy.hedging
    rule.requestBody = policy.requestBody
    rule.overrides = policy.overrides
    rule.session = policy.session(of: name, at: port, sessionKey)
    rule.faults = faults
    return rule
  }
}
