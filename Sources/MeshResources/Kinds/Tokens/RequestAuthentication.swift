package import MeshPolicy

/// `mesh.apus.dev/v1alpha1 RequestAuthentication`: whose JSON Web Tokens the requests to services may have, and whether they must have one.
package struct RequestAuthentication: Hashable, Sendable {
  package var metadata: ObjectMetadata
  /// The mesh, a namespace, services or ports of services.
  package var targets: [PolicyTarget]
  package var policy: TokenPolicy

  package init(metadata: ObjectMetadata, targets: [PolicyTarget], policy: TokenPolicy) {
    self.metadata = metadata
    self.targets = targets
    self.policy = policy
  }
}

/// Limits on a RequestAuthentication; all are ours.
package enum RequestAuthenticationLimits {
  package static let rules = 16
  package static let audiences = 64
  /// Of one rule.
  package static let locations = 16
  package static let claimHeaders = 32
  /// Clocks that differ by more are to be set.
  package static let clockSkewSeconds = 600
}
