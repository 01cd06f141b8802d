import MeshResources

// What `status` of TrafficTargets and IdentityBindings would say.
extension TrafficTargetTable {
  func statuses(_ snapshot: Snapshot) -> [RouteStatus] {
    let errors = RouteStatus.errors(snapshot)
    var statuses = targets.compactMap { target -> RouteStatus? in
      // Those that were refused are told with the others of SMI's kinds.
      snapshot.manifests[target.key].map { located in
        var status = RouteStatus(located)
        status.conditions = target.conditions
        status.conditions += RouteStatus.partiallyInvalid((errors[target.key] ?? []).filter(\.stale))
        return status
      }
    }
    for (key, located) in snapshot.manifests {
      guard case .identityBinding = located.value else { continue }
      var status = RouteStatus(located)
      status.conditions = [
        RouteCondition(kind: .accepted, isTrue: true, reason: "Accepted", message: use(ofBinding: key).message)
      ]
      statuses.append(status)
    }
    return statuses
  }

  var warnings: [ManifestProblem] {
    targets.flatMap { target in target.findings.map { $0.warning(of: target.key, at: target.position) } }
  }

  func bindingWarnings(_ snapshot: Snapshot) -> [ManifestProblem] {
    snapshot.manifests.compactMap { key, located in
      guard case .identityBinding = located.value, users(ofBinding: key).isEmpty else { return nil }
      return use(ofBinding: key).warning(of: key, at: located.position)
    }
  }

  private func use(ofBinding key: ResourceKey) -> RouteFinding {
    let users = users(ofBinding: key)
    return users.isEmpty
      ? RouteFinding(
        field: "", message: "no TrafficTarget names the binding, so it has no effect", code: .smiWithoutEffect)
      : RouteFinding(field: "", message: "identities for " + users.map(\.description).joined(separator: ", "))
  }
}

extension TrafficTargetTable.Target {
  fileprivate var conditions: [RouteCondition] {
    let unresolved = findings.filter { $0.reason != nil }
    let workloads =
      workloads.isEmpty ? "no workload runs as its destination yet" : "protects \(workloads.joined(separator: ", "))"
    let who =
      principals.isEmpty
      ? "admits nobody" : "admits \(principals.count) \(principals.count == 1 ? "identity" : "identities")"
    let notes = findings.filter { $0.reason == nil }.map(\.text)
    return [
      RouteCondition(
        kind: .accepted, isTrue: true, reason: "Accepted", message: ([workloads, who] + notes).joined(separator: "; ")),
      RouteCondition(
        kind: .resolvedRefs, isTrue: unresolved.isEmpty, reason: unresolved.first?.reason?.rawValue ?? "ResolvedRefs",
        message: unresolved.isEmpty ? "all that it names exists" : unresolved.map(\.text).joined(separator: "; ")),
    ]
  }
}
