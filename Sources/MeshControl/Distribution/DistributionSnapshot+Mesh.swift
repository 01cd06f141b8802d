import MeshAPI
import MeshCore

extension DistributionSnapshot {
  /// Follows a new compilation, converting only what changed.
  mutating func apply(_ mesh: CompiledMesh, _ difference: CompiledDifference) {
    namespaces = mesh.namespaces
    for key in difference.removed { remove(key.storedKey) }
    for key in difference.changed {
      guard let resource = mesh.resource(key), let hash = mesh.hashes[key] else { continue }
      // Half of the hash is plenty to tell versions of one resource apart.
      set(resource, at: key.storedKey, hash: UInt64(truncatingIfNeeded: hash.value ^ (hash.value >> 64)))
    }
  }
}

extension CompiledKey {
  var storedKey: DistributionSnapshot.Key {
    switch self {
    case .service(let port): .init(.service(port))
    case .consumer(let consumer): .init(.service(consumer.port), clients: consumer.namespace)
    case .endpoints(let port): .init(.endpoints(port))
    case .workload(let name): .init(.workload(name))
    case .hosts(let namespace): .init(.hosts, clients: namespace.isEmpty ? nil : namespace)
    }
  }
}

extension CompiledMesh {
  func resource(_ key: CompiledKey) -> MeshResource? {
    switch key {
    case .service(let port): services[port].map(MeshResource.service)
    case .consumer(let consumer): consumers[consumer].map(MeshResource.service)
    case .endpoints(let port): endpoints[port].map(MeshResource.endpoints)
    case .workload(let name): workloads[name].map(MeshResource.workload)
    case .hosts(let namespace): hosts[namespace].map(MeshResource.hosts)
    }
  }
}
