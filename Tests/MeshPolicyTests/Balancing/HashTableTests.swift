import MeshCore
import MeshPolicy
import Testing

@Suite("Consistent hashing") struct HashTableTests {
  private static let algorithms: [BalancingPolicy.Algorithm] = [.ringHash, .maglev]

  /// The workload that each of many keys belongs to.
  private func owners(_ fixture: Fixture, keys: Int = 20_000) throws -> [String] {
    var random = SeededRandom(seed: 5)
    return try (0..<keys).map { _ in
      let ref = try #require(fixture.pick(at: at(0), key: random.next()))
      return try #require(fixture.balancer.endpoint(ref)).workload
    }
  }

  private func moved(_ before: [String], _ after: [String]) -> Double {
    Double(zip(before, after).count { $0 != $1 }) / Double(before.count)
  }

  @Test("at most 1/N + 5 % of the keys move when one of N leaves", arguments: algorithms, [2, 3, 5, 10, 50])
  func leaving(_ algorithm: BalancingPolicy.Algorithm, _ count: Int) throws {
    let fixture = Fixture(endpoints(count), algorithm)
    let before = try owners(fixture)
    for gone in [0, count / 2, count - 1] {
      fixture.update(endpoints(count).filter { $0.workload != "w\(gone)" }, at: at(0))
      let after = try owners(fixture)
      #expect(moved(before, after) <= 1 / Double(count) + 0.05)
      #expect(!after.contains("w\(gone)"))
      fixture.update(endpoints(count), at: at(0))
      // Whoever comes back gets back what it had.
      #expect(try owners(fixture) == before)
    }
  }

  @Test("in a ring nobody's keys move but those of the endpoint that leaves", arguments: [2, 5, 50])
  func leavingRing(_ count: Int) throws {
    let set = (0..<count).map { endpoint($0, weight: UInt32(1 + $0 % 3)) }
    let fixture = Fixture(set, .ringHash)
    let before = try owners(fixture)
    fixture.update(Array(set.dropFirst()), at: at(0))
    for (old, new) in zip(before, try owners(fixture)) where old != "w0" { #expect(old == new) }
  }

  @Test("at most 1/N + 5 % move when one of weighted endpoints leaves", arguments: algorithms)
  func leavingWeighted(_ algorithm: BalancingPolicy.Algorithm) throws {
    let set = (0..<10).map { endpoint($0, weight: UInt32(100 + 10 * $0)) }
    let fixture = Fixture(set, algorithm)
    let before = try owners(fixture)
    fixture.update(Array(set.dropLast()), at: at(0))
    #expect(moved(before, try owners(fixture)) <= 0.19 / 1.45 + 0.05)
  }

  @Test("the order of the set and the slots used before do not matter", arguments: algorithms)
  func order(_ algorithm: BalancingPolicy.Algorithm) throws {
    let plain = Fixture(endpoints(7), algorithm, seed: 1)
    let other = Fixture((3..<20).map { endpoint($0) }, algorithm, seed: 2)
    other.update(endpoints(7).reversed(), at: at(0))
    #expect(try owners(plain) == owners(other))
  }

  @Test(
    "a key keeps its endpoint while others are ejected, and gets it back after its own ejection", arguments: algorithms)
  func ejection(_ algorithm: BalancingPolicy.Algorithm) throws {
    let fixture = Fixture(endpoints(5), algorithm)
    let before = try owners(fixture)
    fixture.request(2, .connectFailure, at: at(0))
    let during = try owners(fixture)
    #expect(!during.contains("w2"))
    for (a, b) in zip(before, during) where a != "w2" { #expect(a == b) }
    // Those that had it are spread over all that are left.
    let refugees = zip(before, during).filter { $0.0 == "w2" }.map(\.1)
    for n in [0, 1, 3, 4] { #expect(refugees.contains("w\(n)")) }
  }

  @Test("a repeat goes to another endpoint, always the same one", arguments: algorithms)
  func repeats(_ algorithm: BalancingPolicy.Algorithm) throws {
    let fixture = Fixture(endpoints(4), algorithm)
    for key in 0..<100 as Range<UInt64> {
      let first = try #require(fixture.pick(at: at(0), key: key))
      let second = try #require(fixture.pick(at: at(0), key: key, excluding: first))
      #expect(second.slot != first.slot)
      #expect(fixture.pick(at: at(0), key: key, excluding: first)?.slot == second.slot)
    }
    let single = Fixture(endpoints(1), algorithm)
    let only = try #require(single.pick(at: at(0), key: 1))
    #expect(single.pick(at: at(0), key: 1, excluding: only) == nil)
  }

  @Test(
    "a ring of many endpoints, or of very different weights, keeps to the shares",
    arguments: [1, 1_000_000] as [UInt32])
  func ringSize(_ heavy: UInt32) throws {
    let set = (0..<2_000).map { endpoint($0, weight: $0 == 0 ? heavy : 1) }
    let fixture = Fixture(set, .ringHash)
    let owners = try owners(fixture)
    let share = Double(owners.count { $0 == "w0" }) / Double(owners.count)
    if heavy == 1 { #expect(Set(owners).count > 1_990) } else { #expect(abs(share - 0.998) < 0.002) }
  }
}
