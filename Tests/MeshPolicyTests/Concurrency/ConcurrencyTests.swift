import MeshCore
import MeshPolicy
import Testing

/// Simulated clock, seeded arrivals: the same numbers in each run.
@Suite("Adaptive concurrency") struct ConcurrencyTests {
  @Test(
    "under twice the load the limit settles near what the application can do, and goodput is near its capacity",
    arguments: 1...5)
  func converges(seed: UInt64) {
    var service = SimulatedService(cores: 16, milliseconds: 20, seed: seed)
    _ = service.run(seconds: 5, rate: 2 * service.capacity)
    for _ in 0..<3 {
      let score = service.run(seconds: 5, rate: 2 * service.capacity)
      #expect((16...40).contains(service.limiter.limit))
      #expect(Double(score.good) >= 0.9 * 5 * service.capacity)
      #expect(score.late == 0)
    }
    // Measured alone, give or take what buckets and chance are off by.
    #expect((16...26).contains(service.limiter.unloadedLatency.nanoseconds / 1_000_000))
  }

  @Test(
    "an application that does less the more it is asked at a time keeps its goodput, which it loses without a limit")
  func goodput() {
    func score(_ settings: AdaptiveConcurrency) -> Double {
      var service = SimulatedService(settings, cores: 8, milliseconds: 10)
      service.thrashing = 0.2
      _ = service.run(seconds: 5, rate: 1.5 * service.capacity)
      return Double(service.run(seconds: 10, rate: 1.5 * service.capacity).good) / (10 * service.capacity)
    }
    #expect(score(AdaptiveConcurrency()) >= 0.65)
    #expect(score(AdaptiveConcurrency(minimum: 1_000_000, maximum: 1_000_000)) <= 0.1)
  }

  @Test("an application with little to do refuses hardly anything, measurements included", arguments: 1...3)
  func idle(seed: UInt64) {
    var service = SimulatedService(cores: 16, milliseconds: 20, seed: seed)
    _ = service.run(seconds: 5, rate: 0.3 * service.capacity)
    let score = service.run(seconds: 100, rate: 0.3 * service.capacity)
    #expect(Double(score.refused) <= 0.001 * Double(score.offered))
  }

  @Test("the limit does not run away while nobody reaches it")
  func unused() {
    var service = SimulatedService(cores: 1_000, milliseconds: 20)
    _ = service.run(seconds: 60, rate: 250)
    #expect(service.limiter.limit <= 60)
  }

  @Test(
    "when the application becomes slower the limit follows, and does not fall to the least for good",
    arguments: [1.5, 2, 3, 8])
  func slower(factor: Double) {
    var service = SimulatedService(cores: 16, milliseconds: 20)
    _ = service.run(seconds: 10, rate: 2 * service.capacity)
    service.milliseconds *= factor
    service.patience = .seconds(1)
    _ = service.run(seconds: 45, rate: 2 * service.capacity)
    let score = service.run(seconds: 10, rate: 2 * service.capacity)
    #expect((14...48).contains(service.limiter.limit))
    #expect(Double(score.good) >= 0.8 * 10 * service.capacity)
  }

  @Test("when it becomes faster the limit comes down from where the old latency let it go")
  func faster() {
    var service = SimulatedService(cores: 16, milliseconds: 60)
    _ = service.run(seconds: 10, rate: 2 * service.capacity)
    service.milliseconds = 20
    _ = service.run(seconds: 60, rate: 2 * service.capacity)
    #expect((16...40).contains(service.limiter.limit))
    #expect(service.limiter.unloadedLatency <= .milliseconds(30))
  }

  @Test("an application with one thread is asked for a few requests at a time")
  func single() {
    var service = SimulatedService(AdaptiveConcurrency(minimum: 1), cores: 1, milliseconds: 10)
    _ = service.run(seconds: 5, rate: 300)
    let score = service.run(seconds: 10, rate: 300)
    #expect(service.limiter.limit <= 5)
    #expect(score.good >= 800)
  }

  @Test("when the application stops answering nothing more goes there, and it goes on when it does")
  func hanging() {
    let limiter = ConcurrencyLimiter(AdaptiveConcurrency(), seed: 1, now: Instant(nanoseconds: 0))
    var now = Instant(nanoseconds: 0)
    let permits = (0..<10).compactMap { _ in limiter.enter(now: now) }
    #expect(permits.count == 3)
    now = now + .seconds(5)
    #expect(limiter.enter(now: now) == nil)
    for permit in permits { limiter.leave(permit, .failed, now: now) }
    #expect(limiter.inFlight == 0)
    #expect(limiter.enter(now: now) != nil)
  }

  @Test("failures that come at once are no sign of ease, and requests that were given up late are one of load")
  func outcomes() {
    var now = Instant(nanoseconds: 0)
    let limiter = ConcurrencyLimiter(AdaptiveConcurrency(), seed: 1, now: now)
    func serve(_ count: Int, _ milliseconds: Int64, _ outcome: ConcurrencyLimiter.Outcome) {
      for _ in 0..<count {
        let permits = (0..<2).compactMap { _ in limiter.enter(now: now) }
        now = now + .milliseconds(milliseconds)
        for permit in permits { limiter.leave(permit, outcome, now: now) }
      }
    }
    serve(100, 1, .failed)
    serve(100, 1, .unanswered)
    #expect(limiter.unloadedLatency == .zero)
    serve(100, 20, .answered)
    #expect((18...22).contains(limiter.unloadedLatency.nanoseconds / 1_000_000))
    let before = limiter.limit
    serve(100, 1, .failed)
    serve(100, 19, .unanswered)
    #expect(limiter.limit == before)
    serve(8, 400, .unanswered)
    #expect(limiter.limit < before)
  }

  @Test("workers that enter and leave at the same time lose no place and find none too many")
  func workers() async {
    let limiter = ConcurrencyLimiter(
      AdaptiveConcurrency(minimum: 5, maximum: 5), seed: 1, now: Instant(nanoseconds: 0))
    let most = await withTaskGroup(of: Int.self) { group in
      for _ in 0..<4 {
        group.addTask {
          var (now, most) = (Instant(nanoseconds: 0), 0)
          for i in 0..<20_000 {
            now = now + .microseconds(Int64(i % 7) * 50)
            let permits = (0..<3).compactMap { _ in limiter.enter(now: now) }
            most = max(most, limiter.inFlight)
            for permit in permits {
              limiter.leave(permit, i % 5 == 0 ? .failed : .answered, now: now + .milliseconds(1))
            }
          }
          return most
        }
      }
      return await group.reduce(0) { max($0, $1) }
    }
    // Those that are being refused count for a moment.
    #expect(most <= 5 + 3)
    #expect(limiter.inFlight == 0)
    #expect(limiter.limit == 5)
    #expect(limiter.unloadedLatency > .zero)
  }
}
