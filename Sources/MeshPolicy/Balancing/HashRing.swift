/// A circle of hashes in `arcs` equal parts, each of which belongs to one endpoint; a key belongs to the owner of the arc it falls on.
///
/// Each endpoint visits arcs in an order and at times of its own, as often as its weight allows, and an arc belongs to whoever is
/// there first. So an arc's owner depends on the endpoints alone, not on how many there are: when one leaves, its own arcs go to those who came
/// second and no other arc moves. Shares are the weights within some 0.2 points, however few endpoints there are; points scattered by
/// hash (Karger et al., 1997) would have to be 20,000 an endpoint for that. A look-up is one access. 256 KiB; building it takes some
/// milliseconds, and happens when endpoints or weights change.
struct HashRing {
  static let arcs = 65_536
  /// Visits of an arc after which few arcs are without an owner, and how many more each time that some are.
  private static let firstVisits = 8.0
  private static let moreVisits = 4.0

  private let owners: [Int32]

  init(_ targets: [HashTarget]) {
    guard !targets.isEmpty else {
      owners = []
      return
    }
    // Of two that come at the same moment the first counts: it must not depend on the order in which the control plane lists them.
    var walkers = targets.sorted { ($0.hash, $0.slot) < ($1.hash, $1.slot) }.map(Walker.init)
    let weight = targets.reduce(0) { $0 + Double($1.weight) }
    var race = Race(
      owners: [Int32](repeating: -1, count: Self.arcs), times: [Double](repeating: .infinity, count: Self.arcs))
    var visits = Self.firstVisits
    repeat {
      let end = visits * Double(Self.arcs) / weight
      for i in walkers.indices { walkers[i].walk(until: end, &race) }
      race.end = end
      visits += Self.moreVisits
    } while !race.isOver
    owners = race.owners
  }

  var isEmpty: Bool { owners.isEmpty }

  /// The owner of the first arc from that of `key` on who `isUsable`; nil when none is.
  func find(_ key: UInt64, _ isUsable: (Int) -> Bool) -> Int? {
    let first = Int(key >> 48)
    for step in 0..<owners.count {
      let slot = Int(owners[(first &+ step) & (Self.arcs - 1)])
      if isUsable(slot) { return slot }
    }
    return nil
  }

  /// Who has come first so far.
  private struct Race {
    var owners: [Int32]
    var times: [Double]
    /// Up to then everybody has walked.
    var end = 0.0

    /// Whether no later visit can change anything.
    var isOver: Bool { times.allSatisfy { $0 <= end } }
  }

  /// One endpoint's way: in each of its own units of time, which are shorter the heavier it is, one visit at a random moment.
  private struct Walker {
    private let target: HashTarget
    private let unit: Double
    private var visits: UInt64 = 0

    init(_ target: HashTarget) {
      self.target = target
      unit = 1 / Double(target.weight)
    }

    mutating func walk(until end: Double, _ race: inout Race) {
      while Double(visits) * unit < end {
        let random = StableHash.mix(target.hash &+ visits &* 0x9E37_79B9_7F4A_7C15)
        let moment = Double(random & 0xFFFF_FFFF) * 0x1p-32
        let time = (Double(visits) + moment) * unit
        let arc = Int(random >> 48)
        visits += 1
        guard time < race.times[arc] else { continue }
        race.times[arc] = time
        race.owners[arc] = target.slot
      }
    }
  }
}
