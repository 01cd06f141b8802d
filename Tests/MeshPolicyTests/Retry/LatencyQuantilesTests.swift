import MeshCore
import MeshPolicy
import Testing

@Suite("Latencies by rank")
struct LatencyQuantilesTests {
  @Test(
    "a rank is found within a fifth, from microseconds to minutes",
    arguments: [7, 100, 999, 12_345, 1_000_000, 60_000_000])
  func ranks(_ microseconds: Int64) {
    var latencies = LatencyQuantiles(now: at(0))
    // Ninety of a hundred at the time given, the rest at a hundred times of it.
    for i in 0..<200 {
      latencies.note(.microseconds(i % 10 == 0 ? microseconds * 100 : microseconds), now: at(Int64(i)))
    }
    let most = latencies.value(9_000, now: at(200)) ?? .zero
    #expect(most >= .microseconds(microseconds) && most.nanoseconds <= microseconds * 1_250 + 4_000)
    let slowest = latencies.value(9_999, now: at(200)) ?? .zero
    #expect(slowest > .microseconds(microseconds * 50))
  }

  @Test("few answers say nothing, and old ones are forgotten")
  func forgetting() {
    var latencies = LatencyQuantiles(now: at(0))
    for _ in 1..<LatencyQuantiles.leastAnswers { latencies.note(.milliseconds(1), now: at(0)) }
    func value(_ share: UInt32, at time: Int64) -> TimeSpan? {
      latencies.value(share, now: MeshPolicyTests.at(time))
    }
    #expect(value(9_500, at: 0) == nil)
    latencies.note(.milliseconds(1), now: at(0))
    #expect(value(9_500, at: 19_999) != nil)
    #expect(value(9_500, at: 20_000) == nil)
    for _ in 0..<100 { latencies.note(.milliseconds(1), now: at(30_000)) }
    // The next window still looks at them, the one after does not.
    for _ in 0..<100 { latencies.note(.milliseconds(100), now: at(41_000)) }
    #expect(value(5_000, at: 41_000) ?? .seconds(9) < .milliseconds(2))
    #expect(value(5_000, at: 52_000) ?? .zero >= .milliseconds(100))
  }
}
