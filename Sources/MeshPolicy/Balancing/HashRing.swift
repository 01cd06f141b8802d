/// Points on a circle of hashes, many of each endpoint; a key belongs to the next point after its own hash (Karger et al., 1997).
///
/// The points of an endpoint depend on nothing but itself, as long as the set's size and weights stay within a factor of two: when
/// it leaves, only its own keys move. With 256 points the shares of equal endpoints differ by some 6 % of a share. A look-up takes
/// the logarithm of the number of points. Limit: `maximumPoints`; past it endpoints have fewer points, and at the least one.
struct HashRing {
  static let pointsOfEndpoint: UInt64 = 256
  static let maximumPoints: UInt64 = 32_768

  private struct Point {
    let hash: UInt64
    let slot: Int32
  }

  private let points: [Point]

  init(_ targets: [HashTarget]) {
    let counts = Self.pointCounts(targets)
    var points: [Point] = []
    points.reserveCapacity(Int(counts.reduce(0, +)))
    for (target, count) in zip(targets, counts) {
      for number in 0..<count {
        var hash = StableHash()
        hash.add(target.hash)
        hash.add(number)
        points.append(Point(hash: hash.value, slot: target.slot))
      }
    }
    points.sort { $0.hash < $1.hash }
    self.points = points
  }

  var isEmpty: Bool { points.isEmpty }

  /// In proportion to the weights. The unit is the power of two below the least weight, so that it seldom changes when one
  /// endpoint comes or goes.
  static func pointCounts(_ targets: [HashTarget]) -> [UInt64] {
    guard let least = targets.map(\.weight).min(), least > 0 else { return [] }
    let unit = UInt64(1) << UInt64(31 - least.leadingZeroBitCount)
    var shift: UInt64 = 0
    while true {
      let counts = targets.map { max(1, (pointsOfEndpoint * UInt64($0.weight) / unit) >> shift) }
      if counts.reduce(0, +) <= maximumPoints || !counts.contains(where: { $0 > 1 }) { return counts }
      shift += 1
    }
  }

  /// The slot of the first point from `key` on whose endpoint `isUsable`; nil when none is.
  func find(_ key: UInt64, _ isUsable: (Int) -> Bool) -> Int? {
    var low = 0
    var high = points.count
    while low < high {
      let middle = (low &+ high) / 2
      if points[middle].hash < key { low = middle &+ 1 } else { high = middle }
    }
    for step in 0..<points.count {
      let i = low &+ step
      let slot = Int(points[i < points.count ? i : i &- points.count].slot)
      if isUsable(slot) { return slot }
    }
    return nil
  }
}
