import MeshCore
import MeshHTTP
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

  @Test("an answer's own time is waited for, with the jitter behind it, up to the limit")
  func asked() throws {
    var random = SeededRandom(seed: 5)
    var policy = Self.policy
    policy.maximumRetryAfter = .seconds(2)
    for _ in 0..<200 {
      let wait = try #require(policy.wait(before: 1, &random, asked: .after(.seconds(2))))
      #expect(wait >= .seconds(2) && wait <= .milliseconds(2_100))
      let own = try #require(policy.wait(before: 1, &random, asked: .after(.zero)))
      #expect(own >= .milliseconds(100) && own <= .milliseconds(200))
    }
    #expect(policy.wait(before: 1, &random, asked: .after(.milliseconds(2_001))) == nil)
    #expect(policy.wait(before: 1, &random, asked: .never) == nil)
    policy.maximumRetryAfter = .zero
    let deaf = try #require(policy.wait(before: 1, &random, asked: .never))
    #expect(deaf <= .milliseconds(200))
  }

  @Test("calls of gRPC are repeated by their status")
  func calls() {
    let policy = RetryPolicy(attempts: 1, statusCodes: [], grpcStatuses: [.unavailable, .cancelled])
    func head(_ status: String) -> MessageHead {
      requestHead("/", status.isEmpty ? [] : [("grpc-status", status)])
    }
    #expect(policy.repeats(call: head("14")))
    #expect(policy.repeats(call: head("1")))
    for other in ["", "0", "13", "99", "x"] { #expect(!policy.repeats(call: head(other))) }
    #expect(!Self.policy.repeats(call: head("14")))
    #expect(GRPCStatusSet(GRPCStatus.allCases).all == GRPCStatus.allCases)
  }
}

@Suite("What answers ask for") struct RetryAfterTests {
  /// Sun, 06 Nov 1994 08:49:37 GMT.
  private static let date: Int64 = 784_111_777

  private static func read(
    _ fields: [(String, String)], isGRPC: Bool = false, now: Int64 = date * 1_000
  )
    -> RetryAfter?
  {
    RetryAfter(requestHead("/", fields), isGRPC: isGRPC, now: now)
  }

  @Test("seconds, a date, and nothing")
  func fields() {
    #expect(Self.read([("retry-after", "120")]) == .after(.seconds(120)))
    #expect(Self.read([("retry-after", "0")]) == .after(.zero))
    #expect(Self.read([("retry-after", "99999999999999999999")]) == .after(.seconds(999_999_999)))
    #expect(Self.read([("retry-after", "Sun, 06 Nov 1994 08:49:40 GMT")]) == .after(.seconds(3)))
    #expect(
      Self.read([("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT")], now: Self.date * 1_000 + 500) == .after(.zero))
    for text in ["", "-1", "1.5", "soon", "12 "] { #expect(Self.read([("retry-after", text)]) == nil) }
    #expect(Self.read([]) == nil)
  }

  @Test("gRPC's pushback counts for calls only, and says no in many words")
  func pushback() {
    #expect(Self.read([("grpc-retry-pushback-ms", "250")], isGRPC: true) == .after(.milliseconds(250)))
    #expect(Self.read([("grpc-retry-pushback-ms", "-1")], isGRPC: true) == .never)
    #expect(Self.read([("grpc-retry-pushback-ms", "x"), ("retry-after", "1")], isGRPC: true) == .never)
    #expect(Self.read([("grpc-retry-pushback-ms", "250")]) == nil)
  }
}
