import MeshAPI
import MeshCore

extension DistributionSnapshot {
  /// Follows a new compilation, converting only what changed from `old`.
  mutating func apply(_ mesh: CompiledMesh, after old: CompiledMesh) {
    let difference = CompiledMesh.difference(from: old, to: mesh)
    for key in difference.removed { remove(key.discoveryKey) }
    for key in difference.changed {
      guard let resource = mesh.resource(key), let hash = mesh.hashes[key] else { continue }
      // Half of the hash is plenty to tell versions of one resource apart.
      set(resource, hash: UInt64(truncatingIfNeeded: hash.value ^ (hash.value >> 64)))
    }
  }
}

extension CompiledKey {
  var discoveryKey: DiscoveryKey {
    switch self {
    case .service(let port): .service(port)
    case .endpoints(let port): .endpoints(port)
    case .workload(let name): .workload(name)
    }
  }
}

extension CompiledMesh {
  func resource(_ key: CompiledKey) -> MeshResource? {
    switch key {
    case .service(let port): services[port].map(MeshResource.service)
    case .endpoints(let port): endpoints[port].map(MeshResource.endpoints)
    case .workload(let name): workloads[name].map(MeshResource.workload)
    }
  }
}
