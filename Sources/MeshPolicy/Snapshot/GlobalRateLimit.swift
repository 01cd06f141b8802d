package import MeshCore

/// A limit that all proxies keep together, because a service of the mesh counts for them: Envoy's
/// `envoy.service.ratelimit.v3.RateLimitService`.
package struct GlobalRateLimit: Hashable, Sendable {
  /// A part of a descriptor.
  package struct Entry: Hashable, Sendable {
    package enum Value: Hashable, Sendable {
      case constant(String)
      /// Of the field, whose name is in lower case. A request without it has no such descriptor.
      case header(String)
      /// SPIFFE id. A request without it has no such descriptor.
      case caller
      case remoteAddress
      /// `orders.shop`.
      case service
      /// Name of the rule; of what comes to a workload there is none.
      case route
      case method
      /// Without its query.
      case path
    }

    package var key: String
    package var value: Value

    package init(key: String, value: Value) {
      self.key = key
      self.value = value
    }
  }

  /// What becomes of a request when the service does not answer in time, or not well.
  package enum Failure: Hashable, Sendable {
    case allow
    case deny
    /// This proxy's own limit.
    case local(RateLimit)
  }

  /// Who is asked.
  package var service: ServicePort
  package var domain: String
  /// What requests count for, one or more at a time.
  package var descriptors: [[Entry]]
  /// How much a request counts.
  package var hits: UInt32
  package var timeout: TimeSpan
  package var failure: Failure

  package init(
    service: ServicePort, domain: String, descriptors: [[Entry]], hits: UInt32 = 1,
    timeout: TimeSpan = .milliseconds(20), failure: Failure = .allow
  ) {
    self.service = service
    self.domain = domain
    self.descriptors = descriptors
    self.hits = hits
    self.timeout = timeout
    self.failure = failure
  }
}
