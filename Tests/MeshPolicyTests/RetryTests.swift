import MeshCore
import MeshPolicy
import Testing

@Suite struct RetryBudgetTests {
  private static func at(_ seconds: Double) -> Instant { Instant(nanoseconds: UInt64((1_000 + seconds) * 1e9)) }

  private func taken(_ budget: inout RetryBudget, _ wanted: Int, at seconds: Double) -> Int {
    var count = 0
    for _ in 0..<wanted where budget.takeRepeat(now: Self.at(seconds)) { count += 1 }
    return count
  }

  @Test("a backend without requests still has ten repeats a second")
  func minimum() {
    var budget = RetryBudget()
    #expect(taken(&budget, 100, at: 0) == 10)
    #expect(taken(&budget, 100, at: 0.9) == 0)
    #expect(taken(&budget, 100, at: 1) == 10)
  }

  @Test("a storm of repeats adds a fifth of the requests")
  func share() {
    var budget = RetryBudget()
    for _ in 0..<10_000 { budget.requestStarted(now: Self.at(0)) }
    #expect(taken(&budget, 10_000, at: 0) == 2_000)
  }

  @Test("over a minute of failures the repeats stay at a fifth, however they are asked for")
  func steady() {
    var budget = RetryBudget()
    var repeats = 0
    for tick in 0..<60_000 {
      budget.requestStarted(now: Self.at(Double(tick) / 1_000))
      repeats += taken(&budget, 3, at: Double(tick) / 1_000)
    }
    #expect((11_500...12_200).contains(repeats))
  }

  @Test(
    "rules that repeat three times add a fifth to the load of a service that fails every other request",
    arguments: [1, 2, 3] as [UInt64])
  func storm(_ seed: UInt64) {
    var random = SeededRandom(seed: seed)
    var budget = RetryBudget()
    let policy = RetryPolicy(attempts: 3, statusCodes: [503])
    var (requests, repeats, wanted) = (0, 0, 0)
    for tick in 0..<60_000 {
      let now = Self.at(Double(tick) / 1_000)
      budget.requestStarted(now: now)
      requests += 1
      var repeatsOfThis = 0
      while random.unit() < 0.5, policy.repeats(503), policy.allowsAnother(after: repeatsOfThis) {
        wanted += 1
        guard budget.takeRepeat(now: now) else { break }
        repeatsOfThis += 1
      }
      repeats += repeatsOfThis
    }
    // Without the budget there would be 0.5 + 0.25 + 0.125 for each request.
    #expect(wanted > requests / 2)
    #expect(repeats <= requests / 5 + 10)
    #expect(repeats > requests / 5 - 200)
  }

  @Test("requests of more than ten seconds ago earn nothing")
  func window() {
    var budget = RetryBudget(.init(percent: 20, minimumPerSecond: 0))
    for _ in 0..<1_000 { budget.requestStarted(now: Self.at(0)) }
    var later = budget
    #expect(taken(&budget, 1_000, at: 9.9) == 200)
    #expect(taken(&later, 1_000, at: 10) == 0)
    for _ in 0..<100 { later.requestStarted(now: Self.at(1_000)) }
    #expect(taken(&later, 1_000, at: 1_001) == 20)
  }
}

@Suite struct RetryPolicyTests {
  private static let policy = RetryPolicy(attempts: 2, statusCodes: [500, 503], backoff: .milliseconds(100))

  @Test("attempts are repeats after the first try, and statuses are those listed")
  func decisions() {
    #expect(Self.policy.allowsAnother(after: 0))
    #expect(Self.policy.allowsAnother(after: 1))
    #expect(!Self.policy.allowsAnother(after: 2))
    #expect(Self.policy.repeats(503))
    #expect(!Self.policy.repeats(502))
    #expect(!Self.policy.repeats(200))
  }

  @Test("waits are at least the backoff, drawn from a range that doubles up to ten times it")
  func waits() {
    var random = SeededRandom(seed: 5)
    for (number, most) in [(1, 200), (2, 400), (3, 800), (4, 1_000), (60, 1_000)] {
      let waits = (0..<2_000).map { _ in Self.policy.wait(before: number, &random).inMilliseconds }
      #expect(waits.allSatisfy { $0 >= 100 && $0 <= Double(most) })
      #expect(waits.min()! < 100 + 0.05 * Double(most - 100))
      #expect(waits.max()! > Double(most) - 0.05 * Double(most - 100))
    }
  }

  @Test("no backoff is no wait, and the longest there is does not overflow")
  func extremes() {
    var random = SeededRandom(seed: 5)
    let none = RetryPolicy(attempts: 1, statusCodes: [], backoff: .zero)
    #expect(none.wait(before: 3, &random) == .zero)
    let long = RetryPolicy(attempts: 1, statusCodes: [], backoff: TimeSpan(nanoseconds: .max))
    #expect(long.wait(before: 9, &random) >= .seconds(3_600))
  }
}
