import MeshResources

/// What becomes of the Gateway API's UDPRoutes: they are read and checked, no parent takes them, and both is told.
enum UDPRouteStatus {
  /// No port of a Service carries UDP, so for the route there is no parent.
  private static let finding = RouteFinding(
    field: "spec.parentRefs", message: "the mesh carries TCP only, so no port takes the route: UDP goes its own way",
    fix: "remove the route", code: .routeDetached)

  static func statuses(_ snapshot: Snapshot) -> [RouteStatus] {
    let errors = Dictionary(
      grouping: snapshot.problems.filter { $0.severity == .error && $0.key != nil }, by: \.key)
    let accepted = snapshot.manifests.values.map { ($0, false) } + snapshot.rejected.values.map { ($0, true) }
    return accepted.compactMap { located, isRejected in
      guard case .udpRoute(let route) = located.value else { return nil }
      var status = RouteStatus(located)
      let condition =
        isRejected
        ? RouteStatus.refused(errors[status.key] ?? [])
        : RouteCondition(kind: .accepted, isTrue: false, reason: "NoMatchingParent", message: finding.text)
      status.parents = route.parents.map { RouteStatus.Parent(ref: $0, conditions: [condition]) }
      return status
    }
  }

  static func warnings(_ snapshot: Snapshot) -> [ManifestProblem] {
    snapshot.manifests.compactMap { key, located in
      guard case .udpRoute = located.value else { return nil }
      return finding.warning(of: key, at: located.position)
    }
  }
}
