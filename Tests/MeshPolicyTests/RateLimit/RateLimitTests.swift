import MeshCore
import MeshPolicy
import Testing

@Suite("Rate limits") struct RateLimitTests {
  private static func at(_ milliseconds: Double) -> Instant {
    Instant(nanoseconds: 1_000_000_000_000 + UInt64(milliseconds * 1e6))
  }

  private static func passed(_ table: BucketTable, _ key: UInt64 = 1, at milliseconds: Double, of count: Int) -> Int {
    (0..<count).count { _ in table.take(key, now: at(milliseconds)) == nil }
  }

  @Test("a burst passes at once, then as many as come back")
  func burst() {
    let table = BucketTable(RateLimit(10, per: .seconds(1), burst: 5), buckets: 8)
    #expect(Self.passed(table, at: 0, of: 20) == 5)
    #expect(Self.passed(table, at: 99, of: 20) == 0)
    #expect(Self.passed(table, at: 100, of: 20) == 1)
    #expect(Self.passed(table, at: 350, of: 20) == 2)
    // A long rest fills it, and no more.
    #expect(Self.passed(table, at: 100_000, of: 20) == 5)
  }

  @Test("over time the rate is the limit's, whatever the rhythm of requests", arguments: [1, 2, 3] as [UInt64])
  func rate(_ seed: UInt64) {
    let table = BucketTable(RateLimit(100, per: .seconds(1), burst: 10), buckets: 1)
    var random = SeededRandom(seed: seed)
    var now = 0.0
    var passed = 0
    while now < 60_000 {
      passed += Self.passed(table, at: now, of: random.next(below: 4))
      now += random.unit() * 10
    }
    #expect(abs(passed - 6_000) <= 20)
  }

  @Test("a refusal says how long to wait, and then a request passes")
  func wait() throws {
    let table = BucketTable(RateLimit(1, per: .seconds(10), burst: 2), buckets: 1)
    #expect(Self.passed(table, at: 0, of: 2) == 2)
    let wait = try #require(table.take(1, now: Self.at(4_000)))
    #expect(wait == .seconds(6))
    #expect(table.take(1, now: Self.at(9_999)) != nil)
    #expect(table.take(1, now: Self.at(10_000)) == nil)
  }

  @Test("the largest numbers neither trap nor refuse everything")
  func extremes() {
    for limit in [
      RateLimit(.max, per: .nanoseconds(1), burst: .max), RateLimit(1, per: .nanoseconds(.max), burst: .max),
      RateLimit(1, per: .seconds(31_536_000), burst: 1), RateLimit(0, per: .zero, burst: 0),
    ] {
      let table = BucketTable(limit, buckets: 0)
      #expect(Self.passed(table, at: 0, of: 2) >= 1)
      #expect(TokenBucket(limit).take(fullAt: .max / 2, now: Self.at(0)) != .granted(fullAt: 0))
    }
  }

  // MARK: - Keys

  @Test("each key has a bucket of its own")
  func keys() {
    let table = BucketTable(RateLimit(1, per: .seconds(60), burst: 3, key: .caller), buckets: 1_024)
    var random = SeededRandom(seed: 3)
    let keys = (0..<200).map { _ in random.next() }
    for _ in 0..<2 { for key in keys { #expect(table.take(key, now: Self.at(0)) == nil) } }
    for key in keys { #expect(Self.passed(table, key, at: 1, of: 5) == 1) }
  }

  @Test("however many keys come, they pass no more than the table's buckets together", arguments: [1, 2] as [UInt64])
  func flood(_ seed: UInt64) {
    let table = BucketTable(RateLimit(1, per: .seconds(60), burst: 3, key: .caller), buckets: 64)
    var random = SeededRandom(seed: seed)
    let passed = (0..<100_000).count { _ in table.take(random.next(), now: Self.at(0)) == nil }
    #expect(passed == 64 * 3)
  }

  @Test("a key that is asked for keeps its bucket while idle ones make room")
  func leastRecent() {
    let table = BucketTable(RateLimit(1, per: .seconds(1), burst: 1, key: .caller), buckets: 64)
    var random = SeededRandom(seed: 9)
    let busy: UInt64 = 12_345
    var passed = 0
    for second in 0..<100 {
      let now = Double(second) * 1_000
      passed += Self.passed(table, busy, at: now, of: 3)
      // Others come and go; theirs are full again before the next ones come.
      for _ in 0..<4 { _ = table.take(random.next(), now: Self.at(now + 1)) }
      passed += Self.passed(table, busy, at: now + 2, of: 3)
    }
    #expect(passed == 100)
  }

  @Test("workers that take at once take no more than there is")
  func workers() async {
    let table = BucketTable(RateLimit(1, per: .seconds(3_600), burst: 10_000, key: .caller), buckets: 8)
    let passed = await withTaskGroup(of: Int.self) { group in
      for _ in 0..<4 { group.addTask { Self.passed(table, 77, at: 0, of: 5_000) } }
      return await group.reduce(0, +)
    }
    #expect(passed == 10_000)
  }
}
