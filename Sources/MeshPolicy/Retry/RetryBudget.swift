package import MeshCore

/// How many repeats one backend takes: a share of the requests of the last ten seconds, and always a few.
///
/// Repeats multiply the load of a backend that fails because of its load. With a budget the extra is bounded whatever fails and
/// however many rules ask for repeats, while single failures are still repeated. Two rings of one-second counts; a bucket of
/// tokens would need the same rings to forget what a quiet hour has saved up. Confined to one worker: each has its own.
package struct RetryBudget: Sendable {
  package struct Settings: Hashable, Sendable {
    /// Repeats per hundred requests.
    package var percent: UInt64
    /// Repeats that any second may have, however few requests there were.
    package var minimumPerSecond: UInt64

    package init(percent: UInt64 = 20, minimumPerSecond: UInt64 = 10) {
      self.percent = percent
      self.minimumPerSecond = minimumPerSecond
    }
  }

  private static let window = 10

  /// May change; what was counted stays.
  package var settings: Settings
  private var requests = [UInt64](repeating: 0, count: window)
  private var repeats = [UInt64](repeating: 0, count: window)
  private var recentRequests: UInt64 = 0
  private var recentRepeats: UInt64 = 0
  /// The second of the newest counts.
  private var second: UInt64 = 0

  package init(_ settings: Settings = Settings()) { self.settings = settings }

  /// A request begins; its repeats are not requests.
  package mutating func requestStarted(now: Instant) {
    let slot = advance(to: now)
    requests[slot] &+= 1
    recentRequests &+= 1
  }

  /// Takes one repeat. False when there is none left: the request must end with what it has.
  package mutating func takeRepeat(now: Instant) -> Bool {
    let slot = advance(to: now)
    let isWithinShare = (recentRepeats + 1) * 100 <= recentRequests * settings.percent
    guard isWithinShare || repeats[slot] < settings.minimumPerSecond else { return false }
    repeats[slot] &+= 1
    recentRepeats &+= 1
    return true
  }

  /// Forgets the seconds that have left the window; returns the place of the present one.
  private mutating func advance(to now: Instant) -> Int {
    let present = now.nanoseconds / 1_000_000_000
    let window = UInt64(Self.window)
    if present > second {
      let gone = min(present - second, window)
      for step in 1...gone {
        let slot = Int((present &- gone &+ step) % window)
        recentRequests &-= requests[slot]
        recentRepeats &-= repeats[slot]
        requests[slot] = 0
        repeats[slot] = 0
      }
      second = present
    }
    return Int(second % window)
  }
}
