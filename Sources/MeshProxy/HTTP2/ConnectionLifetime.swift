import MeshCore

/// The opaque data of our PINGs, by which their answers are told apart.
enum PingTag {
  static let keepalive: UInt64 = 0x6170_7573_6C69_7665
  static let drain: UInt64 = 0x6170_7573_6472_6E00
}

/// Decides when an HTTP/2 connection asks its peer for a sign of life, stops for its age, and ends for being idle.
///
/// Pure: times come in, actions go out. One timer per connection serves it, armed for `nextCheck` after each `check`.
/// A stream's start and end cost a comparison and a store and never touch the timer: a check finds out what happened
/// since the last one. Only after a quiet interval does the timer rest until the idle timeout; the next stream then
/// wakes it and asks the peer at once, since a connection that was quiet for long may lead nowhere.
struct ConnectionLifetime {
  /// Zero switches a limit off.
  struct Limits {
    var keepaliveInterval = TimeSpan.zero
    var keepaliveTimeout = TimeSpan.zero
    var idleTimeout = TimeSpan.zero
    var maximumAge = TimeSpan.zero
    /// How long streams may go on past the age.
    var ageGrace = TimeSpan.zero
  }

  enum Action: Equatable {
    case none
    /// Send PING.
    case ping
    /// The peer did not answer: cut the connection.
    case dead
    /// No stream for the idle timeout.
    case idle
    /// Old enough: take no more streams.
    case retire
    /// Streams are still open when the grace of an old connection is over.
    case cut
  }

  static let never = Instant(nanoseconds: .max)

  private let limits: Limits
  /// When the connection retires, and later when it is cut.
  private var endsAt: Instant
  private var isRetired = false
  /// When the PING without an answer was sent.
  private var asked: Instant?
  /// When the last stream ended, or the connection began.
  private var idleSince: Instant
  /// Quiet and without streams: the timer sleeps until the idle timeout.
  private var isResting = false
  /// When `check` is due.
  private(set) var nextCheck: Instant

  /// `share` of 0 to 1 spreads the ages of connections that opened together over 10 % either side of the limit.
  init(_ limits: Limits, now: Instant, share: Double) {
    self.limits = limits
    idleSince = now
    let age = Double(limits.maximumAge.nanoseconds) * (0.9 + 0.2 * share)
    endsAt = limits.maximumAge > .zero ? now + .nanoseconds(Int64(age)) : Self.never
    nextCheck = now
    nextCheck = min(now + firstWait, endsAt)
  }

  private var firstWait: TimeSpan {
    let (ping, idle) = (limits.keepaliveInterval, limits.idleTimeout)
    if ping > .zero, idle > .zero { return min(ping, idle) }
    return max(ping, idle) > .zero ? max(ping, idle) : .seconds(3600)
  }

  // MARK: - Streams

  /// A stream begins. True when `nextCheck` has changed; with `asking` a PING must be sent, too.
  mutating func streamStarted(_ now: Instant, asking: Bool) -> Bool {
    guard isResting else { return false }
    isResting = false
    if asking { asked = now }
    nextCheck = min(now + (asking ? limits.keepaliveTimeout : limits.keepaliveInterval), endsAt)
    return true
  }

  /// No stream is open any more.
  mutating func streamsEnded(_ now: Instant) { idleSince = now }

  // MARK: - Checks

  mutating func check(_ now: Instant, lastReceived: Instant, streams: Int) -> Action {
    if now >= endsAt {
      if isRetired { return .cut }
      isRetired = true
      endsAt = limits.ageGrace > .zero ? now + limits.ageGrace : Self.never
      nextCheck = now
      return .retire
    }
    if let asked {
      if lastReceived <= asked {
        if now - asked >= limits.keepaliveTimeout { return .dead }
        nextCheck = min(asked + limits.keepaliveTimeout, endsAt)
        return .none
      }
      self.asked = nil
    }
    return streams > 0 ? checkBusy(now, lastReceived) : checkIdle(now, lastReceived)
  }

  private mutating func checkBusy(_ now: Instant, _ lastReceived: Instant) -> Action {
    guard limits.keepaliveInterval > .zero else {
      nextCheck = min(now + firstWait, endsAt)
      return .none
    }
    if now - lastReceived >= limits.keepaliveInterval {
      asked = now
      nextCheck = min(now + limits.keepaliveTimeout, endsAt)
      return .ping
    }
    nextCheck = min(lastReceived + limits.keepaliveInterval, endsAt)
    return .none
  }

  private mutating func checkIdle(_ now: Instant, _ lastReceived: Instant) -> Action {
    var next = endsAt
    if limits.idleTimeout > .zero {
      if now - idleSince >= limits.idleTimeout {
        nextCheck = min(now + limits.idleTimeout, endsAt)
        return .idle
      }
      next = min(next, idleSince + limits.idleTimeout)
    }
    if limits.keepaliveInterval > .zero {
      isResting = now - lastReceived >= limits.keepaliveInterval
      if !isResting { next = min(next, lastReceived + limits.keepaliveInterval) }
    }
    nextCheck = next
    return .none
  }
}
