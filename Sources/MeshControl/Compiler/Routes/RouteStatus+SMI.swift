import MeshCore
import MeshResources

// SMI's kinds have no status of their own: what the Gateway API would say of them is said in its words.
extension RouteStatus {
  /// Of splits, route groups and port routes: those in force, and those that were refused and have no earlier version.
  static func smi(
    _ splits: SplitCompiler, _ targets: TrafficTargetTable, _ snapshot: Snapshot,
    _ errors: [ResourceKey?: [ManifestProblem]]
  ) -> [RouteStatus] {
    var statuses = splits.splits.compactMap { split -> RouteStatus? in
      snapshot.manifests[split.key].map { located in
        var status = RouteStatus(located)
        let ref = RouteParent(namespace: split.root.namespace, service: split.root.name)
        let partial = partiallyInvalid((errors[split.key] ?? []).filter(\.stale))
        status.parents = [Parent(ref: ref, conditions: [accepted(split), resolvedRefs(split.findings)] + partial)]
        return status
      }
    }
    for (key, located) in snapshot.manifests {
      guard let message = SMIUse.message(of: located.value, splits, targets) else { continue }
      var status = RouteStatus(located)
      status.conditions = [
        RouteCondition(kind: .accepted, isTrue: true, reason: "Accepted", message: message.text)
      ]
      status.conditions += partiallyInvalid((errors[key] ?? []).filter(\.stale))
      statuses.append(status)
    }
    for (key, located) in snapshot.rejected where SMIUse.isSMI(key) {
      var status = RouteStatus(located)
      let condition = refused(errors[key] ?? [])
      if case .trafficSplit(let split) = located.value {
        status.parents = [
          Parent(ref: RouteParent(namespace: key.namespace, service: split.service), conditions: [condition])
        ]
      } else {
        status.conditions = [condition]
      }
      statuses.append(status)
    }
    return statuses
  }

  private static func accepted(_ split: SplitCompiler.Split) -> RouteCondition {
    if let failure = split.failure {
      return RouteCondition(
        kind: .accepted, isTrue: false, reason: failure.reason?.rawValue ?? "", message: failure.text)
    }
    let ports = split.ports.map(String.init).joined(separator: ", ")
    let splits = "splits \(split.ports.count == 1 ? "port" : "ports") \(ports) of \(split.root.path)"
    return RouteCondition(
      kind: .accepted, isTrue: true, reason: "Accepted", message: ([splits] + notes(split)).joined(separator: "; "))
  }

  private static func notes(_ split: SplitCompiler.Split) -> [String] {
    split.findings.filter { $0.reason == nil }.map(\.text)
  }
}

/// What the objects of SMI's specs that say nothing by themselves are used for.
enum SMIUse {
  static func isSMI(_ key: ResourceKey) -> Bool { key.group.hasSuffix(".smi-spec.io") }

  /// Nil for what is no such object.
  static func message(
    of resource: Resource, _ splits: SplitCompiler, _ targets: TrafficTargetTable
  ) -> RouteFinding? {
    switch resource {
    case .httpRouteGroup:
      let users = splits.users(of: resource.key) + targets.users(of: resource.key)
      return users.isEmpty
        ? RouteFinding(
          field: "", message: "no TrafficSplit and no TrafficTarget names the group, so it has no effect",
          code: .smiWithoutEffect)
        : RouteFinding(field: "", message: "matches for " + users.map(\.description).joined(separator: ", "))
    case .portRoute(let route) where route.transport == .tcp:
      let users = targets.users(of: resource.key)
      return users.isEmpty
        ? RouteFinding(
          field: "", message: "no TrafficTarget names it, so it has no effect", code: .smiWithoutEffect)
        : RouteFinding(field: "", message: "ports for " + users.map(\.description).joined(separator: ", "))
    case .portRoute:
      return RouteFinding(
        field: "", message: "the mesh carries TCP only, so it has no effect: UDP goes its own way",
        code: .smiWithoutEffect)
    default: return nil
    }
  }

  static func warnings(
    _ snapshot: Snapshot, _ splits: SplitCompiler, _ targets: TrafficTargetTable
  ) -> [ManifestProblem] {
    snapshot.manifests.compactMap { key, located in
      guard let message = message(of: located.value, splits, targets), message.code != nil else { return nil }
      return message.warning(of: key, at: located.position)
    }
  }
}
