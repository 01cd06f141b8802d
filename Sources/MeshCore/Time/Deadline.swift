/// A point on the monotonic clock, in nanoseconds. Only `MeshRuntime` reads the clock; everyone else is handed one.
public struct Instant: Comparable, Hashable, Sendable {
  public var nanoseconds: UInt64

  @inlinable public init(nanoseconds: UInt64) { self.nanoseconds = nanoseconds }

  @inlinable public static func < (a: Instant, b: Instant) -> Bool { a.nanoseconds < b.nanoseconds }

  @inlinable public static func + (a: Instant, b: TimeSpan) -> Instant {
    Instant(nanoseconds: a.nanoseconds &+ UInt64(bitPattern: b.nanoseconds))
  }

  /// The time from `b` to `a`; negative when `b` is later.
  @inlinable public static func - (a: Instant, b: Instant) -> TimeSpan {
    TimeSpan(nanoseconds: Int64(bitPattern: a.nanoseconds &- b.nanoseconds))
  }
}

/// A length of time in nanoseconds. `Duration` of the standard library is 128 bits wide; this one fits a register.
public struct TimeSpan: Comparable, Hashable, Sendable {
  public var nanoseconds: Int64

  @inlinable public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

  public static let zero = TimeSpan(nanoseconds: 0)
  @inlinable public static func nanoseconds(_ n: Int64) -> TimeSpan { TimeSpan(nanoseconds: n) }
  @inlinable public static func microseconds(_ n: Int64) -> TimeSpan { TimeSpan(nanoseconds: n &* 1_000) }
  @inlinable public static func milliseconds(_ n: Int64) -> TimeSpan { TimeSpan(nanoseconds: n &* 1_000_000) }
  @inlinable public static func seconds(_ n: Int64) -> TimeSpan { TimeSpan(nanoseconds: n &* 1_000_000_000) }

  @inlinable public static func < (a: TimeSpan, b: TimeSpan) -> Bool { a.nanoseconds < b.nanoseconds }
  @inlinable public static func + (a: TimeSpan, b: TimeSpan) -> TimeSpan {
    TimeSpan(nanoseconds: a.nanoseconds &+ b.nanoseconds)
  }
  @inlinable public static func - (a: TimeSpan, b: TimeSpan) -> TimeSpan {
    TimeSpan(nanoseconds: a.nanoseconds &- b.nanoseconds)
  }
  @inlinable public var inSeconds: Double { Double(nanoseconds) / 1e9 }
  @inlinable public var inMilliseconds: Double { Double(nanoseconds) / 1e6 }
}
