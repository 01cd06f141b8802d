import MeshResources

/// Something about a route that is not as its author may think: a condition's reason in its status, and a warning at
/// its place in the manifest.
struct RouteFinding: Hashable {
  /// A literal of the Gateway API's conditions.
  enum Reason: String {
    case noMatchingParent = "NoMatchingParent"
    case conflicted = "RouteReasonConflicted"
    case unsupportedValue = "UnsupportedValue"
    case backendNotFound = "BackendNotFound"
    case invalidKind = "InvalidKind"
    case unsupportedProtocol = "UnsupportedProtocol"
    /// Ours: the Gateway API has no conditions that stand elsewhere, as SMI has.
    case matchNotFound = "MatchNotFound"
  }

  /// Nil: worth a warning and no condition.
  var reason: Reason?
  var field: String
  var message: String
  var fix = ""
  var code: FindingCode?

  /// For a condition.
  var text: String { fix.isEmpty ? message : "\(message); \(fix)" }

  func warning(of route: MeshRoute) -> ManifestProblem {
    warning(of: route.key, at: route.position)
  }

  func warning(of key: ResourceKey, at position: ManifestPosition) -> ManifestProblem {
    ManifestProblem(
      position: position, object: key.description, field: field, message: message, fix: fix, severity: .warning,
      key: key, code: code)
  }
}
