/// The look-up table of Maglev (Eisenbud et al., NSDI 2016): every endpoint fills places in the order of a permutation of its own,
/// in turns by weight, until none is free.
///
/// Shares are the weights within a place of `size`. When one of N endpoints leaves, its keys move and few of the others'. A look-up
/// is one access. 128 KiB; building it takes about a millisecond, and happens when endpoints or weights change.
struct MaglevTable {
  /// A prime, much larger than any set should be; Envoy's number, too. More endpoints than places: the last get none.
  static let size = 65_537

  private let places: [Int32]

  init(_ targets: [HashTarget]) {
    // The order of turns must not depend on the order in which the control plane lists the endpoints.
    let ordered = targets.sorted { ($0.hash, $0.slot) < ($1.hash, $1.slot) }
    guard let heaviest = ordered.map(\.weight).max() else {
      places = []
      return
    }
    var places = [Int32](repeating: -1, count: Self.size)
    var walkers = ordered.map { Walker($0, heaviest: heaviest) }
    var free = Self.size
    while free > 0 {
      for i in walkers.indices where walkers[i].hasTurn() {
        var place = walkers[i].next()
        while places[place] >= 0 { place = walkers[i].next() }
        places[place] = walkers[i].slot
        free -= 1
        if free == 0 { break }
      }
    }
    self.places = places
  }

  var isEmpty: Bool { places.isEmpty }

  /// The slot of `key`; where that endpoint cannot be used, of keys made from it. Nil when no usable one was met.
  func find(_ key: UInt64, _ isUsable: (Int) -> Bool) -> Int? {
    guard !places.isEmpty else { return nil }
    var key = key
    for _ in 0..<Self.maximumSteps {
      let slot = Int(places[Int(key % UInt64(Self.size))])
      if isUsable(slot) { return slot }
      key = StableHash.mix(key &+ 0x9E37_79B9_7F4A_7C15)
    }
    return nil
  }

  /// With half of the endpoints usable, the chance to meet none is 2^-32.
  private static let maximumSteps = 32

  /// One endpoint's way over the table.
  private struct Walker {
    let slot: Int32
    private var place: Int
    private let skip: Int
    private let share: Double
    private var credit = 0.0

    init(_ target: HashTarget, heaviest: UInt32) {
      slot = target.slot
      place = Int(target.hash % UInt64(MaglevTable.size))
      skip = Int(StableHash.mix(target.hash) % UInt64(MaglevTable.size - 1)) + 1
      share = Double(target.weight) / Double(heaviest)
    }

    /// The heaviest has one in each round, the others as often as their weight allows.
    mutating func hasTurn() -> Bool {
      credit += share
      guard credit >= 1 else { return false }
      credit -= 1
      return true
    }

    mutating func next() -> Int {
      let current = place
      place += skip
      if place >= MaglevTable.size { place -= MaglevTable.size }
      return current
    }
  }
}
