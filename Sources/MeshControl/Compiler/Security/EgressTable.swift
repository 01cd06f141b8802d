import MeshCore
import MeshPolicy
import MeshResources

/// What the MeshConfig says of requests that leave the mesh, for each workload. Pure.
struct EgressTable {
  private let located: Located<Resource>?
  private let config: MeshConfig?
  private let workloads: Int

  init(_ snapshot: Snapshot) {
    located = snapshot.manifests.values.first {
      if case .meshConfig = $0.value { true } else { false }
    }
    config = if case .meshConfig(let config) = located?.value { config } else { nil }
    workloads = snapshot.workloads.count
  }

  /// As the proxy beside a workload with this identity has it: what is for others is left out.
  func policy(for identity: SPIFFEID) -> EgressPolicy {
    guard let config else { return EgressPolicy() }
    return EgressPolicy(
      mode: config.egressMode, allow: Self.rules(config.allow, "allow", identity),
      deny: Self.rules(config.deny, "deny", identity))
  }

  private static func rules(
    _ rules: [MeshConfig.EgressRule], _ list: String, _ identity: SPIFFEID
  ) -> [EgressPolicy.Rule] {
    rules.enumerated().compactMap { index, rule in
      guard
        rule.clients.isEmpty
          || rule.clients.contains(where: {
            $0 == "\(identity.namespace)/\(identity.serviceAccount)" || $0 == "\(identity.namespace)/*"
          })
      else { return nil }
      return EgressPolicy.Rule(hosts: rule.hosts, ports: rule.ports, name: "egress.\(list)[\(index)]")
    }
  }

  func statuses(_ snapshot: Snapshot) -> [PolicyStatus] {
    let errors = Dictionary(
      grouping: snapshot.problems.filter { $0.severity == .error && $0.key != nil }, by: \.key)
    let target = PolicyTarget(kind: .mesh, name: PolicyTarget.meshName)
    var statuses: [PolicyStatus] = []
    if let located, let config {
      let stale = (errors[located.value.key] ?? []).filter(\.stale)
      let accepted = RouteCondition(
        kind: .accepted, isTrue: true, reason: "Accepted",
        message: "egress: \(config.egressMode.rawValue), \(config.allow.count) allow, \(config.deny.count) deny")
      let resolved = RouteCondition(
        kind: .resolvedRefs, isTrue: true, reason: "ResolvedRefs", message: "workloads it is for: \(workloads)")
      statuses.append(
        PolicyStatus(located, [target], conditions: [[accepted, resolved] + PolicyStatus.fallBacks(stale)]))
    }
    for located in snapshot.rejected.values {
      guard case .meshConfig = located.value else { continue }
      statuses.append(PolicyStatus(rejected: located, [target], errors[located.value.key] ?? []))
    }
    return statuses
  }
}
