import MeshCore
import MeshPolicy
import Testing

private func place(_ n: Int, _ zone: String, weight: UInt32 = 1) -> Endpoint {
  var endpoint = endpoint(n, weight: weight)
  // The region is what stands before the dash.
  endpoint.locality = Locality(region: zone.split(separator: "-").first.map(String.init) ?? "", zone: zone)
  return endpoint
}

private let west = Locality(region: "west", zone: "west-1")

@Suite("Zones of endpoints") struct LocalityTests {
  /// Slots 0 to 4 in the client's zone, 5 to 9 in another of its region, 10 to 14 elsewhere.
  private static let zones =
    (0..<5).map { place($0, "west-1") } + (5..<10).map { place($0, "west-2") } + (10..<15).map { place($0, "east-1") }

  private func fixture(
    _ set: [Endpoint] = LocalityTests.zones, _ locality: LocalityPolicy = LocalityPolicy(),
    _ algorithm: BalancingPolicy.Algorithm = .random,
    home: Locality = west, seed: UInt64 = 11, workers: Int = 1
  ) -> Fixture {
    // Long intervals: what is ejected stays so for the test.
    var outliers = OutlierPolicy()
    outliers.baseEjection = .seconds(60)
    let policy = BackendPolicy(
      balancing: BalancingPolicy(algorithm: algorithm, locality: locality), outliers: outliers)
    return Fixture(set, policy, home: home, workers: workers, seed: seed)
  }

  private func eject(_ fixture: Fixture, _ slots: Range<Int>) {
    for (ref, _) in fixture.balancer.current where slots.contains(ref.slot) {
      fixture.balancer.started(ref)
      fixture.balancer.finished(ref, latency: .zero, outcome: .connectFailure, now: at(0))
    }
  }

  private func zoneShares(_ fixture: Fixture, of picks: Int = 50_000, keys: Bool = false) -> [Double] {
    var counts = [0, 0, 0]
    for _ in 0..<picks {
      guard let ref = fixture.pick(at: at(1), key: keys ? fixture.random.next() : nil) else { continue }
      counts[ref.slot / 5] += 1
    }
    return counts.map { Double($0) / Double(picks) }
  }

  @Test(
    "no request leaves the zone while it is healthy, with any algorithm",
    arguments: BalancingPolicy.Algorithm.allCases, [1, 2] as [UInt64])
  func ownZone(_ algorithm: BalancingPolicy.Algorithm, _ seed: UInt64) {
    let fixture = fixture(Self.zones, .init(), algorithm, seed: seed)
    let shares = fixture.shares(of: 20_000, keys: true)
    #expect(shares[5...].allSatisfy { $0 == 0 })
    // A fifth each, more or less.
    #expect(shares[..<5].allSatisfy { abs($0 - 0.2) < 0.05 })
    #expect(fixture.balancer.takeEvents().isEmpty)
  }

  @Test("one of five out is made up for within the zone: 140 percent of four fifths is more than all")
  func oneOut() {
    let fixture = fixture()
    eject(fixture, 0..<1)
    #expect(zoneShares(fixture) == [1, 0, 0])
  }

  @Test(
    "what the zone cannot carry goes to its region, in proportion to what is out, then further",
    arguments: [
      (2, 0, [0.84, 0.16, 0]), (3, 0, [0.56, 0.44, 0]), (4, 0, [0.28, 0.72, 0]), (5, 0, [0, 1, 0]),
      (4, 3, [0.28, 0.56, 0.16]),
    ])
  func spill(_ ownOut: Int, _ nearOut: Int, _ expected: [Double]) {
    var policy = LocalityPolicy()
    policy.overprovisioningPercent = 140
    let fixture = fixture(Self.zones, policy)
    eject(fixture, 0..<ownOut)
    eject(fixture, 5..<(5 + nearOut))
    for (share, wanted) in zip(zoneShares(fixture), expected) { #expect(abs(share - wanted) < 0.01) }
  }

  @Test("requests return with the zone's endpoints") func returns() {
    let fixture = fixture()
    eject(fixture, 0..<5)
    #expect(zoneShares(fixture, of: 1_000) == [0, 1, 0])
    // Ejections of a minute, with jitter of a half, are over.
    let later = at(100_000)
    for _ in 0..<5 {
      guard let ref = fixture.pick(at: later) else { continue }
      #expect(ref.slot < 5)
      fixture.balancer.started(ref)
      fixture.balancer.finished(ref, latency: .milliseconds(1), outcome: .success, now: later)
    }
    for _ in 0..<1_000 { #expect(fixture.pick(at: later).map { $0.slot < 5 } == true) }
  }

  @Test("in a panic zones do not count") func panic() {
    let fixture = fixture()
    // By answers, not by refused connections: those stay out in a panic, too.
    for (ref, _) in fixture.balancer.current where ref.slot < 9 {
      for _ in 0..<5 {
        fixture.balancer.started(ref)
        fixture.balancer.finished(ref, latency: .zero, outcome: .serverError, now: at(0))
      }
    }
    for share in zoneShares(fixture) { #expect(abs(share - 1.0 / 3) < 0.01) }
  }

  @Test("a zone without endpoints gives everything to the next") func emptyZone() {
    let fixture = fixture(Self.zones, .init(), home: Locality(region: "east", zone: "east-9"))
    #expect(zoneShares(fixture) == [0, 0, 1])
  }

  @Test("a client whose zone is not known uses all alike") func unknownZone() {
    for share in zoneShares(fixture(Self.zones, .init(), home: Locality())) { #expect(abs(share - 1.0 / 3) < 0.01) }
  }

  @Test("the client's zone may change") func move() {
    let fixture = fixture()
    fixture.balancer.move(to: Locality(region: "east", zone: "east-1"))
    #expect(zoneShares(fixture, of: 1_000) == [0, 0, 1])
  }

  @Test("an order for fail-over goes before regions") func failover() {
    let policy = LocalityPolicy(failover: [
      .init(from: .any, to: ["west-2"]), .init(from: .zone("west-1"), to: ["east-1"]),
    ])
    let fixture = fixture(Self.zones, policy)
    eject(fixture, 0..<5)
    #expect(zoneShares(fixture, of: 1_000) == [0, 0, 1])
  }

  @Test(
    "a distribution is kept, and zones that are well share what others cannot carry",
    arguments: [(0, [0.7, 0, 0.3]), (3, [0.566, 0, 0.434]), (5, [0, 0, 1])])
  func distribution(_ out: Int, _ expected: [Double]) {
    let policy = LocalityPolicy(
      distribution: [
        .init(from: .zone("west-1"), to: [.init(zone: "west-1", percent: 70), .init(zone: "east-1", percent: 30)])
      ])
    let fixture = fixture(Self.zones, policy)
    eject(fixture, 0..<out)
    for (share, wanted) in zip(zoneShares(fixture), expected) { #expect(abs(share - wanted) < 0.01) }
  }

  @Test("zones that a distribution does not name serve when nobody else can") func rest() {
    let policy = LocalityPolicy(distribution: [.init(from: .any, to: [.init(zone: "west-1", percent: 100)])])
    let fixture = fixture(Self.zones, policy)
    eject(fixture, 0..<5)
    let shares = zoneShares(fixture)
    #expect(shares[0] == 0 && abs(shares[1] - 0.5) < 0.01)
  }

  @Test("a repeat goes to another zone when the zone has nobody else") func repeats() throws {
    let fixture = fixture([place(0, "west-1"), place(1, "east-1")])
    let first = try #require(fixture.pick(at: at(0)))
    #expect(first.slot == 0)
    #expect(fixture.pick(at: at(0), excluding: first)?.slot == 1)
  }

  @Test(
    "keys keep their endpoint, and their zone while requests spill",
    arguments: [.ringHash, .maglev] as [BalancingPolicy.Algorithm])
  func keys(_ algorithm: BalancingPolicy.Algorithm) {
    let fixture = fixture(Self.zones, .init(), algorithm)
    eject(fixture, 0..<3)
    let first = (0..<500).map { fixture.pick(at: at(1), key: UInt64($0) &* 0x9E37_79B9_7F4A_7C15)?.slot }
    let second = (0..<500).map { fixture.pick(at: at(1), key: UInt64($0) &* 0x9E37_79B9_7F4A_7C15)?.slot }
    #expect(first == second)
    #expect(Set(first.map { ($0 ?? 99) / 5 }) == [0, 1])
    for (share, wanted) in zip(zoneShares(fixture, keys: true), [0.56, 0.44, 0]) { #expect(abs(share - wanted) < 0.02) }
  }

  // MARK: - Load

  @Test(
    "a zone takes so many requests for each endpoint, what is above goes to the next, and comes back",
    arguments: [1, 2])
  func load(_ workers: Int) throws {
    let policy = LocalityPolicy(activeRequestsPerEndpoint: 4)
    let fixture = fixture(Self.zones, policy, workers: workers)
    var running: [EndpointRef] = []
    func start(_ count: Int) throws -> [Int] {
      var zones = [0, 0, 0]
      for _ in 0..<count {
        let ref = try #require(fixture.pick(at: at(0)))
        fixture.balancer.started(ref)
        running.append(ref)
        zones[ref.slot / 5] += 1
      }
      return zones
    }
    let room = 20 / workers
    #expect(try start(room) == [room, 0, 0])
    #expect(try start(room) == [0, room, 0])
    #expect(try start(room) == [0, 0, room])
    // All are full: the own zone, as without a number.
    #expect(try start(1) == [1, 0, 0])
    let left = fixture.balancer.takeEvents()
    #expect(left.count == 2 * room && left.allSatisfy { $0 == .leftZone })
    for ref in running { fixture.balancer.finished(ref, latency: .milliseconds(1), outcome: .success, now: at(1)) }
    running = []
    #expect(try start(room) == [room, 0, 0])
  }

  @Test("requests under way count when endpoints are looked at again") func loadAfterLook() throws {
    let fixture = fixture(Self.zones, LocalityPolicy(activeRequestsPerEndpoint: 1))
    for _ in 0..<5 { fixture.balancer.started(try #require(fixture.pick(at: at(0)))) }
    fixture.update(Self.zones, at: at(0))
    #expect(try #require(fixture.pick(at: at(0))).slot / 5 == 1)
  }

  @Test("what people are told is what balancers do", arguments: [0, 2, 3, 5]) func shares(_ out: Int) {
    let fixture = fixture()
    eject(fixture, 0..<out)
    let told = fixture.balancer.shares(now: at(1)) ?? []
    let found = zoneShares(fixture)
    for zone in 0..<3 { #expect(abs(told[(zone * 5)..<(zone * 5 + 5)].reduce(0, +) - found[zone]) < 0.01) }
  }

  @Test("turns and weights hold within the tiers of unequal weights") func weightsInTiers() {
    let set = [place(0, "west-1", weight: 1), place(1, "west-1", weight: 1), place(2, "east-1", weight: 1_000)]
    let shares = fixture(set, .init(), .roundRobin).shares(of: 1_000)
    #expect(shares == [0.5, 0.5, 0])
  }
}
