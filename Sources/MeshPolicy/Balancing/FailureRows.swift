/// What an endpoint has done wrong in a row, each kind for itself. Pure: outcomes in, a reason to eject out.
struct FailureRows {
  private(set) var failures: UInt32 = 0
  private(set) var gatewayFailures: UInt32 = 0
  private(set) var localFailures: UInt32 = 0
  private(set) var connectFailures: UInt32 = 0

  var isClean: Bool { failures == 0 && localFailures == 0 }

  /// The longest row, for people.
  var longest: UInt32 { max(failures, gatewayFailures, localFailures) }

  /// Nil: nothing that would eject the endpoint.
  ///
  /// An answer, even of 503, ends a row of local failures, as it proves that somebody is there. Only a success ends the rows of
  /// bad answers: local failures counted apart leave those alone.
  mutating func note(_ outcome: EndpointOutcome, _ policy: OutlierPolicy) -> EjectionReason? {
    switch outcome {
    case .cancelled: return nil
    case .success:
      self = FailureRows()
      return nil
    case .serverError, .gatewayError:
      localFailures = 0
      connectFailures = 0
      failures &+= 1
      gatewayFailures = outcome == .gatewayError ? gatewayFailures &+ 1 : 0
    case .transportFailure, .connectFailure:
      connectFailures = outcome == .connectFailure ? connectFailures &+ 1 : 0
      localFailures &+= 1
      if !policy.countsLocalFailuresApart {
        failures &+= 1
        gatewayFailures &+= 1
      }
    }
    return reason(outcome, policy)
  }

  private func reason(_ latest: EndpointOutcome, _ policy: OutlierPolicy) -> EjectionReason? {
    func isReached(_ row: UInt32, _ threshold: UInt32) -> Bool { threshold > 0 && row >= threshold }
    if isReached(connectFailures, policy.consecutiveConnectFailures) { return .connectFailures }
    if policy.countsLocalFailuresApart, isReached(localFailures, policy.consecutiveLocalFailures) {
      return .transportFailures
    }
    let isBad = isReached(failures, policy.consecutiveFailures)
    let isBadGateway = isReached(gatewayFailures, policy.consecutiveGatewayFailures)
    guard isBad || isBadGateway else { return nil }
    switch latest {
    case .transportFailure, .connectFailure: return .transportFailures
    default: return isBad ? .serverErrors : .gatewayErrors
    }
  }
}
