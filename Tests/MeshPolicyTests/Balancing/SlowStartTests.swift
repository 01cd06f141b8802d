import MeshCore
import MeshPolicy
import Testing

@Suite("Slow start") struct SlowStartTests {
  private static func fixture(
    _ algorithm: BalancingPolicy.Algorithm, count: Int = 4, aggression: Double = 1
  ) -> Fixture {
    let slowStart = SlowStart(window: .seconds(60), aggression: aggression)
    return Fixture(
      endpoints(count), BackendPolicy(balancing: BalancingPolicy(algorithm: algorithm, slowStart: slowStart)))
  }

  @Test("the share grows with time, as the aggression says")
  func curve() {
    let linear = SlowStart(window: .seconds(60))
    #expect(linear.share(at: .zero) == 0.1)
    #expect(abs(linear.share(at: .seconds(30)) - 0.5) < 1e-9)
    #expect(linear.share(at: .seconds(60)) == 1)
    let eager = SlowStart(window: .seconds(60), aggression: 2, minimumPercent: 1)
    #expect(abs(eager.share(at: .seconds(15)) - 0.5) < 1e-4)
    let reluctant = SlowStart(window: .seconds(60), aggression: 0.5, minimumPercent: 1)
    #expect(abs(reluctant.share(at: .seconds(30)) - 0.25) < 1e-4)
    #expect(reluctant.share(at: .nanoseconds(-5)) == 0.01)
    for seconds in 1..<60 as Range<Int64> {
      #expect(eager.share(at: .seconds(seconds)) >= eager.share(at: .seconds(seconds - 1)))
    }
  }

  @Test(
    "a new endpoint's share grows to that of the others",
    arguments: [.random, .roundRobin, .leastRequest] as [BalancingPolicy.Algorithm])
  func newEndpoint(_ algorithm: BalancingPolicy.Algorithm) {
    let fixture = Self.fixture(algorithm)
    _ = fixture.shares(of: 1_000)
    fixture.update(endpoints(5), at: at(100_000))
    var shares: [Double] = []
    // Ten picks in each millisecond of a second.
    for second in [0, 15, 30, 45, 61] as [Int64] {
      shares.append(fixture.shares(of: 10_000, from: 100_000 + second * 1_000, spacing: 0)[4])
    }
    for (early, late) in zip(shares, shares.dropFirst()) { #expect(late > early) }
    #expect(abs(shares[0] - 0.1 / 4.1) < 0.01)
    #expect(abs(shares[2] - 0.5 / 4.5) < 0.015)
    #expect(abs(shares[4] - 0.2) < 0.015)
  }

  @Test("the default algorithm draws it as seldom: its share is no more than the curve's")
  func peakEWMA() {
    let fixture = Self.fixture(.peakEWMA)
    _ = fixture.shares(of: 1_000)
    fixture.update(endpoints(5), at: at(100_000))
    // Long enough for all estimates to be at the floor, where only the draws decide.
    let share = fixture.shares(of: 20_000, from: 106_000, spacing: 0)[4]
    #expect(share <= 0.1 / 4.1 + 0.01)
  }

  @Test("endpoints that come together with the set start at once")
  func firstSet() {
    let shares = Self.fixture(.random).shares(of: 40_000, spacing: 0)
    for share in shares { #expect(abs(share - 0.25) < 0.01) }
  }

  @Test("an endpoint that returns from an ejection starts slowly, too")
  func returned() {
    let fixture = Self.fixture(.random)
    fixture.request(0, .connectFailure, at: at(0))
    #expect(fixture.request(0, .success, at: at(2_000)))
    #expect(fixture.status(0, at: at(2_000)).state == .ready)
    #expect(abs(fixture.shares(of: 20_000, from: 2_000, spacing: 0)[0] - 0.1 / 3.1) < 0.01)
    #expect(abs(fixture.shares(of: 20_000, from: 62_001, spacing: 0)[0] - 0.25) < 0.015)
  }

  @Test("without a policy for it nobody starts slowly")
  func off() {
    let fixture = Fixture(endpoints(4), .random)
    fixture.update(endpoints(5), at: at(100))
    #expect(abs(fixture.shares(of: 20_000, from: 100, spacing: 0)[4] - 0.2) < 0.015)
  }
}
