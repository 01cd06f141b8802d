/// A point on the monotonic clock, in nanoseconds. Only `MeshRuntime` reads the clock; everyone else is handed one.
package struct Instant: Comparable, Hashable, Sendable {
  package var nanoseconds: UInt64

  @inlinable package init(nanoseconds: UInt64) { self.nanoseconds = nanoseconds }

  @inlinable package static func < (a: Instant, b: Instant) -> Bool { a.nanoseconds < b.nanoseconds }

  @inlinable package static func + (a: Instant, b: TimeSpan) -> Instant {
    Instant(nanoseconds: a.nanoseconds &+ UInt64(bitPattern: b.nanoseconds))
  }

  /// The time from `b` to `a`; negative when `b` is later.
  @inlinable package static func - (a: Instant, b: Instant) -> TimeSpan {
    TimeSpan(nanoseconds: Int64(bitPattern: a.nanoseconds &- b.nanoseconds))
  }
}

/// A length of time in nanoseconds. `Duration` of the standard library is 128 bits wide; this one fits a register.
package struct TimeSpan: Comparable, Hashable, Sendable {
  package var nanoseconds: Int64

  @inlinable package init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

  package static let zero = TimeSpan(nanoseconds: 0)
  @inlinable package static func nanoseconds(_ n: Int64) -> TimeSpan { TimeSpan(nanoseconds: n) }
  @inlinable package static func microseconds(_ n: Int64) -> TimeSpan { TimeSpan(nanoseconds: n &* 1_000) }
  @inlinable package static func milliseconds(_ n: Int64) -> TimeSpan { TimeSpan(nanoseconds: n &* 1_000_000) }
  @inlinable package static func seconds(_ n: Int64) -> TimeSpan { TimeSpan(nanoseconds: n &* 1_000_000_000) }

  @inlinable package static func < (a: TimeSpan, b: TimeSpan) -> Bool { a.nanoseconds < b.nanoseconds }
  @inlinable package static func + (a: TimeSpan, b: TimeSpan) -> TimeSpan {
    TimeSpan(nanoseconds: a.nanoseconds &+ b.nanoseconds)
  }
  @inlinable package static func - (a: TimeSpan, b: TimeSpan) -> TimeSpan {
    TimeSpan(nanoseconds: a.nanoseconds &- b.nanoseconds)
  }
  @inlinable package var inSeconds: Double { Double(nanoseconds) / 1e9 }
  @inlinable package var inMilliseconds: Double { Double(nanoseconds) / 1e6 }
}
