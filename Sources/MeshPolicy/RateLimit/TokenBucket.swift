package import MeshCore

/// The arithmetic of a token bucket that is one number: the time at which it will be full again (the generic cell rate algorithm, GCRA).
/// Pure. One number can be changed by many workers in one atomic step.
package struct TokenBucket: Sendable {
  /// In which one token comes back.
  let nanosecondsPerToken: UInt64
  /// How far ahead "full again" may lie for one more token to be there.
  let allowance: UInt64

  package init(_ limit: RateLimit) {
    nanosecondsPerToken = max(1, UInt64(max(limit.period.nanoseconds, 1)) / UInt64(max(limit.requests, 1)))
    let (product, isTooLong) = nanosecondsPerToken.multipliedReportingOverflow(by: UInt64(max(limit.burst, 1) - 1))
    allowance = isTooLong ? .max / 4 : min(product, .max / 4)
  }

  package enum Taken: Hashable, Sendable {
    /// With when the bucket is full again, one token later than before.
    case granted(fullAt: UInt64)
    /// The time until there is a token.
    case refused(wait: TimeSpan)
  }

  /// Takes a token from a bucket that is full at `fullAt`, nanoseconds of the same clock as `now`; a new one is full since long.
  @inline(__always)
  package func take(fullAt: UInt64, now: Instant) -> Taken {
    let base = max(fullAt, now.nanoseconds)
    let ahead = base - now.nanoseconds
    guard ahead <= allowance else { return .refused(wait: .nanoseconds(Int64(clamping: ahead - allowance))) }
    return .granted(fullAt: base + nanosecondsPerToken)
  }
}
