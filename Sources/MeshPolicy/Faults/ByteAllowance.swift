package import MeshCore

/// A limit on bytes per second. Grants come in portions of `interval`, so that a slow reader sees a slow stream and not one that
/// stands still for seconds; what is not used within one is lost.
package struct ByteAllowance: Sendable {
  package static let interval = TimeSpan.milliseconds(50)

  private let perSecond: UInt64
  private var credit: Double
  private var last: Instant

  package init(perSecond: UInt64, now: Instant) {
    self.perSecond = max(perSecond, 1)
    credit = 0
    last = now - Self.interval
  }

  private var portion: Double { max(1, Double(perSecond) * Self.interval.inSeconds) }

  /// How many of `wanted` bytes may go now. They count as gone.
  package mutating func take(_ wanted: Int, now: Instant) -> Int {
    credit = min(portion, credit + Double(perSecond) * (now - last).inSeconds)
    last = now
    let granted = min(wanted, Int(credit))
    credit -= Double(granted)
    return granted
  }

  /// Bytes that were granted and could not go.
  package mutating func giveBack(_ count: Int) { credit += Double(count) }

  /// Time until a portion is full, or its first byte where a byte takes longer than that.
  package var wait: TimeSpan {
    TimeSpan(nanoseconds: Int64((max(0, portion - credit) / Double(perSecond) * 1e9).rounded(.up)) + 1)
  }
}

extension Instant {
  fileprivate static func - (a: Instant, b: TimeSpan) -> Instant {
    Instant(nanoseconds: a.nanoseconds &- UInt64(bitPattern: b.nanoseconds))
  }
}
