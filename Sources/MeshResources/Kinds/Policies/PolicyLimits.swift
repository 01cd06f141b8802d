package import MeshCore

/// Limits on a policy. All but the first are ours: past them a number says nothing, or the wire does not carry it.
package enum PolicyLimits {
  /// Of GEP-713's own schema.
  package static let targets = 16
  /// Connections, requests, rows of failures.
  package static let count = 1_000_000
  /// Health checks in a row.
  package static let checks = 1...1_000
  package static let rateLimits = 16
  /// Of a global rate limit, and entries of each.
  package static let descriptors = 16
  package static let contentTypes = 64
  package static let minimumCompressedBytes = 1 << 30
  package static let tolerancePercent = 1...1_000
  /// A tebibyte.
  package static let bodyBytes = 1 << 40
  /// A quarter of what one worker holds for all its connections (`ProxyLimits.maximumBufferedBytes`).
  package static let bodyBufferBytes = 4 << 20
  package static let nameBytes = 256
  package static let cookiePathBytes = 1_024
  /// A shorter interval judges by chance.
  package static let shortestInterval = TimeSpan.milliseconds(100)
  package static let overprovisioningPercent = 100...10_000
  /// Entries of `failover` and of `distribution`, and zones of each.
  package static let zones = 64
  package static let aggression = 0.01...100.0
  package static let deviations = 0.001...100.0
  package static let factorPercent = 101...100_000
  /// Of one AuthorizationPolicy; entries of `from`, `to` and `when` of a rule; values of a list; bytes of a value.
  package static let authorizationRules = 256
  package static let authorizationEntries = 64
  package static let authorizationValues = 256
  package static let patternBytes = 512
  package static let rolloutSteps = 32
  /// Of a step and of the time between two judgements. Shorter ones end before the weights have reached every proxy.
  package static let shortestRolloutTime = TimeSpan.seconds(1)
}
