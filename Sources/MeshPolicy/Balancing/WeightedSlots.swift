import MeshCore

/// Endpoints to draw from in proportion to their weights: in constant time when they are equal, else in logarithmic time.
struct WeightedSlots {
  private(set) var slots: [Int] = []
  /// Sums of the weights up to and including each slot; empty when all are equal.
  private var sums: [UInt64] = []
  private(set) var heaviest: UInt32 = 1

  var count: Int { slots.count }
  var isWeighted: Bool { !sums.isEmpty }

  mutating func removeAll() {
    slots.removeAll(keepingCapacity: true)
    sums.removeAll(keepingCapacity: true)
    heaviest = 1
  }

  mutating func append(_ slot: Int) { slots.append(slot) }

  /// Call when all slots are there.
  mutating func seal(_ weight: (Int) -> UInt32) {
    guard let first = slots.first.map(weight) else { return }
    heaviest = first
    var isEven = true
    for slot in slots {
      let own = weight(slot)
      if own != first { isEven = false }
      heaviest = max(heaviest, own)
    }
    if isEven { return }
    var sum: UInt64 = 0
    for slot in slots {
      sum += UInt64(weight(slot))
      sums.append(sum)
    }
  }

  /// There is at least one slot.
  @inline(__always)
  func draw(_ random: inout SeededRandom) -> Int {
    guard let total = sums.last else { return slots[random.next(below: slots.count)] }
    let point = random.next().multipliedFullWidth(by: total).high
    var low = 0
    var high = sums.count &- 1
    while low < high {
      let middle = (low &+ high) / 2
      if sums[middle] <= point { low = middle &+ 1 } else { high = middle }
    }
    return slots[low]
  }
}
