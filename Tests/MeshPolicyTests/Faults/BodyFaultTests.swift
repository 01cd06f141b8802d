import MeshCore
import MeshPolicy
import Testing

@Suite("Byte allowances")
struct ByteAllowanceTests {
  /// Takes as much as there is, whenever the allowance says that there is something, for ten seconds.
  private static func taken(perSecond: UInt64) -> Int {
    var now = Instant(nanoseconds: 5)
    let end = now + .seconds(10)
    var allowance = ByteAllowance(perSecond: perSecond, now: now)
    var total = 0
    while now < end {
      total += allowance.take(.max / 2, now: now)
      now = now + allowance.wait
    }
    return total
  }

  @Test("a stream gets its rate", arguments: [UInt64(1), 19, 1_000, 65_536, 100_000_000])
  func rate(_ perSecond: UInt64) {
    let (total, expected) = (Double(Self.taken(perSecond: perSecond)), Double(perSecond) * 10)
    // The first portion is there at once.
    #expect(total >= expected * 0.98 - 1)
    #expect(total <= expected * 1.01 + 1)
  }

  @Test("what was not used is lost, what could not go is not")
  func credit() {
    let start = Instant(nanoseconds: 0) + .seconds(1)
    var allowance = ByteAllowance(perSecond: 1_000, now: start)
    #expect(allowance.take(100, now: start) == 50)
    #expect(allowance.take(100, now: start) == 0)
    let later = start + .seconds(60)
    #expect(allowance.take(100, now: later) == 50)
    allowance.giveBack(20)
    #expect(allowance.take(100, now: later) == 20)
    #expect(abs(allowance.wait.inMilliseconds - 50) < 0.01)
  }
}

@Suite("Bit flips")
struct BitFlipTests {
  private static func flipped(_ bytes: [UInt8], millionths: UInt32, seed: UInt64, pieces: Int) -> [UInt8] {
    var flips = BitFlips(millionths: millionths, seed: seed)
    var result = bytes
    result.withUnsafeMutableBytes { all in
      for start in stride(from: 0, to: all.count, by: pieces) {
        flips.apply(to: UnsafeMutableRawBufferPointer(rebasing: all[start..<min(start + pieces, all.count)]))
      }
    }
    #expect(flips.flips == UInt64(zip(bytes, result).count { $0 != $1 }))
    return result
  }

  @Test(
    "a share of the bytes, each by one bit, whatever the pieces", arguments: [UInt32(100), 5_000, 20_000, 300_000],
    [UInt64(1), 2])
  func share(_ millionths: UInt32, seed: UInt64) {
    let bytes = [UInt8](repeating: 0x5A, count: 500_000)
    let result = Self.flipped(bytes, millionths: millionths, seed: seed, pieces: 500_000)
    #expect(result == Self.flipped(bytes, millionths: millionths, seed: seed, pieces: 1_013))
    let changed = zip(bytes, result).filter { $0 != $1 }
    #expect(changed.allSatisfy { ($0 ^ $1).nonzeroBitCount == 1 })
    let share = Double(millionths) / 1e6
    let deviation = (share * (1 - share) * 500_000).squareRoot()
    #expect(abs(Double(changed.count) - share * 500_000) <= 4.5 * deviation)
  }

  @Test("all")
  func all() {
    let bytes = [UInt8](0..<100)
    #expect(zip(bytes, Self.flipped(bytes, millionths: 1_000_000, seed: 1, pieces: 7)).allSatisfy { $0 != $1 })
  }

  @Test("every bit has its turn")
  func bits() {
    let result = Self.flipped([UInt8](repeating: 0, count: 8_000), millionths: 1_000_000, seed: 3, pieces: 8_000)
    for bit in 0..<8 { #expect(abs(result.count { $0 == 1 << bit } - 1_000) < 150) }
  }
}
