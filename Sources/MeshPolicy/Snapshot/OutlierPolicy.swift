package import MeshCore

/// When an endpoint that fails is left out for a while, and for how long. On by default.
///
/// The defaults act on small services, where Envoy's and Istio's eject nobody (10 % of five hosts is none): one refused
/// connection, or five failures in a row, and at the start for one second only; an ejection that was a mistake costs little.
/// Every worker judges by the requests it sends itself.
package struct OutlierPolicy: Hashable, Sendable {
  package var isEnabled = true

  // MARK: In a row. 0: not looked at.

  /// Answers of 500 to 599 and, unless they count apart, local failures.
  package var consecutiveFailures: UInt32 = 5
  /// Answers of 502, 503 and 504 and, unless they count apart, local failures.
  package var consecutiveGatewayFailures: UInt32 = 0
  /// Local failures are those that no answer tells of: connections refused, broken or timed out, streams reset. They count in
  /// `consecutiveLocalFailures` and nowhere else.
  package var countsLocalFailuresApart = false
  package var consecutiveLocalFailures: UInt32 = 5
  /// Failed connects. One tells more than five answers: there is nobody.
  package var consecutiveConnectFailures: UInt32 = 1

  // MARK: Against the others, each interval

  package var interval = TimeSpan.seconds(10)
  package var successRate: SuccessRate? = SuccessRate()
  /// Off by default: the default algorithm sends little to the slow without ejecting them.
  package var latency: Latency?

  /// An endpoint is an outlier when its share of successes is below the mean of all by so many standard deviations.
  package struct SuccessRate: Hashable, Sendable {
    /// Fewer endpoints with enough requests tell nothing.
    package var minimumHosts: UInt32 = 5
    /// Requests of an endpoint within an interval that are enough to judge it.
    package var minimumRequests: UInt32 = 100
    /// Standard deviations below the mean, in thousandths.
    package var deviationsThousandths: UInt32 = 1_900
    /// One that fails less than this is no outlier, however well the others do: where nobody fails, one failure in a hundred is
    /// many deviations away.
    package var minimumFailurePercent: UInt32 = 5

    package init() {}
  }

  /// An endpoint is an outlier when its mean time to the first byte of an answer is so many times the median of all.
  package struct Latency: Hashable, Sendable {
    package var minimumHosts: UInt32 = 3
    package var minimumRequests: UInt32 = 50
    /// In percent of the median.
    package var factorPercent: UInt32 = 300
    /// An endpoint faster than this is no outlier.
    package var floor = TimeSpan.milliseconds(100)

    package init() {}
  }

  // MARK: The ejection

  /// The first ejection. Each further one is twice as long; every interval without one takes a doubling back.
  package var baseEjection = TimeSpan.seconds(1)
  package var maximumEjection = TimeSpan.seconds(60)
  /// Random addition to an ejection, in percent of it, so that the workers of all proxies do not come back at once.
  package var ejectionJitterPercent: UInt32 = 50
  /// Most endpoints that may be out at a time. One may always be, and never all. 100 by default, because the panic threshold is
  /// the better guard: past it endpoints that answer are used again, and those that refuse connections are not.
  package var maximumEjectedPercent: UInt32 = 100

  package init() {}
}

extension OutlierPolicy {
  /// Length of an ejection that follows `count` earlier ones; `jitter` is in 0..<1. Never above the maximum.
  package func ejectionTime(after count: Int, jitter: Double) -> TimeSpan {
    let doubled = Double(baseEjection.nanoseconds) * Double(UInt64(1) << UInt64(min(count, 40)))
    let jittered = doubled * (1 + Double(ejectionJitterPercent) / 100 * jitter)
    return TimeSpan(nanoseconds: Int64(min(jittered, Double(maximumEjection.nanoseconds))))
  }

  /// Most endpoints of `count` that may be out at a time.
  package func maximumEjected(of count: Int) -> Int {
    min(count - 1, max(1, count * Int(maximumEjectedPercent) / 100))
  }
}
