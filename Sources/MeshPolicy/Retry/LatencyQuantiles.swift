package import MeshCore

/// How long a backend's answers take, by rank: a histogram of the last ten to twenty seconds.
///
/// Buckets grow by a quarter of a power of two, so what it says is at most a fifth too long. Two histograms take turns: one fills
/// while the other is looked at, too. Constant time, 1 KiB; confined to one worker.
package struct LatencyQuantiles: Sendable {
  private static let buckets = 128
  private static let window = TimeSpan.seconds(10)
  /// Fewer answers say nothing about the slow ones among them.
  package static let leastAnswers: UInt32 = 50

  private var counts = [UInt32](repeating: 0, count: 2 * buckets)
  private var totals: (UInt32, UInt32) = (0, 0)
  /// Which of the two fills, from when on.
  private var current = 0
  private var began: Instant

  package init(now: Instant) { began = now }

  package mutating func note(_ latency: TimeSpan, now: Instant) {
    turn(now)
    counts[current * Self.buckets + Self.bucket(latency)] &+= 1
    if current == 0 { totals.0 &+= 1 } else { totals.1 &+= 1 }
  }

  /// The latency that `share` ten-thousandths of the answers had at most. Nil: too few answers.
  package mutating func value(_ share: UInt32, now: Instant) -> TimeSpan? {
    turn(now)
    let total = totals.0 &+ totals.1
    guard total >= Self.leastAnswers else { return nil }
    let wanted = (UInt64(total) * UInt64(min(share, 10_000)) + 9_999) / 10_000
    var sum: UInt64 = 0
    for bucket in 0..<Self.buckets {
      sum += UInt64(counts[bucket]) + UInt64(counts[Self.buckets + bucket])
      if sum >= wanted { return Self.end(of: bucket) }
    }
    return nil
  }

  private mutating func turn(_ now: Instant) {
    guard now - began >= Self.window else { return }
    // After a quiet time both are old.
    let isOld = now - began >= Self.window + Self.window
    if isOld { clear(current) }
    current = 1 - current
    clear(current)
    began = isOld ? now : began + Self.window
  }

  private mutating func clear(_ half: Int) {
    for bucket in 0..<Self.buckets { counts[half * Self.buckets + bucket] = 0 }
    if half == 0 { totals.0 = 0 } else { totals.1 = 0 }
  }

  /// By the highest bit of the microseconds and the two bits behind it.
  private static func bucket(_ latency: TimeSpan) -> Int {
    let microseconds = UInt64(max(latency.nanoseconds / 1_000, 4))
    let high = 63 - microseconds.leadingZeroBitCount
    return min(high * 4 + Int(microseconds >> UInt64(high - 2) & 3), buckets - 1)
  }

  private static func end(of bucket: Int) -> TimeSpan {
    let (high, quarter) = (max(bucket / 4, 2), bucket % 4)
    return .microseconds(Int64((5 + quarter)) << Int64(high - 2))
  }
}
