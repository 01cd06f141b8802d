import MeshCore

/// Flips one bit in a share of the bytes of a stream. Draws the distance to the next such byte, so that the cost is that of the
/// flips and not of the bytes.
package struct BitFlips: Sendable {
  private let share: Double
  private var random: SeededRandom
  /// Bytes that stay as they are before the next flip.
  private var distance = 0
  package private(set) var flips: UInt64 = 0

  package init(millionths: UInt32, seed: UInt64) {
    share = min(1, max(1e-6, Double(millionths) / 1e6))
    random = SeededRandom(seed: seed)
    distance = drawDistance()
  }

  package mutating func apply(to bytes: UnsafeMutableRawBufferPointer) {
    var index = distance
    while index < bytes.count {
      bytes[index] ^= 1 << UInt8(random.next(below: 8))
      flips &+= 1
      index += 1 + drawDistance()
    }
    distance = index - bytes.count
  }

  /// Geometric: the number of failures before a success, as the inverse of its distribution has it.
  private mutating func drawDistance() -> Int {
    if share >= 1 { return 0 }
    return Int(naturalLogarithm(1 - random.unit()) / Self.logarithm(ofRest: share))
  }

  /// ln (1 - x) for 0 < x < 1, by its series where the difference would lose the small x.
  private static func logarithm(ofRest x: Double) -> Double {
    x < 0.01 ? -x * (1 + x / 2 * (1 + x * 2 / 3 * (1 + x * 3 / 4))) : naturalLogarithm(1 - x)
  }
}
