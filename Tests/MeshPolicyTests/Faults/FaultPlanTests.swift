import MeshCore
import MeshHTTP
import MeshPolicy
import Testing

/// Which requests meet which faults.
@Suite("Fault plans")
struct FaultPlanTests {
  private static let draws = 50_000
  private static let web = SPIFFEID(trustDomain: "cluster.local", namespace: "shop", serviceAccount: "web")

  private static func abort(_ name: String = "shop/a", _ millionths: UInt32 = 1_000_000) -> FaultPolicy {
    FaultPolicy(name: name, millionths: millionths, abort: FaultAbort(status: 503))
  }

  private static func strike(
    _ policies: [FaultPolicy], _ head: MessageHead = requestHead("/"), isGRPC: Bool = false, now: Int64 = 0
  ) -> FaultVerdict? {
    var random = SeededRandom(seed: 1)
    return FaultPlan(policies, client: web)?.strike(head, isGRPC: isGRPC, now: now, &random)
  }

  // MARK: - Shares

  @Test(
    "of 50,000 requests a share within four standard deviations meets the fault",
    arguments: [UInt32(100), 5_000, 12_345, 500_000, 990_000], [UInt64(1), 2, 3])
  func percent(_ millionths: UInt32, seed: UInt64) throws {
    let plan = try #require(FaultPlan([Self.abort("shop/a", millionths)], client: nil))
    var random = SeededRandom(seed: seed)
    let head = requestHead("/")
    let hits = (0..<Self.draws).count { _ in plan.strike(head, isGRPC: false, now: 0, &random) != nil }
    let share = Double(millionths) / 1e6
    let deviation = (share * (1 - share) * Double(Self.draws)).squareRoot()
    #expect(abs(Double(hits) - share * Double(Self.draws)) <= 4 * deviation)
  }

  @Test("0 strikes nobody, and all strikes everybody")
  func bounds() throws {
    var random = SeededRandom(seed: 4)
    for (millionths, expected) in [(UInt32(0), 0), (1_000_000, 2_000)] {
      let plan = try #require(FaultPlan([Self.abort("shop/a", millionths)], client: nil))
      #expect(
        (0..<2_000).count { _ in plan.strike(requestHead("/"), isGRPC: false, now: 0, &random) != nil } == expected)
    }
  }

  @Test("the faults of one policy come together, those of two independently")
  func draws() throws {
    var both = Self.abort("shop/a", 500_000)
    both.delay = .fixed(.milliseconds(1))
    let other = FaultPolicy(name: "shop/b", millionths: 500_000, delay: .fixed(.milliseconds(10)))
    let plan = try #require(FaultPlan([both, other], client: nil))
    var random = SeededRandom(seed: 5)
    var counts = [0, 0, 0, 0]
    for _ in 0..<Self.draws {
      let verdict = plan.strike(requestHead("/"), isGRPC: false, now: 0, &random)
      switch (verdict?.abort != nil, verdict?.delay ?? .zero) {
      case (false, .zero): counts[0] += 1
      case (true, .milliseconds(1)): counts[1] += 1
      case (false, .milliseconds(10)): counts[2] += 1
      case (true, .milliseconds(11)): counts[3] += 1
      default: Issue.record("a delay and an abort of one policy came apart")
      }
    }
    for count in counts { #expect(abs(count - Self.draws / 4) < 500) }
  }

  // MARK: - Whom

  @Test("only requests that match")
  func match() {
    var policy = Self.abort()
    policy.match = RouteMatch(
      path: .prefix("/pay"), method: "POST", headers: [HeaderMatch(name: "x-user", value: .exact("test"))])
    let headers = [("x-user", "test")]
    #expect(Self.strike([policy], requestHead("/pay/1", method: .post, headers)) != nil)
    #expect(Self.strike([policy], requestHead("/paying", method: .post, headers)) == nil)
    #expect(Self.strike([policy], requestHead("/pay/1", headers)) == nil)
    #expect(Self.strike([policy], requestHead("/pay/1", method: .post, [("x-user", "anna")])) == nil)
  }

  @Test("only the named callers, and where none is left there is no plan")
  func clients() {
    var policy = Self.abort()
    #expect(FaultPlan([], client: Self.web) == nil)
    #expect(FaultPlan([policy], client: nil) != nil)
    policy.clients = ["shop/orders", "shop/web"]
    #expect(FaultPlan([policy], client: Self.web) != nil)
    #expect(FaultPlan([policy], client: nil) == nil)
    policy.clients = ["other/web"]
    #expect(FaultPlan([policy], client: Self.web) == nil)
  }

  @Test("an abort with a status of gRPC alone is for gRPC calls")
  func grpcOnly() {
    let policy = FaultPolicy(name: "shop/a", abort: FaultAbort(grpcStatus: .unavailable))
    #expect(Self.strike([policy]) == nil)
    #expect(Self.strike([policy], isGRPC: true)?.abort?.grpcStatus == .unavailable)
    #expect(Self.strike([Self.abort()], isGRPC: true)?.abort?.status == 503)
  }

  @Test("statuses of gRPC by name and by number")
  func grpcStatuses() {
    #expect(FaultAbort(grpcStatusName: "CANCELLED").grpcStatus == .cancelled)
    #expect(FaultAbort(grpcStatusName: "UNAUTHENTICATED").grpcStatus == .unauthenticated)
    for (number, name) in FaultAbort.grpcStatusNames.enumerated() {
      let abort = FaultAbort(grpcStatusName: name)
      #expect(abort.grpcCode == UInt32(number + 1))
      #expect(FaultAbort(status: nil, grpcCode: abort.grpcCode) == abort)
    }
    #expect(FaultAbort(status: 500, grpcCode: 0) == FaultAbort(status: 500))
    #expect(FaultAbort(status: 500, grpcCode: 17) == nil && FaultAbort(status: 500, grpcCode: .max) == nil)
  }

  // MARK: - What

  @Test("delays add up, the first abort or reset counts, limits are the tightest, the earliest end ends all")
  func combination() throws {
    let policies = [
      FaultPolicy(
        name: "shop/a", delay: .fixed(.milliseconds(5)), requestRate: 10, responseRate: 1_000, truncateAfter: 7,
        schedule: FaultSchedule(end: 900)),
      FaultPolicy(name: "shop/b", delay: .fixed(.milliseconds(6)), isReset: true, responseRate: 200),
      FaultPolicy(
        name: "shop/c", abort: FaultAbort(status: 500), truncateAfter: 3, corruptMillionths: 9,
        schedule: FaultSchedule(end: 800)),
    ]
    let verdict = try #require(Self.strike(policies, now: 700))
    #expect(verdict.delay == .milliseconds(11))
    #expect(verdict.isReset && verdict.abort == nil && verdict.isFinal)
    #expect(verdict.requestRate == 10 && verdict.responseRate == 200)
    #expect(verdict.truncateAfter == 3 && verdict.corruptMillionths == 9)
    #expect(verdict.end == 800)
    #expect(
      verdict.effects == [
        .init(policy: "shop/a", kind: .delay), .init(policy: "shop/a", kind: .bandwidth),
        .init(policy: "shop/a", kind: .truncate), .init(policy: "shop/b", kind: .delay),
        .init(policy: "shop/b", kind: .reset), .init(policy: "shop/b", kind: .bandwidth),
        .init(policy: "shop/c", kind: .truncate), .init(policy: "shop/c", kind: .corrupt),
      ])
  }

  // MARK: - When

  @Test("from the start to before the end, in windows counted from the start")
  func schedule() {
    let bounded = FaultSchedule(start: 1_000, end: 2_000)
    #expect([999, 1_000, 1_999, 2_000].map(bounded.state) == [.notStarted, .active, .active, .ended])
    #expect(FaultSchedule().state(at: 0) == .active)
    let windows = FaultSchedule(start: 1_000, end: 5_000, windows: .init(period: 600, length: 100))
    #expect(
      [999, 1_000, 1_099, 1_100, 1_599, 1_600, 1_699, 1_700, 5_000].map(windows.state) == [
        .notStarted, .active, .active, .betweenWindows, .betweenWindows, .active, .active, .betweenWindows, .ended,
      ])
  }

  @Test("a plan strikes by the schedule")
  func scheduled() {
    var policy = Self.abort()
    policy.schedule = FaultSchedule(start: 100, end: 200)
    #expect([99, 100, 199, 200].map { Self.strike([policy], now: $0) != nil } == [false, true, true, false])
  }
}

@Suite("Fault delays")
struct FaultDelayTests {
  private static let p50p90p99 = FaultDelay(points: [
    .init(quantile: 500_000, delay: .milliseconds(100)), .init(quantile: 900_000, delay: .milliseconds(300)),
    .init(quantile: 990_000, delay: .milliseconds(1_000)),
  ])

  @Test("a fixed delay is always the same")
  func fixed() {
    for quantile in [0, 0.5, 0.999_999] {
      #expect(FaultDelay.fixed(.milliseconds(250)).value(at: quantile) == .milliseconds(250))
    }
  }

  @Test("the points are met, between them is a straight line, and above the last nothing grows")
  func interpolation() {
    let expected: [(Double, Int64)] = [
      (0, 0), (0.25, 50), (0.5, 100), (0.7, 200), (0.9, 300), (0.945, 650), (0.99, 1_000), (0.999, 1_000),
    ]
    for (quantile, milliseconds) in expected {
      #expect(abs(Self.p50p90p99.value(at: quantile).inMilliseconds - Double(milliseconds)) < 0.001)
    }
  }

  @Test("percentiles of 50,000 draws are those asked for", arguments: [UInt64(1), 2, 3])
  func statistics(seed: UInt64) {
    var random = SeededRandom(seed: seed)
    let drawn = (0..<50_000).map { _ in Self.p50p90p99.value(at: random.unit()).inMilliseconds }.sorted()
    #expect(abs(drawn[25_000] - 100) < 3)
    #expect(abs(drawn[45_000] - 300) < 12)
    #expect(abs(drawn[49_500] - 1_000) < 30)
    #expect(drawn[49_999] <= 1_000)
  }
}
