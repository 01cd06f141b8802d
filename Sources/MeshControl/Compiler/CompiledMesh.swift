package import MeshCore
package import MeshPolicy
package import MeshResources

/// One resource that a proxy can subscribe to.
package enum CompiledKey: Hashable, Comparable, Sendable {
  case service(ServicePort)
  case endpoints(ServicePort)
  /// By the workload's name.
  case workload(String)
}

/// The compiler's result: every resource, with its content hash. Immutable.
package struct CompiledMesh: Sendable {
  package var services: [ServicePort: ServiceConfig]
  package var endpoints: [ServicePort: EndpointSet]
  package var workloads: [String: WorkloadConfig]
  /// One for each resource above. Equal content has an equal hash in every run and on every machine.
  package var hashes: [CompiledKey: ContentHash]
  /// What the manifests say that cannot be done as written, ordered by position.
  package var warnings: [ManifestProblem]

  package static let empty = CompiledMesh(services: [:], endpoints: [:], workloads: [:], hashes: [:], warnings: [])
}

/// What differs between two compiled meshes, each list ordered.
package struct CompiledDifference: Hashable, Sendable {
  /// New, or with other content than before.
  package var changed: [CompiledKey]
  package var removed: [CompiledKey]

  package var isEmpty: Bool { changed.isEmpty && removed.isEmpty }
}

extension CompiledMesh {
  package static func difference(from old: CompiledMesh, to new: CompiledMesh) -> CompiledDifference {
    CompiledDifference(
      changed: new.hashes.filter { old.hashes[$0.key] != $0.value }.keys.sorted(),
      removed: old.hashes.keys.filter { new.hashes[$0] == nil }.sorted())
  }
}
