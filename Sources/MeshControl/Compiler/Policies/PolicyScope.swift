package import MeshCore
package import MeshResources

/// How specific a policy is, from the widest on.
package enum PolicyLevel: String, Hashable, Sendable, CaseIterable {
  case mesh, namespace, service, port, route, rule
}

/// What a policy's target turned out to be.
package enum PolicyScope: Hashable, Sendable {
  case mesh
  case namespace(String)
  case service(ServiceName)
  case port(ServicePort)
  case route(ResourceKey)
  case rule(ResourceKey, String)

  package var level: PolicyLevel {
    switch self {
    case .mesh: .mesh
    case .namespace: .namespace
    case .service: .service
    case .port: .port
    case .route: .route
    case .rule: .rule
    }
  }
}

/// A policy, as the merge sees it.
package struct AttachedPolicy: Hashable, Sendable {
  package var key: ResourceKey
  package var position: ManifestPosition
  /// Seconds since 1970, where the manifest says it.
  package var creationTime: Int64?
  package var settings: [PolicySetting]

  package init(
    key: ResourceKey, position: ManifestPosition, creationTime: Int64? = nil, settings: [PolicySetting]
  ) {
    self.key = key
    self.position = position
    self.creationTime = creationTime
    self.settings = settings
  }

  /// The older goes first; what has no age is younger than everything that has, and its name decides (GEP-713).
  package func goesBefore(_ other: AttachedPolicy) -> Bool {
    (creationTime ?? .max, key.namespace, key.name) < (other.creationTime ?? .max, other.key.namespace, other.key.name)
  }
}
