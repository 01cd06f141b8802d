/// Draws one of several shares in proportion to their weights. Weight 0 is never drawn.
package struct WeightedPick: Sendable {
  /// Sum of the weights up to and including each share.
  private let cumulative: [UInt64]
  /// The only share with a weight, which needs no draw.
  private let only: Int?

  package init(_ weights: [UInt32]) {
    var sum: UInt64 = 0
    cumulative = weights.map { weight in
      sum += UInt64(weight)
      return sum
    }
    let positive = weights.indices.filter { weights[$0] > 0 }
    only = positive.count == 1 ? positive[0] : nil
  }

  package init(_ backends: [WeightedBackend]) {
    self.init(backends.map(\.weight))
  }

  /// The index of the share that `draw`, a fraction of 2^64, falls into; nil when there is none or all weights are 0.
  package func pick(_ draw: UInt64) -> Int? {
    if let only { return only }
    guard let total = cumulative.last, total > 0 else { return nil }
    let point = total.multipliedFullWidth(by: draw).high
    for (index, end) in cumulative.enumerated() where point < end { return index }
    return nil
  }
}

/// Fractions of 2^64 that fill the range evenly (Weyl's sequence of the golden ratio): after n draws every share is within a few
/// requests of its weight, where independent draws are off by the square root of n. It begins at random, so that proxies
/// which send a request each do not all send it to the same share.
package struct EvenDraws: Sendable {
  private static let goldenRatio: UInt64 = 0x9E37_79B9_7F4A_7C15
  private var last: UInt64

  package init(start: UInt64) { last = start }

  package mutating func next() -> UInt64 {
    last &+= Self.goldenRatio
    return last
  }
}
