package import MeshCore

/// What one name stands for, and when it is asked for again. Pure.
///
/// An answer counts for its TTL within bounds; the next question goes out a little earlier, at random, so that the proxies that learnt a name
/// together do not all ask together. Without an answer the last good one stays, however old, and is asked for ever more rarely.
package struct ResolvedName: Sendable {
  /// Ordered, so that the order of answers, which servers turn, changes nothing.
  package private(set) var addresses: [SocketAddress] = []
  /// Why the last question had no answer.
  package private(set) var failure: String?
  /// The name was answered, or failed to be, at least once.
  package private(set) var isSettled = false
  private let minimumTTL: TimeSpan
  private let maximumTTL: TimeSpan
  private var backoff = Backoff(minimum: .seconds(1), maximum: .seconds(30))

  package init(minimumTTL: TimeSpan, maximumTTL: TimeSpan) {
    self.minimumTTL = minimumTTL
    self.maximumTTL = maximumTTL
  }

  package struct Next: Hashable, Sendable {
    /// The addresses are others than before, or the first question has come to its end.
    package var isNews: Bool
    /// The wait before the next question.
    package var wait: TimeSpan
  }

  package mutating func answered(
    _ found: [SocketAddress], ttl: TimeSpan, _ random: inout SeededRandom
  ) -> Next {
    let usable = Set(found).filter { !$0.isUnspecified && !$0.isMulticast }
      .sorted { ($0.high, $0.low) < ($1.high, $1.low) }
    guard !usable.isEmpty else { return failed("the DNS has no address for the name that can be used", &random) }
    let isNews = !isSettled || usable != addresses
    (addresses, failure, isSettled) = (usable, nil, true)
    backoff.reset()
    let whole = min(max(ttl, minimumTTL), maximumTTL).nanoseconds
    let early = Int64(Double(whole) * 0.1 * random.unit())
    return Next(isNews: isNews, wait: TimeSpan(nanoseconds: max(whole - early, minimumTTL.nanoseconds)))
  }

  package mutating func failed(_ reason: String, _ random: inout SeededRandom) -> Next {
    let isNews = !isSettled
    (failure, isSettled) = (reason, true)
    return Next(isNews: isNews, wait: backoff.next(using: &random))
  }
}

extension SocketAddress {
  /// No server has such an address.
  fileprivate var isMulticast: Bool { isIPv4 ? ipv4 >> 28 == 0xE : high >> 56 == 0xFF }
}
