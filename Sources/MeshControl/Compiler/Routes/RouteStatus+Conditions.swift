import MeshCore
import MeshResources

extension RouteStatus {
  /// Of every route: those in force, and those that were refused and have no earlier version. Pure; ordered by key.
  static func all(
    _ compiler: RouteCompiler, _ splits: SplitCompiler, _ targets: TrafficTargetTable, _ snapshot: Snapshot
  ) -> [RouteStatus] {
    let errors = errors(snapshot)
    var statuses = inForce(compiler, errors)
    statuses += snapshot.rejected.values.compactMap { located in
      MeshRoute(located).map { RouteStatus(rejected: $0, errors[$0.key] ?? []) }
    }
    statuses += smi(splits, targets, snapshot, errors)
    return statuses.sorted { $0.key < $1.key }
  }

  static func errors(_ snapshot: Snapshot) -> [ResourceKey?: [ManifestProblem]] {
    Dictionary(grouping: snapshot.problems.filter { $0.severity == .error && $0.key != nil }, by: \.key)
  }

  /// Of the routes in force, in their order.
  static func inForce(_ compiler: RouteCompiler, _ errors: [ResourceKey?: [ManifestProblem]]) -> [RouteStatus] {
    compiler.attachments.routes.enumerated().map { index, route in
      // An error beside a route in force is of a newer text, unless it only says that the route stands twice.
      let stale = (errors[route.key] ?? []).filter(\.stale)
      return RouteStatus(route, compiler.attachments.parents[index], compiler.findings[index], stale)
    }
  }

  private init(_ route: MeshRoute, conditions: [[RouteCondition]]) {
    key = route.key
    position = route.position
    creationTime = route.metadata.creationTime
    generation = route.metadata.generation
    parents = zip(route.parents, conditions).map { Parent(ref: $0, conditions: $1) }
  }

  private init(
    _ route: MeshRoute, _ parents: [RouteAttachments.Parent], _ references: [RouteFinding], _ stale: [ManifestProblem]
  ) {
    let resolved = Self.resolvedRefs(references)
    let partial = Self.partiallyInvalid(stale)
    self.init(
      route,
      conditions: zip(route.parents, parents).map { [Self.accepted(route, $0, $1), resolved] + partial })
  }

  /// Nothing of a route with an error is in force: none of its rules is used without the others.
  private init(rejected route: MeshRoute, _ errors: [ManifestProblem]) {
    let condition = Self.refused(errors)
    self.init(route, conditions: route.parents.map { _ in [condition] })
  }

  // MARK: - Conditions

  private static func accepted(
    _ route: MeshRoute, _ parent: RouteParent, _ bound: RouteAttachments.Parent
  ) -> RouteCondition {
    if let failure = bound.failure {
      return RouteCondition(
        kind: .accepted, isTrue: false, reason: failure.reason?.rawValue ?? "", message: failure.text)
    }
    let ports = bound.ports.map(String.init).joined(separator: ", ")
    let clients = route.isProducer(parent) ? "" : ", for clients in the namespace \(route.metadata.namespace)"
    let noun = bound.ports.count == 1 ? "port" : "ports"
    let attached = "attached to \(noun) \(ports) of \(parent.namespace)/\(parent.service)\(clients)"
    return RouteCondition(
      kind: .accepted, isTrue: true, reason: "Accepted",
      message: ([attached] + bound.warnings.map(\.text)).joined(separator: "; "))
  }

  static func refused(_ errors: [ManifestProblem]) -> RouteCondition {
    RouteCondition(
      kind: .accepted, isTrue: false, reason: (errors.first?.reason ?? .unsupportedValue).rawValue,
      message: ConditionText.of(errors))
  }

  static func resolvedRefs(_ findings: [RouteFinding]) -> RouteCondition {
    let broken = findings.filter { $0.reason != nil }
    guard let first = broken.first, let reason = first.reason else {
      return RouteCondition(
        kind: .resolvedRefs, isTrue: true, reason: "ResolvedRefs", message: "every backend exists")
    }
    return RouteCondition(
      kind: .resolvedRefs, isTrue: false, reason: reason.rawValue,
      message: ConditionText.list(broken.map { "\($0.field): \($0.text)" }))
  }

  /// The last good version of the whole object serves on, which the API calls falling back. `errors` are of a newer text.
  static func partiallyInvalid(_ errors: [ManifestProblem]) -> [RouteCondition] {
    if errors.isEmpty { return [] }
    return [
      RouteCondition(
        kind: .partiallyInvalid, isTrue: true, reason: "UnsupportedValue",
        message: "Fall Back to the version before: \(ConditionText.of(errors))")
    ]
  }
}

/// The texts of conditions.
enum ConditionText {
  static func of(_ errors: [ManifestProblem]) -> String {
    list(
      errors.map { error in
        let place = "\(error.position): \(error.field.isEmpty ? "" : "\(error.field): ")"
        return place + error.message + (error.fix.isEmpty ? "" : "; \(error.fix)")
      })
  }

  /// The first few; a status is no log.
  static func list(_ texts: [String], atMost limit: Int = 4) -> String {
    let shown = texts.prefix(limit).joined(separator: " | ")
    return texts.count > limit ? "\(shown) | and \(texts.count - limit) more" : shown
  }
}
