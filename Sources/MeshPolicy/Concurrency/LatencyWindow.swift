import MeshCore
internal import Synchronization

/// Latencies of an interval, recorded by every worker without a lock.
///
/// Buckets grow by an eighth: a median is exact to within 6 %. From 1 us to 70 minutes; what is beyond counts at the ends.
final class LatencyWindow: Sendable {
  private static let subdivisions = 8
  private static let count = 32 * subdivisions
  /// `unsafe`, because the compiler cannot know that the pointer never changes and that all behind it are atomics.
  private nonisolated(unsafe) let buckets: UnsafeMutablePointer<Atomic<UInt32>>
  private let total = Atomic<Int>(0)

  init() {
    buckets = .allocate(capacity: Self.count)
    for i in 0..<Self.count { (buckets + i).initialize(to: Atomic(0)) }
  }

  deinit {
    buckets.deinitialize(count: Self.count)
    buckets.deallocate()
  }

  /// How many were recorded, this one included.
  func record(_ latency: TimeSpan) -> Int {
    buckets[Self.index(latency)].wrappingAdd(1, ordering: .relaxed)
    return total.wrappingAdd(1, ordering: .relaxed).newValue
  }

  /// The median, and an empty window. What others record meanwhile may count in neither.
  func takeMedian() -> TimeSpan {
    var counts: [UInt32] = []
    counts.reserveCapacity(Self.count)
    for i in 0..<Self.count { counts.append(buckets[i].exchange(0, ordering: .relaxed)) }
    total.store(0, ordering: .relaxed)
    let sum = counts.reduce(0) { $0 + UInt64($1) }
    var below: UInt64 = 0
    for (i, count) in counts.enumerated() {
      below += UInt64(count)
      if below * 2 >= sum, count > 0 { return Self.middle(of: i) }
    }
    return .zero
  }

  /// Powers of two of a microsecond, each in eight equal parts.
  static func index(_ latency: TimeSpan) -> Int {
    let microseconds = UInt64(max(1, min(latency.nanoseconds / 1_000, 1 << 31)))
    let power = 63 - microseconds.leadingZeroBitCount
    let part = power >= 3 ? (microseconds >> UInt64(power - 3)) & 7 : (microseconds << UInt64(3 - power)) & 7
    return power * subdivisions + Int(part)
  }

  static func middle(of index: Int) -> TimeSpan {
    let (power, part) = index.quotientAndRemainder(dividingBy: subdivisions)
    let start = Double(UInt64(1) << UInt64(power)) * (1 + (Double(part) + 0.5) / Double(subdivisions))
    return .nanoseconds(Int64(start * 1_000))
  }
}
