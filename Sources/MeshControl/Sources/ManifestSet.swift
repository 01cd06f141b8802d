package import MeshResources

/// Everything a manifest directory says at one moment. Immutable.
package struct ManifestSet: Hashable, Sendable {
  /// Objects in force. The position's file is the path as it was given.
  package var objects: [ResourceKey: Located<Resource>]
  /// Errors and warnings, ordered by position.
  package var problems: [ManifestProblem]
  /// Objects with an error of which no earlier version is in force, as far as they could be read.
  package var rejected: [ResourceKey: Located<Resource>]
  /// Files that it was read from.
  package var fileCount = 0

  package init(
    objects: [ResourceKey: Located<Resource>] = [:], problems: [ManifestProblem] = [],
    rejected: [ResourceKey: Located<Resource>] = [:]
  ) {
    self.objects = objects
    self.problems = problems
    self.rejected = rejected
  }

  package var hasErrors: Bool { problems.contains { $0.severity == .error } }
}

/// A state of a manifest directory, as it is told to whoever follows it.
package struct ManifestUpdate: Sendable {
  package var set: ManifestSet
  /// One more than that of the state before, which a slow reader may not have seen.
  package var number: UInt64
  /// Objects that are new, other or gone since the state before; nil: any may be.
  package var changed: Set<ResourceKey>?
}
