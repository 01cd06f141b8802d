import MeshCore
import MeshPolicy
import Testing

@Suite("Active health checks") struct HealthTests {
  private static func policy(unhealthy: UInt32 = 3, healthy: UInt32 = 2) -> HealthCheckPolicy {
    var policy = HealthCheckPolicy(probe: .tcp)
    policy.unhealthyThreshold = unhealthy
    policy.healthyThreshold = healthy
    return policy
  }

  @Test("the first check decides alone, later ones by their thresholds")
  func thresholds() {
    var tally = HealthTally()
    let policy = Self.policy()
    #expect(tally.health == .unknown)
    #expect(tally.note(nil, policy) == .healthy)
    for _ in 0..<5 { #expect(tally.note(nil, policy) == nil) }
    #expect(tally.note(.timeout, policy) == nil)
    #expect(tally.note(.timeout, policy) == nil)
    #expect(tally.note(.unexpectedStatus, policy) == .unhealthy(.unexpectedStatus))
    #expect(tally.note(.timeout, policy) == nil)
    #expect(tally.note(nil, policy) == nil)
    #expect(tally.note(nil, policy) == .healthy)
    var late = HealthTally()
    #expect(late.note(.connectFailure, policy) == .unhealthy(.connectFailure))
  }

  @Test("a single good check between bad ones begins the row anew, and so the other way")
  func rows() {
    var tally = HealthTally()
    let policy = Self.policy()
    _ = tally.note(nil, policy)
    for _ in 0..<10 {
      #expect(tally.note(.timeout, policy) == nil)
      #expect(tally.note(.timeout, policy) == nil)
      #expect(tally.note(nil, policy) == nil)
    }
    for _ in 0..<3 { _ = tally.note(.timeout, policy) }
    for _ in 0..<10 {
      #expect(tally.note(nil, policy) == nil)
      #expect(tally.note(.timeout, policy) == nil)
    }
    #expect(tally.health == .unhealthy(.timeout))
  }

  @Test("waits are the interval and up to the jitter more, the first at most a second", arguments: [1, 2] as [UInt64])
  func waits(_ seed: UInt64) {
    var random = SeededRandom(seed: seed)
    var policy = Self.policy()
    policy.interval = .seconds(10)
    policy.jitterPercent = 50
    let waits = (0..<1_000).map { _ in policy.nextWait(&random) }
    #expect(waits.allSatisfy { $0 >= .seconds(10) && $0 <= .seconds(15) })
    #expect(waits.max()! > .milliseconds(14_500) && waits.min()! < .milliseconds(10_500))
    let first = (0..<1_000).map { _ in policy.firstWait(&random) }
    #expect(first.allSatisfy { $0 >= .zero && $0 < .seconds(1) } && first.max()! > .milliseconds(900))
    policy.interval = .milliseconds(100)
    #expect((0..<100).allSatisfy { _ in policy.firstWait(&random) <= .milliseconds(100) })
  }

  @Test("gRPC's messages are what its health service reads and writes")
  func messages() {
    #expect(GRPCHealth.request(service: "") == [0, 0, 0, 0, 0])
    #expect(GRPCHealth.request(service: "ab") == [0, 0, 0, 0, 4, 0x0A, 2, 0x61, 0x62])
    let long = GRPCHealth.request(service: String(repeating: "a", count: 300))
    #expect(Array(long.prefix(8)) == [0, 0, 0, 1, 0x2F, 0x0A, 0xAC, 0x02] && long.count == 5 + 303)
    #expect(GRPCHealth.isServing([0, 0, 0, 0, 2, 8, 1]))
    for answer in [[], [0, 0, 0, 0, 0], [0, 0, 0, 0, 2, 8, 2], [1, 0, 0, 0, 2, 8, 1]] as [[UInt8]] {
      #expect(!GRPCHealth.isServing(answer))
    }
  }

  // MARK: - In the balancer

  private static func checked(_ algorithm: BalancingPolicy.Algorithm, panic: UInt32 = 50) -> BackendPolicy {
    BackendPolicy(
      balancing: BalancingPolicy(algorithm: algorithm, panicPercent: panic), healthCheck: policy())
  }

  @Test("no algorithm sends requests to an unhealthy endpoint", arguments: BalancingPolicy.Algorithm.allCases)
  func unhealthy(_ algorithm: BalancingPolicy.Algorithm) {
    let fixture = Fixture(endpoints(4), Self.checked(algorithm))
    #expect(fixture.balancer.setHealth(of: endpoint(2).address, to: .unhealthy(.timeout), now: at(0)))
    #expect(!fixture.balancer.setHealth(of: endpoint(2).address, to: .unhealthy(.timeout), now: at(0)))
    #expect(!fixture.balancer.setHealth(of: endpoint(9).address, to: .healthy, now: at(0)))
    let out = fixture.shares(of: 2_000, keys: true)
    #expect(out[2] == 0 && out[0] > 0 && out[1] > 0 && out[3] > 0)
    fixture.balancer.setHealth(of: endpoint(2).address, to: .healthy, now: at(2_000))
    #expect(fixture.shares(of: 2_000, from: 2_000, keys: true)[2] > 0)
  }

  @Test("an endpoint that is ejected and unhealthy has no probation before it is healthy again")
  func probation() {
    let fixture = Fixture(endpoints(3), Self.checked(.random))
    fixture.request(1, .connectFailure, at: at(0))
    fixture.balancer.setHealth(of: endpoint(1).address, to: .unhealthy(.timeout), now: at(1))
    for i in 0..<200 { #expect(fixture.pick(at: at(5_000 + Int64(i)))?.slot != 1) }
    fixture.balancer.setHealth(of: endpoint(1).address, to: .healthy, now: at(6_000))
    #expect(fixture.pick(at: at(6_000))?.slot == 1)
  }

  @Test("in a panic unhealthy endpoints are used, but not those that have no connection")
  func panic() {
    let fixture = Fixture(endpoints(5), Self.checked(.random))
    for n in 0..<2 { fixture.balancer.setHealth(of: endpoint(n).address, to: .unhealthy(.timeout), now: at(0)) }
    #expect(fixture.shares(of: 500)[0] == 0)
    fixture.balancer.setHealth(of: endpoint(2).address, to: .unhealthy(.connectFailure), now: at(0))
    let shares = fixture.shares(of: 500)
    #expect(shares[0] > 0 && shares[1] > 0 && shares[2] == 0)
  }

  @Test("when checks end, everybody is asked again")
  func checksEnd() {
    let fixture = Fixture(endpoints(2), Self.checked(.random, panic: 0))
    fixture.balancer.setHealth(of: endpoint(0).address, to: .unhealthy(.timeout), now: at(0))
    #expect(fixture.shares(of: 200)[0] == 0)
    fixture.balancer.update(endpoints(2), policy: BackendPolicy(), now: at(300))
    #expect(fixture.shares(of: 200, from: 300)[0] > 0)
  }
}
