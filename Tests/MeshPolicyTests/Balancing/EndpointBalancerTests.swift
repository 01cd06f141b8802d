import MeshCore
import MeshPolicy
import Testing

@Suite struct EndpointBalancerTests {
  @Test("equal endpoints get equal shares", arguments: [2, 3, 10]) func fair(_ count: Int) throws {
    let fixture = Fixture(count)
    var counts = [Int](repeating: 0, count: count)
    for i in 0..<30_000 {
      let now = at(Int64(i))
      let ref = try #require(fixture.pick(at: now))
      counts[ref.slot] += 1
      fixture.balancer.started(ref)
      fixture.balancer.finished(ref, latency: .milliseconds(5), outcome: .success, now: now)
    }
    for count in counts { #expect(abs(Double(count) * Double(counts.count) / 30_000 - 1) < 0.2) }
  }

  @Test("an endpoint ten times slower gets at most a third of its fair share", arguments: [1, 2, 3] as [UInt64])
  func slowEndpoint(_ seed: UInt64) throws {
    let fixture = Fixture(4, seed: seed)
    let balancer = fixture.balancer
    var inFlight: [(end: Int, ref: EndpointRef, latency: Int)] = []
    var counts = [Int](repeating: 0, count: 4)
    for tick in 0..<40_000 {
      for done in inFlight where done.end == tick {
        balancer.finished(
          done.ref, latency: .milliseconds(Int64(done.latency)), outcome: .success, now: at(Int64(tick)))
      }
      inFlight.removeAll { $0.end == tick }
      let ref = try #require(fixture.pick(at: at(Int64(tick))))
      balancer.started(ref)
      let latency = ref.slot == 0 ? 100 : 10
      inFlight.append((tick + latency, ref, latency))
      if tick >= 1_000 { counts[ref.slot] += 1 }
    }
    let fairShare = Double(counts.reduce(0, +)) / 4
    #expect(Double(counts[0]) <= fairShare / 3)
    #expect(counts[0] > 0)
  }

  @Test("a worse sample counts at once, a better one slowly, and time forgets") func estimate() {
    var estimate = PeakEWMA(initial: .milliseconds(30), now: at(0))
    let decay = TimeSpan.seconds(10)
    estimate.observe(.milliseconds(200), now: at(1), decay: decay, onlyPeaks: false)
    #expect(abs(estimate.value(now: at(1), decay: decay) - 200e6) < 1)
    estimate.observe(.milliseconds(10), now: at(10_001), decay: decay, onlyPeaks: false)
    // 200 / e + 10 * (1 - 1 / e)
    #expect(abs(estimate.value(now: at(10_001), decay: decay) / 1e6 - 79.897) < 0.01)
    #expect(abs(estimate.value(now: at(20_001), decay: decay) / 1e6 - 29.392) < 0.01)
    estimate.observe(.milliseconds(1), now: at(20_001), decay: decay, onlyPeaks: true)
    #expect(abs(estimate.value(now: at(20_001), decay: decay) / 1e6 - 29.392) < 0.01)
  }

  @Test("one refused connection ejects an endpoint") func connectFailure() {
    let fixture = Fixture(3)
    #expect(fixture.request(0, .connectFailure, at: at(0)))
    #expect(fixture.status(0, at: at(1)).state == .ejected)
    #expect(fixture.status(0, at: at(1)).reason == "connect failed")
    #expect(fixture.pick(0, at: at(1)) == nil)
  }

  @Test("five failures in a row eject an endpoint, four and a success do not") func consecutive() {
    let fixture = Fixture(3)
    for _ in 0..<4 { fixture.request(0, .serverError, at: at(0)) }
    fixture.request(0, .success, at: at(0))
    for _ in 0..<4 { fixture.request(0, .transportFailure, at: at(0)) }
    #expect(fixture.status(0, at: at(0)).state == .ready)
    fixture.request(0, .cancelled, at: at(0))
    #expect(fixture.status(0, at: at(0)).state == .ready)
    fixture.request(0, .serverError, at: at(0))
    #expect(fixture.status(0, at: at(0)).state == .ejected)
  }

  @Test("an ejected endpoint returns through exactly one request") func probation() throws {
    let fixture = Fixture(3)
    fixture.request(0, .connectFailure, at: at(0))
    #expect(fixture.pick(0, at: at(999)) == nil)
    let probe = try #require(fixture.pick(0, at: at(2_000)))
    fixture.balancer.started(probe)
    #expect(fixture.pick(0, at: at(2_000)) == nil)
    fixture.balancer.finished(probe, latency: .milliseconds(1), outcome: .success, now: at(2_001))
    #expect(fixture.status(0, at: at(2_001)).state == .ready)
    #expect(fixture.pick(0, at: at(200_000)) != nil)
  }

  @Test("the first request after an ejection is the probation, a second attempt never is") func probeFirst() throws {
    let fixture = Fixture(3)
    fixture.request(0, .connectFailure, at: at(0))
    let other = try #require(fixture.pick(1, at: at(1)))
    for _ in 0..<50 { #expect(fixture.pick(at: at(2_000), excluding: other)?.slot == 2) }
    #expect(fixture.pick(at: at(2_000))?.slot == 0)
  }

  @Test("a failed connect does not count as latency") func connectLatency() throws {
    let fixture = Fixture(1)
    let ref = try #require(fixture.pick(at: at(0)))
    fixture.balancer.started(ref)
    fixture.balancer.finished(ref, latency: .seconds(5), outcome: .connectFailure, now: at(0))
    #expect(fixture.status(0, at: at(0)).latencyMilliseconds == 30)
  }

  @Test("a probation request that the client gave up leaves room for another") func cancelledProbe() throws {
    let fixture = Fixture(3)
    fixture.request(0, .connectFailure, at: at(0))
    #expect(fixture.request(0, .cancelled, at: at(2_000)))
    #expect(fixture.request(0, .success, at: at(2_000)))
    #expect(fixture.status(0, at: at(2_000)).state == .ready)
  }

  @Test("each failed return doubles the ejection, up to the limit, with jitter") func growth() {
    let fixture = Fixture(3)
    var now = at(0)
    var expected = 1000.0
    for _ in 0..<10 {
      #expect(fixture.request(0, .connectFailure, at: now))
      let left = fixture.status(0, at: now).ejectionMillisecondsLeft
      #expect(left >= min(expected, 60_000) && left <= min(expected * 1.5, 60_000))
      now = now + .milliseconds(Int64(left) + 1)
      expected *= 2
    }
    #expect(fixture.request(0, .success, at: now))
    // Long enough for all estimates to have sunk to the floor.
    now = now + .seconds(300)
    #expect(fixture.request(0, .connectFailure, at: now))
    #expect(fixture.status(0, at: now).ejectionMillisecondsLeft <= 1500)
  }

  @Test("a late outcome of an earlier request neither ends nor extends an ejection") func lateOutcome() throws {
    let fixture = Fixture(3)
    let early = try #require(fixture.pick(0, at: at(0)))
    let failing = try #require(fixture.pick(0, at: at(0)))
    for ref in [early, failing] { fixture.balancer.started(ref) }
    fixture.balancer.finished(failing, latency: .milliseconds(1), outcome: .connectFailure, now: at(0))
    fixture.balancer.finished(early, latency: .milliseconds(1), outcome: .success, now: at(1))
    #expect(fixture.status(0, at: at(1)).state == .ejected)
    #expect(fixture.status(0, at: at(1)).pending == 0)
  }

  @Test("with fewer than half available, endpoints that answer 5xx are used again") func panic() {
    let fixture = Fixture(3)
    for slot in 0..<2 { for _ in 0..<5 { fixture.request(slot, .serverError, at: at(0)) } }
    for slot in 0..<3 { #expect(fixture.pick(slot, at: at(1)) != nil) }
    let half = Fixture(4)
    for slot in 0..<2 { for _ in 0..<5 { half.request(slot, .serverError, at: at(0)) } }
    #expect(half.pick(0, at: at(1)) == nil)
  }

  @Test("a panic does not send requests to endpoints that refuse connections while another is left") func hardPanic() {
    let fixture = Fixture(4)
    for slot in 0..<3 { fixture.request(slot, .connectFailure, at: at(0)) }
    for slot in 0..<3 { #expect(fixture.pick(slot, at: at(1)) == nil) }
    #expect(fixture.pick(3, at: at(1)) != nil)
  }

  @Test("the last endpoint is never ejected, whatever it does") func lastOne() {
    let fixture = Fixture(1)
    fixture.request(0, .connectFailure, at: at(0))
    #expect(fixture.pick(0, at: at(1)) != nil)
    #expect(fixture.status(0, at: at(1)).state == .ready)
    let both = Fixture(2)
    for slot in 0..<2 { both.request(slot, .connectFailure, at: at(0)) }
    #expect((0..<2).map { both.status($0, at: at(1)).state } == [.ejected, .ready])
    #expect(both.pick(1, at: at(1)) != nil)
  }

  @Test("a repeat does not go to an ejected endpoint either, unless the only other one refuses connections")
  func repeatsLeaveOut() throws {
    let fixture = Fixture(2)
    for _ in 0..<5 { fixture.request(0, .serverError, at: at(0)) }
    let failed = try #require(fixture.pick(1, at: at(1)))
    fixture.request(1, .serverError, at: at(1))
    for i in 0..<200 { #expect(fixture.pick(at: at(Int64(i)), excluding: failed) == nil) }
    fixture.request(1, .connectFailure, at: at(200))
    #expect(fixture.status(1, at: at(200)).state == .ready)
    for _ in 0..<50 { #expect(fixture.pick(at: at(201), excluding: failed)?.slot == 0) }
  }

  @Test("of several excluded endpoints none is picked, by any algorithm", arguments: BalancingPolicy.Algorithm.allCases)
  func excludingMany(_ algorithm: BalancingPolicy.Algorithm) throws {
    let fixture = Fixture(endpoints(5), algorithm)
    let refs = fixture.balancer.current.map(\.0)
    for key in UInt64(0)..<100 {
      let ref = try #require(fixture.pick(at: at(0), key: key, after: [refs[0], refs[3], refs[1]]))
      #expect([2, 4].contains(ref.slot))
      #expect(fixture.pick(at: at(0), key: key, after: [refs[0], refs[1], refs[2], refs[3]])?.slot == 4)
      #expect(fixture.pick(at: at(0), key: key, after: refs) == nil)
    }
  }

  @Test("an excluded endpoint is never picked, even when nothing is left") func excluding() throws {
    let fixture = Fixture(2)
    let first = try #require(fixture.pick(0, at: at(0)))
    for _ in 0..<50 {
      #expect(fixture.pick(at: at(0), excluding: first)?.slot == 1)
    }
    let single = Fixture(1)
    let only = try #require(single.pick(0, at: at(0)))
    #expect(single.pick(at: at(0), excluding: only) == nil)
    let none = Fixture(0)
    #expect(none.pick(at: at(0)) == nil)
  }
}
