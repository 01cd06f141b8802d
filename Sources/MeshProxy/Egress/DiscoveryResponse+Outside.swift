import MeshAPI
import MeshCore

extension Apus_V1_DiscoveryResponse {
  /// Services that are not there, in namespaces that the mesh does not know.
  var outsideServices: Set<ServicePort> {
    if outside.isEmpty { return [] }
    return Set(
      outside.compactMap { name in
        if case .service(let key)? = try? DiscoveryKey(name) { key } else { nil }
      })
  }
}
