import MeshCore

/// Whether the signer may be asked now, and what came of asking it. Pure: clocks and randomness come in.
///
/// Not on disk: the next controller asks at once, and learns anew.
struct IssuerRenewal: Sendable {
  /// Since the last success.
  struct Trouble: Hashable, Sendable {
    var text: String
    var failures: Int
    /// Unix seconds.
    var since: Int64
  }

  private(set) var trouble: Trouble?
  private(set) var retryAt: Instant?
  private var backoff = Backoff(minimum: SignerLimits.firstRetry, maximum: SignerLimits.lastRetry)

  init() {}

  func mayAsk(now: Instant) -> Bool { retryAt.map { now >= $0 } ?? true }

  /// The longer of our own back-off and what the signer asks for.
  mutating func failed(
    _ text: String, retryAfter: TimeSpan?, now: Instant, wallSeconds: Int64, random: inout SeededRandom
  ) {
    let failures = (trouble?.failures ?? 0) + 1
    trouble = Trouble(text: text, failures: failures, since: trouble?.since ?? wallSeconds)
    retryAt = now + max(backoff.next(using: &random), retryAfter ?? .zero)
  }

  mutating func succeeded() { self = IssuerRenewal() }

  /// Somebody does not want the issuer that came: it is not asked for again at once.
  mutating func putOff(now: Instant) { retryAt = now + SignerLimits.longestRetryAfter }
}
