/// An SMI `TrafficSplit` (v1alpha1 to v1alpha4): the root service's requests by weight over leaf services.
package struct TrafficSplit: Hashable, Sendable {
  package static let maximumBackends = 64
  package static let maximumMatches = 16
  /// Of one backend; for v1alpha1, whose weights are quantities, in thousandths.
  package static let maximumWeight = 1_000_000

  package var metadata: ObjectMetadata
  /// The root service, in the split's own namespace.
  package var service: String
  /// Names of HTTPRouteGroups in the split's own namespace; the split is for requests that one of them matches. Empty: for all.
  package var matches: [String]
  package var backends: [Backend]

  package init(metadata: ObjectMetadata, service: String, matches: [String] = [], backends: [Backend]) {
    self.metadata = metadata
    self.service = service
    self.matches = matches
    self.backends = backends
  }

  package struct Backend: Hashable, Sendable {
    /// A leaf service in the split's own namespace.
    package var service: String
    /// A share of the sum, not a percentage. In v1alpha1 counted in thousandths.
    package var weight: UInt32

    package init(service: String, weight: UInt32) {
      self.service = service
      self.weight = weight
    }
  }
}
