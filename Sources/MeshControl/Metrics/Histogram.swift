/// A cumulative histogram as Prometheus has it: counts of observations at or below each bound; the last bound is +Inf.
package struct Histogram: Hashable, Sendable {
  /// Cumulative counts by upper bound.
  package private(set) var buckets: [Double: Double] = [:]

  package init() {}

  package init(_ buckets: [Double: Double]) { self.buckets = buckets }

  package mutating func add(_ count: Double, atOrBelow bound: Double) { buckets[bound, default: 0] += count }

  /// The value below which `fraction` of the observations lie, as Prometheus' `histogram_quantile`: linear inside a
  /// bucket, the first bucket starting at 0, and the highest finite bound when it falls in the +Inf bucket.
  package func quantile(_ fraction: Double) -> Double? {
    let sorted = buckets.sorted { $0.key < $1.key }
    guard (0...1).contains(fraction), let last = sorted.last, last.key == .infinity, last.value > 0 else { return nil }
    guard sorted.count > 1 else { return nil }
    let rank = fraction * last.value
    var floor = 0.0
    var below = 0.0
    for (bound, reported) in sorted {
      // Counters of several processes are not read at one instant: cumulative counts may dip.
      let count = max(reported, below)
      if count >= rank, count > 0 {
        if bound == .infinity { return floor }
        if bound <= 0 { return bound }
        if count == below { return floor }
        return floor + (bound - floor) * (rank - below) / (count - below)
      }
      floor = bound
      below = count
    }
    return floor
  }
}

// MARK: - Coding

extension Histogram: Codable {
  /// `{"0.25": 3, "inf": 7}`: JSON has no number for the last bound.
  package init(from decoder: any Decoder) throws {
    let texts = try [String: Double](from: decoder)
    self.init()
    for (text, count) in texts {
      guard let bound = Double(text), !bound.isNaN, count >= 0, count.isFinite else {
        throw DecodingError.dataCorrupted(
          .init(codingPath: decoder.codingPath, debugDescription: "\(text): \(count) is no bucket"))
      }
      add(count, atOrBelow: bound)
    }
  }

  package func encode(to encoder: any Encoder) throws {
    try Dictionary(uniqueKeysWithValues: buckets.map { ("\($0.key)", $0.value) }).encode(to: encoder)
  }
}
