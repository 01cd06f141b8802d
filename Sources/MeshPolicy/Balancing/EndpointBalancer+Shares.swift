package import MeshCore

// For people: what weights, zones and subsets make of the requests.
extension EndpointBalancer {
  /// The part of the requests that each endpoint gets, in the order of the endpoint set, when all answer alike and are loaded alike.
  /// `subset` is as for `pick`. Nil when nobody may serve them.
  package func shares(subset: UInt64? = nil, now: Instant) -> [Double]? {
    if isStale || now >= nextReturn { look(now: now) }
    guard let number = groupNumber(subset) else { return nil }
    let group = groups[number]
    var shares: [Int: Double] = [:]
    var bound = 0.0
    for tier in group.tiers {
      let part = tiers[tier].part
      let share = tiers[tier].bound - bound
      bound = tiers[tier].bound
      let slots = eligible.slots[part.start..<part.end]
      let sum = slots.reduce(0.0) { $0 + Double(states[$1].weight) }
      for slot in slots { shares[slot] = share * Double(states[slot].weight) / max(sum, 1) }
    }
    return live.map { shares[$0] ?? 0 }
  }
}
