import MeshCore
import MeshPolicy
import Testing

@Suite struct EndpointSetUpdateTests {
  @Test("endpoints that stay keep their state and open requests") func staying() throws {
    let fixture = Fixture(3)
    let ref = try #require(fixture.pick(1, at: at(0)))
    fixture.balancer.started(ref)
    fixture.request(2, .connectFailure, at: at(0))
    fixture.update([endpoint(9), endpoint(2), endpoint(1)], at: at(1))
    let states = fixture.balancer.endpointStates(now: at(1))
    #expect(states.map(\.workload) == ["w9", "w2", "w1"])
    #expect(states.map(\.state) == [.ready, .ejected, .ready])
    #expect(states.map(\.pending) == [0, 0, 1])
    #expect(fixture.balancer.endpoint(ref)?.workload == "w1")
    fixture.balancer.finished(ref, latency: .milliseconds(1), outcome: .success, now: at(2))
    #expect(fixture.balancer.endpointStates(now: at(2)).map(\.pending) == [0, 0, 0])
  }

  @Test("the outcome of a request to a vanished endpoint touches nobody") func vanished() throws {
    let fixture = Fixture(2)
    let ref = try #require(fixture.pick(0, at: at(0)))
    fixture.balancer.started(ref)
    fixture.update([endpoint(5), endpoint(1)], at: at(1))
    #expect(fixture.balancer.endpoint(ref) == nil)
    fixture.balancer.finished(ref, latency: .milliseconds(1), outcome: .connectFailure, now: at(2))
    fixture.balancer.started(ref)
    for state in fixture.balancer.endpointStates(now: at(2)) {
      #expect(state.state == .ready && state.pending == 0)
    }
  }

  @Test("another identity at the same address is another endpoint") func identity() throws {
    let fixture = Fixture([endpoint(0, identity: "a")])
    let ref = try #require(fixture.pick(at: at(0)))
    fixture.update([endpoint(0, identity: "b")], at: at(0))
    #expect(fixture.balancer.endpoint(ref) == nil)
    #expect(fixture.balancer.count == 1)
  }

  @Test("an endpoint listed twice counts once, and an empty set has none") func duplicates() {
    let fixture = Fixture([endpoint(0), endpoint(0)])
    #expect(fixture.balancer.count == 1)
    fixture.update([endpoint(0), endpoint(0)], at: at(0))
    #expect(fixture.balancer.count == 1)
    fixture.update([], at: at(0))
    #expect(fixture.balancer.isEmpty)
    #expect(fixture.pick(at: at(0)) == nil)
  }
}
