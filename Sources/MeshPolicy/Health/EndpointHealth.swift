/// What active checks have found out about an endpoint.
package enum EndpointHealth: Hashable, Sendable {
  /// Not asked yet, or nobody asks. Counts as healthy.
  case unknown
  case healthy
  case unhealthy(HealthProblem)

  package var isUnhealthy: Bool { if case .unhealthy = self { true } else { false } }
}

/// Why a check failed.
package enum HealthProblem: UInt8, Hashable, Sendable, CaseIterable {
  case connectFailure, timeout, transportFailure, unexpectedStatus, notServing

  /// For people.
  package var text: StaticString {
    switch self {
    case .connectFailure: "no connection"
    case .timeout: "no answer in time"
    case .transportFailure: "the connection broke, or the answer was none"
    case .unexpectedStatus: "unexpected status"
    case .notServing: "not serving, as gRPC's health service says"
    }
  }
}

/// Turns the results of one endpoint's checks into its health. Pure.
package struct HealthTally: Sendable {
  package private(set) var health = EndpointHealth.unknown
  /// Results in a row that speak against `health`.
  private var contrary: UInt32 = 0

  package init() {}

  /// Nil for `problem`: the check was good. Returns the health if it has changed.
  package mutating func note(_ problem: HealthProblem?, _ policy: HealthCheckPolicy) -> EndpointHealth? {
    let found = problem.map(EndpointHealth.unhealthy) ?? .healthy
    if health != .unknown, found.isUnhealthy == health.isUnhealthy {
      contrary = 0
      return nil
    }
    contrary &+= 1
    let threshold = found.isUnhealthy ? policy.unhealthyThreshold : policy.healthyThreshold
    guard health == .unknown || contrary >= threshold else { return nil }
    health = found
    contrary = 0
    return found
  }
}
