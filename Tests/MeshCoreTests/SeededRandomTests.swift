import MeshCore
import Testing

@Suite struct SeededRandomTests {
  @Test("the numbers are those published for SplitMix64")
  func publishedVector() {
    var random = SeededRandom(seed: 1_234_567)
    let numbers = (0..<5).map { _ in random.next() }
    #expect(
      numbers == [
        6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423, 4_593_380_528_125_082_431,
        16_408_922_859_458_223_821,
      ])
  }

  @Test("bounded numbers stay below the bound and fall evenly")
  func bounds() {
    var random = SeededRandom(seed: 7)
    var counts = [Int](repeating: 0, count: 10)
    for _ in 0..<100_000 { counts[random.next(below: 10)] += 1 }
    #expect(counts.allSatisfy { (9_500...10_500).contains($0) })
    let ones = (0..<100).map { _ in random.next(below: 1) }
    #expect(ones.allSatisfy { $0 == 0 })
  }

  @Test("unit numbers lie in 0 ..< 1 with the mean of one half")
  func unit() {
    var random = SeededRandom(seed: 8)
    let numbers = (0..<100_000).map { _ in random.unit() }
    #expect(numbers.allSatisfy { $0 >= 0 && $0 < 1 })
    let mean = numbers.reduce(0, +) / 100_000
    #expect(abs(mean - 0.5) < 0.01)
  }
}
