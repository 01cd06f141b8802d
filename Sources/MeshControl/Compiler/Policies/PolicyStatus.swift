package import MeshPolicy
package import MeshResources

/// What `status` of a policy would say in a cluster, for each of its targets (GEP-713).
package struct PolicyStatus: Hashable, Sendable {
  package struct Ancestor: Hashable, Sendable {
    package var target: PolicyTarget
    package var conditions: [RouteCondition]
  }

  package var key: ResourceKey
  package var position: ManifestPosition
  /// Seconds since 1970, where the manifest says it.
  package var creationTime: Int64?
  package var generation: Int64?
  package var ancestors: [Ancestor]
  /// Of a FaultInjection.
  package var schedule: FaultSchedule?

  init(_ policy: Located<Resource>, _ targets: [PolicyTarget], conditions: [[RouteCondition]]) {
    key = policy.value.key
    position = policy.position
    creationTime = policy.value.metadata.creationTime
    generation = policy.value.metadata.generation
    ancestors = zip(targets, conditions).map { Ancestor(target: $0, conditions: $1) }
  }
}

extension PolicyStatus {
  /// Of every policy: those in force, and those that were refused and have no earlier version. Pure; ordered by key.
  static func all(_ attachments: PolicyAttachments, _ snapshot: Snapshot) -> [PolicyStatus] {
    let errors = Dictionary(
      grouping: snapshot.problems.filter { $0.severity == .error && $0.key != nil }, by: \.key)
    var statuses = attachments.policies.map { policy in
      let stale = (errors[policy.attached.key] ?? []).filter(\.stale)
      let partial = fallBacks(stale)
      return PolicyStatus(
        Located(.trafficPolicy(policy.located.value), at: policy.located.position), policy.located.value.targets,
        conditions: zip(policy.located.value.targets, policy.targets).map {
          conditions($0, $1, policy.located.value) + partial
        })
    }
    for located in snapshot.rejected.values {
      guard case .trafficPolicy(let policy) = located.value else { continue }
      statuses.append(PolicyStatus(rejected: located, policy.targets, errors[located.value.key] ?? []))
    }
    return statuses.sorted { $0.key < $1.key }
  }

  private static func conditions(
    _ target: PolicyTarget, _ found: PolicyAttachments.Target, _ policy: TrafficPolicy
  ) -> [RouteCondition] {
    if let missing = found.missing {
      return [RouteCondition.Kind.accepted, .resolvedRefs].map {
        RouteCondition(kind: $0, isTrue: false, reason: "TargetNotFound", message: missing.text)
      }
    }
    let resolved = RouteCondition(
      kind: .resolvedRefs, isTrue: true, reason: "ResolvedRefs", message: "the \(target.kind.rawValue) exists")
    let lost = found.conflicts.reduce(0) { $0 + $1.fields.count }
    if lost == 0 {
      let message = "in force for the \(target.shown(in: policy.metadata.namespace))"
      return [RouteCondition(kind: .accepted, isTrue: true, reason: "Accepted", message: message), resolved]
    }
    let message = ConditionText.list(found.conflicts.map(\.text))
    let conflicted = RouteCondition(kind: .conflicted, isTrue: true, reason: "Conflicted", message: message)
    if lost < policy.settings.count {
      let accepted = "in force for the \(target.shown(in: policy.metadata.namespace)), but for fields of older policies"
      return [
        RouteCondition(kind: .accepted, isTrue: true, reason: "Accepted", message: accepted), resolved, conflicted,
      ]
    }
    return [
      RouteCondition(kind: .accepted, isTrue: false, reason: "Conflicted", message: message), resolved, conflicted,
    ]
  }

  /// `consequence`: what it means for calls.
  init(
    rejected located: Located<Resource>, _ targets: [PolicyTarget], _ errors: [ManifestProblem],
    consequence: String = ""
  ) {
    let text = ConditionText.of(errors) + (consequence.isEmpty ? "" : " (\(consequence))")
    let condition = RouteCondition(kind: .accepted, isTrue: false, reason: "Invalid", message: text)
    self.init(located, targets, conditions: targets.map { _ in [condition] })
  }

  /// An earlier version is in force, because of `errors` in the newest.
  static func fallBacks(_ errors: [ManifestProblem]) -> [RouteCondition] {
    if errors.isEmpty { return [] }
    return [
      RouteCondition(
        kind: .partiallyInvalid, isTrue: true, reason: "Invalid",
        message: "Fall Back to the version before: \(ConditionText.of(errors))")
    ]
  }
}

extension PolicyMerge.Conflict {
  /// `TrafficPolicy shop/a says balancer.algorithm, limits.connections`.
  var text: String { "the \(winner) goes before in \(fields.map(\.rawValue).joined(separator: ", "))" }
}

extension PolicyTarget {
  /// `Service shop/orders, port http`.
  func shown(in namespace: String) -> String {
    switch kind {
    case .mesh: return "mesh"
    case .namespace: return "namespace \(name)"
    case .service, .externalService, .httpRoute, .grpcRoute:
      let section = sectionName.map { ", \(kind.isRoute ? "rule" : "port") \($0)" } ?? ""
      return "\(kind.rawValue) \(namespace)/\(name)\(section)"
    }
  }
}

extension [PolicyStatus] {
  /// The same with the time at which each condition changed: what was so before keeps its time.
  package func dated(after old: [PolicyStatus], now: Int64) -> [PolicyStatus] {
    var times: [ConditionPlace: RouteCondition] = [:]
    for status in old {
      for ancestor in status.ancestors {
        for condition in ancestor.conditions {
          times[ConditionPlace(key: status.key, target: ancestor.target, kind: condition.kind)] = condition
        }
      }
    }
    return map { status in
      var status = status
      for (a, ancestor) in status.ancestors.enumerated() {
        for (c, condition) in ancestor.conditions.enumerated() {
          let before = times[ConditionPlace(key: status.key, target: ancestor.target, kind: condition.kind)]
          let since = before.flatMap { $0.isTrue == condition.isTrue ? $0.since : nil } ?? now
          status.ancestors[a].conditions[c].since = since
        }
      }
      return status
    }
  }
}

private struct ConditionPlace: Hashable {
  var key: ResourceKey
  var target: PolicyTarget
  var kind: RouteCondition.Kind
}
