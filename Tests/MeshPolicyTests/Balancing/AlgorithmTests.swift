import MeshCore
import MeshPolicy
import Testing

@Suite("Shares of the algorithms") struct AlgorithmTests {
  private static let weights: [UInt32] = [10, 30, 60]
  private static let weighted = zip(0..., weights).map { endpoint($0, weight: $1) }

  @Test(
    "shares are within a point of the weights over 50,000 picks",
    arguments: [.peakEWMA, .leastRequest, .roundRobin, .random] as [BalancingPolicy.Algorithm], [1, 2, 3] as [UInt64])
  func weights(_ algorithm: BalancingPolicy.Algorithm, _ seed: UInt64) {
    let shares = Fixture(Self.weighted, algorithm, seed: seed).shares(of: 50_000)
    for (share, weight) in zip(shares, Self.weights) { #expect(abs(share - Double(weight) / 100) < 0.01) }
  }

  @Test(
    "so are the shares of the hashing algorithms over keys",
    arguments: [.ringHash, .maglev] as [BalancingPolicy.Algorithm], [1, 2] as [UInt64])
  func hashWeights(_ algorithm: BalancingPolicy.Algorithm, _ seed: UInt64) {
    let shares = Fixture(Self.weighted, algorithm, seed: seed).shares(of: 50_000, keys: true)
    for (share, weight) in zip(shares, Self.weights) { #expect(abs(share - Double(weight) / 100) < 0.01) }
  }

  @Test(
    "and those of equal endpoints, however few",
    arguments: [.ringHash, .maglev] as [BalancingPolicy.Algorithm], [2, 3, 5, 20])
  func equalShares(_ algorithm: BalancingPolicy.Algorithm, _ count: Int) {
    let shares = Fixture(endpoints(count), algorithm).shares(of: 50_000, keys: true)
    for share in shares { #expect(abs(share - 1 / Double(count)) < 0.01) }
  }

  @Test(
    "without a key the hashing algorithms pick at random, by weight",
    arguments: [.ringHash, .maglev] as [BalancingPolicy.Algorithm])
  func keyless(_ algorithm: BalancingPolicy.Algorithm) {
    let shares = Fixture(Self.weighted, algorithm).shares(of: 50_000)
    for (share, weight) in zip(shares, Self.weights) { #expect(abs(share - Double(weight) / 100) < 0.01) }
  }

  @Test("weights hold among those that are left when one is ejected")
  func weightsOfTheRest() {
    let fixture = Fixture(Self.weighted, .random)
    fixture.request(2, .connectFailure, at: at(0))
    var counts = [0, 0, 0]
    for _ in 0..<50_000 { fixture.pick(at: at(1)).map { counts[$0.slot] += 1 } }
    #expect(counts[2] == 0)
    #expect(abs(Double(counts[0]) / 50_000 - 0.25) < 0.01)
  }

  @Test("weights hold under load: requests under way are in proportion to them")
  func weightedLoad() throws {
    let fixture = Fixture([endpoint(0, weight: 1), endpoint(1, weight: 4)], .leastRequest)
    for _ in 0..<1_000 { fixture.balancer.started(try #require(fixture.pick(at: at(0)))) }
    let pending = fixture.balancer.endpointStates(now: at(0)).map(\.pending)
    #expect(abs(pending[0] - 200) <= 5)
  }

  @Test("least request looks at requests under way and not at latency")
  func leastRequest() throws {
    let fixture = Fixture(endpoints(2), .leastRequest)
    fixture.request(0, .success, latency: .seconds(5), at: at(0))
    let busy = try #require(fixture.pick(1, at: at(0)))
    fixture.balancer.started(busy)
    for _ in 0..<100 { #expect(fixture.pick(at: at(0))?.slot == 0) }
  }

  @Test("round robin takes everyone in turn, the heavy more often")
  func roundRobin() {
    let even = Fixture(endpoints(3), .roundRobin)
    let first = (0..<3).compactMap { _ in even.pick(at: at(0))?.slot }
    #expect(first.sorted() == [0, 1, 2])
    for i in 0..<30 { #expect(even.pick(at: at(0))?.slot == first[i % 3]) }
    let uneven = Fixture([endpoint(0, weight: 1), endpoint(1, weight: 3)], .roundRobin)
    var counts = [0, 0]
    for _ in 0..<400 { uneven.pick(at: at(0)).map { counts[$0.slot] += 1 } }
    #expect(counts == [100, 300])
  }

  @Test("round robin passes over an excluded and an ejected endpoint")
  func roundRobinLeavesOut() throws {
    let fixture = Fixture(endpoints(3), .roundRobin)
    let excluded = try #require(fixture.pick(1, at: at(0)))
    for _ in 0..<20 { #expect(fixture.pick(at: at(0), excluding: excluded)?.slot != 1) }
    fixture.request(0, .connectFailure, at: at(0))
    for _ in 0..<20 { #expect(fixture.pick(at: at(1), excluding: excluded)?.slot == 2) }
  }

  @Test(
    "every algorithm gives an ejected endpoint nothing before its probation, and then one request",
    arguments: BalancingPolicy.Algorithm.allCases)
  func ejected(_ algorithm: BalancingPolicy.Algorithm) throws {
    let fixture = Fixture(endpoints(4), algorithm)
    let key: UInt64 = 42
    let victim = try #require(fixture.pick(at: at(0), key: key))
    fixture.balancer.started(victim)
    fixture.balancer.finished(victim, latency: .zero, outcome: .connectFailure, now: at(0))
    for i in 0..<1_000 {
      #expect(fixture.pick(at: at(Int64(i) % 1_000), key: key)?.slot != victim.slot)
    }
    // The key's own request is its probation.
    let probe = try #require(fixture.pick(at: at(2_000), key: key))
    #expect(probe.slot == victim.slot)
    fixture.balancer.started(probe)
    for _ in 0..<1_000 { #expect(fixture.pick(at: at(2_000), key: key)?.slot != victim.slot) }
    fixture.balancer.finished(probe, latency: .zero, outcome: .success, now: at(2_000))
    #expect(fixture.status(victim.slot, at: at(2_000)).state == .ready)
  }

  @Test("a panic engages at its threshold and not before", arguments: [0, 30, 50, 80] as [UInt32])
  func panic(_ percent: UInt32) {
    let policy = BackendPolicy(balancing: BalancingPolicy(algorithm: .random, panicPercent: percent))
    let fixture = Fixture(endpoints(10), policy)
    for slot in 0..<9 {
      // Picks one of those that are left: none is back before a second is over.
      for _ in 0..<5 { fixture.request(slot, .serverError, at: at(0)) }
      let available = 9 - slot
      let isPanic = UInt32(available * 10) < percent
      #expect((fixture.pick(0, at: at(1)) != nil) == isPanic, "\(available) of 10 left")
      if isPanic { break }
    }
    let panics = fixture.balancer.takeEvents().filter { $0 == .panicBegan }.count
    #expect(panics == (percent > 10 ? 1 : 0))
  }
}
