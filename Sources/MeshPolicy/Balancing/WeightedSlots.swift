import MeshCore

/// Endpoints to draw from in proportion to their weights, in parts: in constant time where all of a part are equal, else in
/// logarithmic time.
struct WeightedSlots {
  /// Some that stand next to each other.
  struct Part {
    var start = 0
    var end = 0
    /// The sum of the weights; 0 when all are equal.
    fileprivate(set) var total: UInt64 = 0
    fileprivate(set) var heaviest: UInt32 = 1

    var count: Int { end &- start }
    var isWeighted: Bool { total > 0 }
  }

  private(set) var slots: [Int] = []
  /// In weighted parts, sums of the weights from the beginning of the part up to and including each slot.
  private var sums: [UInt64] = []

  var count: Int { slots.count }

  mutating func removeAll() {
    slots.removeAll(keepingCapacity: true)
    sums.removeAll(keepingCapacity: true)
  }

  mutating func append(_ slot: Int) { slots.append(slot) }

  /// What was appended since `start` is one part.
  mutating func seal(from start: Int, _ weight: (Int) -> UInt32) -> Part {
    var part = Part(start: start, end: slots.count)
    guard start < slots.count else { return part }
    let first = weight(slots[start])
    part.heaviest = first
    var isEven = true
    for i in start..<slots.count {
      let own = weight(slots[i])
      if own != first { isEven = false }
      part.heaviest = max(part.heaviest, own)
    }
    if isEven { return part }
    while sums.count < start { sums.append(0) }
    for i in start..<slots.count {
      part.total += UInt64(weight(slots[i]))
      sums.append(part.total)
    }
    return part
  }

  /// There is at least one slot in the part.
  @inline(__always)
  func draw(from part: Part, _ random: inout SeededRandom) -> Int {
    guard part.isWeighted else { return slots[part.start &+ random.next(below: part.count)] }
    let point = random.next().multipliedFullWidth(by: part.total).high
    var low = part.start
    var high = part.end &- 1
    while low < high {
      let middle = (low &+ high) / 2
      if sums[middle] <= point { low = middle &+ 1 } else { high = middle }
    }
    return slots[low]
  }
}
