import MeshCore

/// The fixed buckets of `response_latency_ms`: Linkerd's, with 0.25 and 0.5 ms in front.
package enum LatencyBuckets {
  /// Upper bounds in microseconds, inclusive; a last bucket without a bound follows.
  package static let microseconds: [UInt64] = [
    250, 500, 1_000, 2_000, 3_000, 4_000, 5_000, 10_000, 20_000, 30_000, 40_000, 50_000, 100_000, 200_000, 300_000,
    400_000, 500_000, 1_000_000, 2_000_000, 3_000_000, 4_000_000, 5_000_000, 10_000_000, 20_000_000, 30_000_000,
    40_000_000, 50_000_000,
  ]

  /// Buckets with the unbounded one.
  package static let count = 28

  /// The upper bounds as the label `le` writes them, in milliseconds.
  static let labels: [String] =
    microseconds.map { $0 % 1000 == 0 ? "\($0 / 1000)" : $0 == 250 ? "0.25" : "0.5" } + ["+Inf"]
}

/// Finds the bucket of a latency in constant time: the number of bits gives a start, and at most a few steps follow.
struct LatencyBucketIndex {
  private let bounds: [UInt64]
  private let start: [UInt8]

  init() {
    let bounds = LatencyBuckets.microseconds.map { $0 * 1000 }
    self.bounds = bounds
    start = (0...64).map { bits in
      // The smallest number with so many bits.
      let least: UInt64 = bits == 0 ? 0 : 1 << UInt64(bits - 1)
      return UInt8(bounds.firstIndex { $0 >= least } ?? bounds.count)
    }
  }

  @inline(__always)
  func bucket(_ latency: TimeSpan) -> Int {
    let nanoseconds = UInt64(max(latency.nanoseconds, 0))
    var index = Int(start[64 &- nanoseconds.leadingZeroBitCount])
    while index < bounds.count, nanoseconds > bounds[index] { index &+= 1 }
    return index
  }
}
