package import MeshCore

/// Constants of a balancer. The defaults are Linkerd's, except that a refused connection ejects at once and five
/// failures in a row suffice (Envoy's `consecutive_5xx`).
package struct BalancerSettings: Hashable, Sendable {
  /// Latency assumed of an endpoint that has served nothing yet.
  package var initialLatency = TimeSpan.milliseconds(30)
  /// Time constant of the latency estimate's decay.
  package var decay = TimeSpan.seconds(10)
  /// 5xx answers and transport failures in a row before ejection.
  package var consecutiveFailures = 5
  /// Failures in a row before ejection when the latest is a failed connect.
  package var connectFailures = 1
  package var minimumEjection = TimeSpan.seconds(1)
  package var maximumEjection = TimeSpan.seconds(60)
  /// Random part of an ejection, as a fraction of its length.
  package var ejectionJitter = 0.5
  /// Below this share of available endpoints the unavailable ones are used too. 0 switches panic off.
  package var panicPercent = 50

  package init() {}

  /// Length of an ejection that follows `count` earlier ones without a success between; `jitter` is in 0..<1.
  func ejectionTime(after count: Int, jitter: Double) -> TimeSpan {
    let doubled = Double(minimumEjection.nanoseconds) * Double(UInt64(1) << UInt64(min(count, 40)))
    let jittered = doubled * (1 + ejectionJitter * jitter)
    return TimeSpan(nanoseconds: Int64(min(jittered, Double(maximumEjection.nanoseconds))))
  }
}
