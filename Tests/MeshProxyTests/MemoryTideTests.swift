import Testing

@testable import MeshProxy

@Suite struct MemoryTideTests {
  @Test("a wave of connections that has half gone is told once when it rests, smaller ones never") func waves() {
    var tide = MemoryTide()
    var told: [Int] = []
    for (turn, open) in [0, 999, 0, 0, 4_000, 8_000, 5_000, 4_000, 4_000, 3_100, 2_500, 10, 0, 0, 0].enumerated() {
      if tide.hasFallen(to: open) { told.append(turn) }
    }
    // 8,000 to 4,000, where it rests; then 4,000 to nothing, told when nothing more goes.
    #expect(told == [8, 13])
  }
}
