package import MeshCore
package import MeshPolicy
package import MeshResources

/// One resource that a proxy can subscribe to.
package enum CompiledKey: Hashable, Comparable, Sendable {
  case service(ServicePort)
  case consumer(ConsumerPort)
  case endpoints(ServicePort)
  /// By the workload's name.
  case workload(String)
  /// For the clients of a namespace; empty for those of every namespace that has no hosts of its own.
  case hosts(String)
}

/// A service port as the clients of one namespace with consumer routes for it see it.
package struct ConsumerPort: Hashable, Comparable, Sendable {
  /// Of the clients and their routes.
  package var namespace: String
  package var port: ServicePort

  package init(namespace: String, port: ServicePort) {
    self.namespace = namespace
    self.port = port
  }

  package static func < (a: ConsumerPort, b: ConsumerPort) -> Bool { (a.port, a.namespace) < (b.port, b.namespace) }
}

/// The compiler's result: every resource, with its content hash. Immutable.
package struct CompiledMesh: Sendable {
  package var services: [ServicePort: ServiceConfig] = [:]
  /// What stands in the place of `services` for clients of some namespaces.
  package var consumers: [ConsumerPort: ServiceConfig] = [:]
  package var endpoints: [ServicePort: EndpointSet] = [:]
  package var workloads: [String: WorkloadConfig] = [:]
  /// By the clients' namespace, as `CompiledKey.hosts`.
  package var hosts: [String: ExternalHosts] = [:]
  /// For people only: workloads behind a port that proxies are not told of while they are not ready.
  package var unready: [ServicePort: [Endpoint]] = [:]
  /// One for each resource above. Equal content has an equal hash in every run and on every machine.
  package var hashes: [CompiledKey: ContentHash] = [:]
  /// What the manifests say that cannot be done as written, ordered by position.
  package var warnings: [ManifestProblem] = []
  /// Ordered by key.
  package var routes: [RouteStatus] = []
  /// What policies make of every service port and rule, with the source of each field.
  package var policies = PolicyTable()
  /// Which tokens requests to service ports may or must have.
  var tokens = TokenTable()
  /// What is said of plaintext, for people.
  package var meshTLS = MeshTLSWords()
  /// All that anything of the mesh is in: a name in another one is of the DNS.
  package var namespaces: Set<String> = []
  /// Ordered by key.
  package var rollouts: [CompiledRollout] = []
  /// Ordered by key.
  package var policyStatuses: [PolicyStatus] = []

  package static let empty = CompiledMesh()
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
