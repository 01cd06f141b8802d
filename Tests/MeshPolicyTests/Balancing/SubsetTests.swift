import MeshCore
import MeshPolicy
import Testing

@Suite("Subsets by labels") struct SubsetTests {
  /// Slots 0 to 3 are of v1, 4 and 5 of v2, 6 has no version.
  private static let set = (0..<7).map { n in
    var endpoint = endpoint(n)
    if n < 6 { endpoint.labels = ["version": n < 4 ? "v1" : "v2"] }
    return endpoint
  }

  private func fixture(
    _ fallback: SubsetPolicy.Fallback = .any, default value: String? = nil,
    algorithm: BalancingPolicy.Algorithm = .random
  ) -> Fixture {
    let subset = SubsetPolicy(header: "x-version", label: "version", defaultValue: value, fallback: fallback)
    return Fixture(Self.set, BackendPolicy(balancing: BalancingPolicy(algorithm: algorithm, subset: subset)))
  }

  private func slots(_ fixture: Fixture, _ value: String?, at now: Instant = at(1)) -> Set<Int> {
    var found: Set<Int> = []
    for _ in 0..<300 {
      let key = fixture.random.next()
      let subset = value.map { RequestKey.key(of: $0) }
      let ref = fixture.balancer.pick(now: now, &fixture.random, key: key, subset: subset)
      if let ref { found.insert(ref.slot) }
    }
    return found
  }

  private func eject(_ fixture: Fixture, _ slots: Set<Int>) {
    for (ref, _) in fixture.balancer.current where slots.contains(ref.slot) {
      fixture.balancer.started(ref)
      fixture.balancer.finished(ref, latency: .zero, outcome: .connectFailure, now: at(0))
    }
  }

  @Test("a request gets the endpoints that it names, with any algorithm", arguments: BalancingPolicy.Algorithm.allCases)
  func named(_ algorithm: BalancingPolicy.Algorithm) {
    let fixture = fixture(.any, algorithm: algorithm)
    #expect(slots(fixture, "v1") == [0, 1, 2, 3])
    #expect(slots(fixture, "v2") == [4, 5])
    #expect(slots(fixture, nil) == Set(0..<7))
    #expect(fixture.balancer.takeEvents().isEmpty)
  }

  @Test("the shares within a subset are even, whatever else there is") func shares() throws {
    let fixture = fixture(.any, algorithm: .random)
    var counts = [Int](repeating: 0, count: 7)
    let key = RequestKey.key(of: "v1")
    for _ in 0..<50_000 {
      counts[try #require(fixture.balancer.pick(now: at(0), &fixture.random, subset: key)).slot] += 1
    }
    for slot in 0..<4 { #expect(abs(Double(counts[slot]) / 50_000 - 0.25) < 0.01) }
    #expect(fixture.balancer.shares(subset: key, now: at(0)) == [0.25, 0.25, 0.25, 0.25, 0, 0, 0])
  }

  @Test("requests that name nothing go to the default") func defaultValue() {
    #expect(slots(fixture(.any, default: "v1"), nil) == [0, 1, 2, 3])
    #expect(slots(fixture(.any, default: "v9"), nil) == Set(0..<7))
  }

  @Test("a subset that nobody is in: any endpoint, those of the default, or none")
  func unknownValue() {
    let any = fixture(.any, default: "v2")
    #expect(slots(any, "v9") == Set(0..<7))
    #expect(any.balancer.takeEvents().contains(.subsetFellBack))
    #expect(slots(fixture(.default, default: "v2"), "v9") == [4, 5])
    #expect(slots(fixture(.none), "v9") == [])
    #expect(fixture(.none).balancer.shares(subset: RequestKey.key(of: "v9"), now: at(0)) == nil)
  }

  @Test("a subset of which nobody is available falls back, or is tried nevertheless, and comes back")
  func allOut() {
    let any = fixture(.any)
    eject(any, [4, 5])
    #expect(slots(any, "v2") == [0, 1, 2, 3, 6])
    let byDefault = fixture(.default, default: "v1")
    eject(byDefault, [4, 5])
    #expect(slots(byDefault, "v2") == [0, 1, 2, 3])
    let none = fixture(.none)
    eject(none, [4, 5])
    #expect(slots(none, "v2") == [4, 5])
    // One request each is their probation.
    let later = at(10_000)
    for slot in [4, 5] { #expect(any.request(slot, .success, at: later)) }
    #expect(slots(any, "v2", at: later) == [4, 5])
    // Where nobody asks for everybody, requests for the subset are its probation.
    #expect(slots(byDefault, nil, at: later) == [0, 1, 2, 3])
    for slot in [4, 5] {
      let ref = byDefault.balancer.pick(now: later, &byDefault.random, subset: RequestKey.key(of: "v2"))
      #expect(ref?.slot == slot)
      guard let ref else { continue }
      byDefault.balancer.started(ref)
      byDefault.balancer.finished(ref, latency: .milliseconds(1), outcome: .success, now: later)
    }
    #expect(slots(byDefault, "v2", at: later) == [4, 5])
  }

  @Test("a probation is a request of its subset, or of none") func probation() throws {
    let fixture = fixture(.any)
    eject(fixture, [4])
    let later = at(10_000)
    #expect(slots(fixture, "v1", at: later) == [0, 1, 2, 3])
    #expect(fixture.balancer.pick(now: later, &fixture.random, subset: RequestKey.key(of: "v2"))?.slot == 4)
    #expect(fixture.pick(at: later)?.slot == 4)
  }

  @Test("zones count within a subset") func zones() {
    var set = Self.set
    for n in set.indices { set[n].locality.zone = n % 2 == 0 ? "a" : "b" }
    let balancing = BalancingPolicy(
      algorithm: .random, locality: LocalityPolicy(),
      subset: SubsetPolicy(header: "x-version", label: "version"))
    let fixture = Fixture(set, BackendPolicy(balancing: balancing), home: Locality(zone: "b"))
    #expect(slots(fixture, "v2") == [5])
    #expect(slots(fixture, "v1") == [1, 3])
    #expect(slots(fixture, nil) == [1, 3, 5])
  }

  @Test("endpoints that change their label change their subset") func update() {
    let fixture = fixture()
    var set = Self.set
    set[6].labels = ["version": "v2"]
    fixture.update(set, at: at(0))
    #expect(slots(fixture, "v2") == [4, 5, 6])
  }
}
