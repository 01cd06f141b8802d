/// How a request to an endpoint ended, as far as the endpoint is to be judged by it.
package enum EndpointOutcome: UInt8, Sendable {
  case success
  /// A 5xx answer of the endpoint itself, other than the next.
  case serverError
  /// 502, 503 or 504: something behind the endpoint, or its own load.
  case gatewayError
  /// Reset, protocol error or time-out after the connection was there.
  case transportFailure
  /// No connection: refused, unreachable, timed out, TLS failed.
  case connectFailure
  /// Ended from our side; says nothing about the endpoint.
  case cancelled

  /// Of an answer.
  package init(status: UInt16) {
    switch status {
    case 502, 503, 504: self = .gatewayError
    case 500...: self = .serverError
    default: self = .success
    }
  }

  var isLocal: Bool { self == .transportFailure || self == .connectFailure }
}

/// Why an endpoint was ejected.
package enum EjectionReason: UInt8, Hashable, Sendable, CaseIterable {
  case serverErrors, gatewayErrors, transportFailures, connectFailures, successRate, latency

  /// For people.
  package var text: StaticString {
    switch self {
    case .serverErrors: "5xx responses"
    case .gatewayErrors: "502, 503 or 504 responses"
    case .transportFailures: "transport failures"
    case .connectFailures: "connect failed"
    case .successRate: "success rate far below the others'"
    case .latency: "latency far above the others'"
    }
  }
}

/// What happened in a balancer that an operator may want to count.
package enum BalancerEvent: Hashable, Sendable {
  case ejected(EjectionReason)
  /// It should have been ejected, but as many as may be out were.
  case ejectionWithheld
  /// Its probation went well.
  case returned
  /// Too few endpoints are available: the others are used, too.
  case panicBegan
  /// A request went to an endpoint of another zone than the client's, by a policy that prefers zones.
  case leftZone
  /// Nobody of the subset that a request named is available.
  case subsetFellBack
}
