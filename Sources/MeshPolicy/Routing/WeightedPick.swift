package import MeshCore

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

  /// The index of the share drawn; nil when there is none or all weights are 0.
  package func pick(_ random: inout SeededRandom) -> Int? {
    if let only { return only }
    guard let total = cumulative.last, total > 0 else { return nil }
    let point = UInt64(random.next(below: Int(total)))
    for (index, end) in cumulative.enumerated() where point < end { return index }
    return nil
  }
}
