package import MeshResources

/// Everything a manifest directory says at one moment. Immutable.
package struct ManifestSet: Hashable, Sendable {
  /// Objects in force. The position's file is the path as it was given.
  package var objects: [ResourceKey: Located<Resource>]
  /// Errors and warnings, ordered by position.
  package var problems: [ManifestProblem]

  package init(objects: [ResourceKey: Located<Resource>] = [:], problems: [ManifestProblem] = []) {
    self.objects = objects
    self.problems = problems
  }

  package var hasErrors: Bool { problems.contains { $0.severity == .error } }
}
