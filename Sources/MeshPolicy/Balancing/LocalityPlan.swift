/// What a `LocalityPolicy` means to the clients of one zone: which zones come first, and how much goes to each. Pure.
///
/// Endpoints stand in levels. Without a distribution levels are priorities, as in Envoy: a level has all requests while it is
/// healthy enough, and gives away what it cannot carry to those behind it. With one, each zone named is a level with its percent,
/// scaled by its health, and all other zones are the last, which serves when none of the others has anybody.
package struct LocalityPlan: Hashable, Sendable {
  /// How much of a level is there, by weight.
  package struct Health: Hashable, Sendable {
    package var available: Double
    package var total: Double

    package init(available: Double = 0, total: Double = 0) {
      self.available = available
      self.total = total
    }
  }

  package let home: Locality
  private let overprovisioning: Double
  /// Levels of the zones that the policy names, and of the client's own.
  private let levels: [String: Int]
  /// Of a distribution; empty: levels are priorities.
  private let percents: [UInt32]

  /// Nil for a client whose zone is not known.
  package init?(_ policy: LocalityPolicy, home: Locality) {
    guard !home.zone.isEmpty else { return nil }
    self.home = home
    overprovisioning = Double(policy.overprovisioningPercent) / 100
    var levels: [String: Int] = [:]
    if let own = Self.entry(for: home.zone, in: policy.distribution, \.from) {
      for (level, share) in own.to.enumerated() { levels[share.zone] = level }
      percents = own.to.map(\.percent)
    } else {
      levels[home.zone] = 0
      let next = Self.entry(for: home.zone, in: policy.failover, \.from)?.to ?? []
      for zone in next where levels[zone] == nil { levels[zone] = levels.count }
      percents = []
    }
    self.levels = levels
  }

  private static func entry<Entry>(
    for zone: String, in entries: [Entry], _ from: (Entry) -> LocalityPolicy.ZoneSelector
  ) -> Entry? {
    entries.first { from($0) == .zone(zone) } ?? entries.first { from($0) == .any }
  }

  /// Levels are numbered from 0.
  package var levelCount: Int { levels.count + (isDistribution ? 1 : 2) }
  package var isDistribution: Bool { !percents.isEmpty }

  package func level(of place: Locality) -> Int {
    if let level = levels[place.zone] { return level }
    if isDistribution { return levels.count }
    let isNear = !place.region.isEmpty && place.region == home.region
    return levels.count + (isNear ? 0 : 1)
  }

  /// The part of the requests that each level gets. All 0 where nobody is available.
  package func shares(_ health: [Health]) -> [Double] {
    let carried = health.map { $0.total > 0 ? min(1, overprovisioning * $0.available / $0.total) : 0 }
    return isDistribution ? distributed(carried, health) : prioritised(carried)
  }

  private func prioritised(_ carried: [Double]) -> [Double] {
    // Levels that cannot carry everything together share it as if they could.
    let sum = min(1, carried.reduce(0, +))
    guard sum > 0 else { return carried }
    var rest = 1.0
    return carried.map { carried in
      let share = min(rest, carried / sum)
      rest -= share
      return share
    }
  }

  private func distributed(_ carried: [Double], _ health: [Health]) -> [Double] {
    let parts = zip(percents, carried).map { Double($0) * $1 }
    let sum = parts.reduce(0, +)
    if sum > 0 { return parts.map { $0 / sum } + [0] }
    return percents.map { _ in 0 } + [(health.last?.available ?? 0) > 0 ? 1 : 0]
  }
}
