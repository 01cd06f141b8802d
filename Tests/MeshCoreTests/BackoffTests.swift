import MeshCore
import Testing

@Suite struct BackoffTests {
  @Test("waits double from the minimum to the maximum and keep within half to whole of each step")
  func growth() {
    var random = SeededRandom(seed: 7)
    var backoff = Backoff(minimum: .milliseconds(100), maximum: .milliseconds(1500))
    for step in [100, 200, 400, 800, 1500, 1500, 1500] as [Int64] {
      let wait = backoff.next(using: &random)
      #expect(wait >= .milliseconds(step / 2) && wait <= .milliseconds(step))
    }
    #expect(backoff.attempts == 7)
  }

  @Test("after a reset the first step comes again")
  func reset() {
    var random = SeededRandom(seed: 7)
    var backoff = Backoff(minimum: .milliseconds(100), maximum: .seconds(10))
    for _ in 0..<6 { _ = backoff.next(using: &random) }
    backoff.reset()
    #expect(backoff.attempts == 0)
    #expect(backoff.next(using: &random) <= .milliseconds(100))
  }

  @Test("two clients that failed together do not return together")
  func jitter() {
    var random = SeededRandom(seed: 1)
    let waits = (0..<100).map { _ -> TimeSpan in
      var backoff = Backoff()
      return backoff.next(using: &random)
    }
    #expect(Set(waits).count > 90)
  }
}
