import MeshPolicy
import MeshResources

/// What SMI's TrafficTargets and the providers of custom policies make of the ports of workloads.
struct AccessCompiler {
  let targets: TrafficTargetTable
  let authorizers: AuthorizerTable

  init(_ snapshot: Snapshot, _ table: ServiceTable) {
    targets = TrafficTargetTable(snapshot, table)
    authorizers = AuthorizerTable(snapshot, table)
  }

  /// What AuthorizationPolicies say of a port, with what the targets say besides and the providers that custom policies ask.
  func complete(_ authorization: Authorization?, of port: InboundPort, _ workload: String) -> Authorization? {
    let own = targets.policies(forPort: port.port, of: workload)
    guard authorization != nil || !own.isEmpty else { return nil }
    var result = authorization ?? Authorization()
    result.policies = authorizers.resolve(result.policies, of: port) + own
    return result
  }

  func statuses(_ snapshot: Snapshot) -> [RouteStatus] {
    targets.statuses(snapshot) + authorizers.statuses(snapshot)
  }

  func warnings(_ snapshot: Snapshot) -> [ManifestProblem] {
    targets.warnings + targets.bindingWarnings(snapshot) + authorizers.warnings
  }
}
