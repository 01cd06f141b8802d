import MeshCore
import MeshPolicy
import Testing

@Suite("Outliers") struct OutlierTests {
  private static func policy(_ change: (inout OutlierPolicy) -> Void) -> OutlierPolicy {
    var policy = OutlierPolicy()
    change(&policy)
    return policy
  }

  private func fail(_ fixture: Fixture, _ slot: Int, _ outcome: EndpointOutcome, times: Int) {
    for _ in 0..<times { fixture.request(slot, outcome, at: at(0)) }
  }

  // MARK: - In a row

  @Test("each row has its threshold, and 0 switches it off")
  func thresholds() {
    let strict = Fixture(3, outliers: Self.policy { $0.consecutiveFailures = 2 })
    fail(strict, 0, .serverError, times: 2)
    #expect(strict.status(0, at: at(0)).state == .ejected)
    let off = Fixture(3, outliers: Self.policy { $0.consecutiveFailures = 0 })
    fail(off, 0, .serverError, times: 100)
    #expect(off.status(0, at: at(0)).state == .ready)
    let patient = Fixture(3, outliers: Self.policy { $0.consecutiveConnectFailures = 3 })
    fail(patient, 0, .connectFailure, times: 2)
    #expect(patient.status(0, at: at(0)).state == .ready)
    fail(patient, 0, .connectFailure, times: 1)
    #expect(patient.status(0, at: at(0)).reason == "connect failed")
  }

  @Test("failures of a gateway have a row of their own, which another 5xx ends")
  func gateway() {
    let policy = Self.policy {
      $0.consecutiveGatewayFailures = 3
      $0.consecutiveFailures = 10
    }
    let fixture = Fixture(3, outliers: policy)
    fail(fixture, 0, .gatewayError, times: 2)
    fail(fixture, 0, .serverError, times: 1)
    fail(fixture, 0, .gatewayError, times: 2)
    #expect(fixture.status(0, at: at(0)).state == .ready)
    fail(fixture, 0, .gatewayError, times: 1)
    #expect(fixture.status(0, at: at(0)).reason == "502, 503 or 504 responses")
    #expect([502, 503, 504].allSatisfy { EndpointOutcome(status: $0) == .gatewayError })
    #expect([500, 501, 505].allSatisfy { EndpointOutcome(status: $0) == .serverError })
    #expect(EndpointOutcome(status: 499) == .success)
  }

  @Test("local failures count with the answers, or apart")
  func local() {
    let together = Fixture(3, outliers: OutlierPolicy())
    fail(together, 0, .serverError, times: 3)
    fail(together, 0, .transportFailure, times: 2)
    #expect(together.status(0, at: at(0)).reason == "transport failures")
    let apart = Fixture(
      3,
      outliers: Self.policy {
        $0.countsLocalFailuresApart = true
        $0.consecutiveLocalFailures = 3
      })
    fail(apart, 0, .serverError, times: 4)
    fail(apart, 0, .transportFailure, times: 2)
    #expect(apart.status(0, at: at(0)).state == .ready)
    // An answer proves that somebody is there.
    fail(apart, 0, .serverError, times: 1)
    #expect(apart.status(0, at: at(0)).reason == "5xx responses")
    fail(apart, 1, .transportFailure, times: 3)
    #expect(apart.status(1, at: at(0)).reason == "transport failures")
  }

  @Test("switched off, nobody is ejected, and whoever was comes back")
  func off() {
    let fixture = Fixture(3)
    fail(fixture, 0, .connectFailure, times: 1)
    var policy = BackendPolicy()
    policy.outliers.isEnabled = false
    fixture.balancer.update(endpoints(3), policy: policy, now: at(1))
    #expect(fixture.status(0, at: at(1)).state == .ready)
    fail(fixture, 0, .connectFailure, times: 20)
    #expect(fixture.status(0, at: at(1)).state == .ready)
  }

  // MARK: - The share

  @Test(
    "one may always be ejected, never all, and in between the share holds",
    arguments: [(1, 100, 0), (2, 100, 1), (5, 10, 1), (5, 100, 4), (10, 30, 3), (3, 0, 1), (19, 10, 1), (20, 10, 2)])
  func share(_ count: Int, _ percent: Int, _ expected: Int) {
    let policy = Self.policy { $0.maximumEjectedPercent = UInt32(percent) }
    let fixture = Fixture(
      endpoints(count), BackendPolicy(balancing: BalancingPolicy(panicPercent: 0), outliers: policy))
    for slot in 0..<count { fixture.request(slot, .connectFailure, at: at(0)) }
    let ejected = fixture.balancer.endpointStates(now: at(0)).count { $0.state == .ejected }
    #expect(ejected == expected)
    let events = fixture.balancer.takeEvents()
    #expect(events.count { $0 == .ejected(.connectFailures) } == expected)
    #expect(events.contains(.ejectionWithheld) == (count > 1))
  }

  @Test("ejections double with each, up to the limit, and an interval without one takes a doubling back")
  func growth() {
    let policy = Self.policy {
      $0.baseEjection = .seconds(2)
      $0.maximumEjection = .seconds(10)
      $0.ejectionJitterPercent = 0
    }
    let fixture = Fixture(3, outliers: policy)
    func eject(at milliseconds: Int64) -> Double {
      fixture.request(0, .connectFailure, at: at(milliseconds))
      return fixture.status(0, at: at(milliseconds)).ejectionMillisecondsLeft
    }
    #expect(eject(at: 0) == 2_000)
    #expect(fixture.request(0, .success, at: at(2_000)))
    #expect(eject(at: 3_000) == 4_000)
    #expect(eject(at: 7_000) == 8_000)
    #expect(eject(at: 15_000) == 10_000)
    #expect(fixture.request(0, .success, at: at(25_000)))
    // Four ejections so far; three intervals without.
    #expect(eject(at: 56_000) == 4_000)
  }

  @Test("the jitter adds up to its percentage and differs between balancers")
  func jitter() {
    let policy = OutlierPolicy()
    let times = (0..<20).map { seed in
      let fixture = Fixture(endpoints(3), BackendPolicy(outliers: policy), seed: UInt64(seed))
      fixture.request(0, .connectFailure, at: at(0))
      return fixture.status(0, at: at(0)).ejectionMillisecondsLeft
    }
    #expect(times.allSatisfy { $0 >= 1_000 && $0 <= 1_500 })
    #expect(Set(times).count > 15)
  }

  // MARK: - Against the others

  /// An interval in which endpoint `n` is asked `requests` times and fails `failures[n]` times of a hundred.
  private func run(_ fixture: Fixture, failures: [Int], requests: Int, latencies: [Int64] = []) {
    for slot in failures.indices {
      for i in 0..<requests {
        // In every row there is a success: only shares tell.
        let fails = (i * 37) % 100 < failures[slot]
        let latency = TimeSpan.milliseconds(latencies.isEmpty ? 1 : latencies[slot])
        fixture.request(slot, fails ? .serverError : .success, latency: latency, at: at(100))
      }
    }
    fixture.request(0, .success, at: at(10_001))
  }

  private func ejected(_ fixture: Fixture) -> [Int] {
    fixture.balancer.endpointStates(now: at(10_001)).enumerated().filter { $0.element.state == .ejected }.map(\.offset)
  }

  private static func statistical(_ change: (inout OutlierPolicy) -> Void = { _ in }) -> BackendPolicy {
    BackendPolicy(
      balancing: BalancingPolicy(algorithm: .random),
      outliers: policy {
        $0.consecutiveFailures = 0
        change(&$0)
      })
  }

  @Test("an endpoint that fails far more often than the others is ejected at the interval's end")
  func successRate() {
    let fixture = Fixture(endpoints(5), Self.statistical())
    run(fixture, failures: [0, 1, 0, 30, 2], requests: 100)
    #expect(ejected(fixture) == [3])
    #expect(fixture.status(3, at: at(10_001)).reason == "success rate far below the others'")
  }

  @Test("too few hosts, too few requests, a common fault or a single failure eject nobody")
  func successRateGuards() {
    let few = Fixture(endpoints(4), Self.statistical())
    run(few, failures: [0, 0, 0, 30], requests: 100)
    #expect(ejected(few) == [])
    let quiet = Fixture(endpoints(5), Self.statistical())
    run(quiet, failures: [0, 0, 0, 30, 0], requests: 99)
    #expect(ejected(quiet) == [])
    let common = Fixture(endpoints(5), Self.statistical())
    run(common, failures: [50, 55, 52, 48, 53], requests: 100)
    #expect(ejected(common) == [])
    let nearlyPerfect = Fixture(endpoints(5), Self.statistical())
    run(nearlyPerfect, failures: [0, 0, 0, 1, 0], requests: 100)
    #expect(ejected(nearlyPerfect) == [])
    let off = Fixture(endpoints(5), Self.statistical { $0.successRate = nil })
    run(off, failures: [0, 0, 0, 60, 0], requests: 100)
    #expect(ejected(off) == [])
  }

  @Test("an endpoint that is far slower than the median is ejected, where the policy says so")
  func latency() {
    let slow: [Int64] = [100, 120, 90, 700]
    let on = Fixture(endpoints(4), Self.statistical { $0.latency = OutlierPolicy.Latency() })
    run(on, failures: [0, 0, 0, 0], requests: 100, latencies: slow)
    #expect(ejected(on) == [3])
    #expect(on.status(3, at: at(10_001)).reason == "latency far above the others'")
    let off = Fixture(endpoints(4), Self.statistical())
    run(off, failures: [0, 0, 0, 0], requests: 100, latencies: slow)
    #expect(ejected(off) == [])
    // Slower than the others, but fast.
    let fast = Fixture(endpoints(4), Self.statistical { $0.latency = OutlierPolicy.Latency() })
    run(fast, failures: [0, 0, 0, 0], requests: 100, latencies: [1, 1, 1, 90])
    #expect(ejected(fast) == [])
  }

  @Test("an interval's counts do not reach into the next one")
  func intervals() {
    let fixture = Fixture(endpoints(5), Self.statistical())
    run(fixture, failures: [0, 0, 0, 30, 0], requests: 60)
    for slot in 0..<5 { for _ in 0..<60 { fixture.request(slot, .success, at: at(10_100)) } }
    fixture.request(0, .success, at: at(20_200))
    #expect(ejected(fixture) == [])
  }
}
