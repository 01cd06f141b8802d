package import MeshCore

/// How fresh the keys of one source are, and when they are fetched next. Pure: outcomes, time and randomness come in.
///
/// The last good set stays in use for as long as no newer one can be had: an identity provider that is away locks nobody out.
package struct KeySetRecord: Hashable, Sendable {
  package private(set) var keys: TokenKeySet?
  /// Why the last fetch failed; nil when it did not.
  package private(set) var failure: String?
  private var failures = 0
  private var nextAsked = Instant(nanoseconds: 0)

  package init() {}

  /// What comes of an outcome.
  package struct Next: Hashable, Sendable {
    /// Until the next fetch.
    package var wait: TimeSpan
    /// Workers must hear of it.
    package var isNews: Bool
  }

  /// `maxAge` is what the server says, if it says anything.
  package mutating func fetched(_ set: TokenKeySet, maxAge: TimeSpan?, _ random: inout SeededRandom) -> Next {
    let isNews = set != keys
    keys = set
    failure = nil
    failures = 0
    let age = maxAge ?? TokenLimits.defaultMaxAge
    let kept = min(max(age, TokenLimits.maxAge.lowerBound), TokenLimits.maxAge.upperBound)
    // Up to a tenth earlier, so that many proxies do not come together.
    return Next(wait: kept.share(1 - random.unit() / 10), isNews: isNews)
  }

  package mutating func failed(_ reason: String, _ random: inout SeededRandom) -> Next {
    failure = reason
    failures = min(failures + 1, 7)
    // 1 s, 2 s, 4 s and so on to about a minute.
    return Next(wait: TimeSpan.seconds(1 << (failures - 1)).share(0.5 + random.unit() / 2), isNews: false)
  }

  /// A token names a key that the set does not have. True: ask now; not too often, since anybody can make up names.
  package mutating func mayAsk(now: Instant) -> Bool {
    guard now >= nextAsked else { return false }
    nextAsked = now + TokenLimits.refreshInterval
    return true
  }
}

extension TimeSpan {
  fileprivate func share(_ part: Double) -> TimeSpan { TimeSpan(nanoseconds: Int64(Double(nanoseconds) * part)) }
}

/// What `Cache-Control` says of how long an answer may be kept (RFC 9111, section 5.2.2).
package enum CacheControl {
  /// `max-age`; zero for `no-store` and `no-cache`. Nil: it says nothing of it.
  package static func maxAge(_ value: UnsafeRawBufferPointer) -> TimeSpan? {
    var found: TimeSpan?
    for part in value.string.split(separator: ",") {
      let directive = part.drop { $0 == " " || $0 == "\t" }.lowercased()
      if directive.hasPrefix("no-store") || directive.hasPrefix("no-cache") { return .zero }
      guard directive.hasPrefix("max-age=") else { continue }
      let digits = directive.dropFirst(8).filter { $0 != "\"" && $0 != " " }
      guard !digits.isEmpty, digits.utf8.allSatisfy({ $0 &- 0x30 < 10 }) else { continue }
      found = .seconds(Int64(digits).map { min($0, 1 << 31) } ?? 1 << 31)
    }
    return found
  }
}
