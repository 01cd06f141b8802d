/// 128 bits of FNV-1a over a canonical encoding. Finds changes; it is no defence against forgery.
package struct ContentHash: Hashable, Sendable, CustomStringConvertible {
  package var value: UInt128

  /// The 16 bytes of the hash, most significant first.
  package var bytes: [UInt8] { (0..<16).map { UInt8(truncatingIfNeeded: value >> (120 - 8 * $0)) } }

  package var description: String {
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: 32 - digits.count) + digits
  }
}

/// Builds a `ContentHash` from values in a fixed order. Lengths go in front of text, so no two sequences share bytes.
struct ContentHasher {
  private var state: UInt128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d
  private static let prime: UInt128 = 0x0000_0000_0100_0000_0000_0000_0000_013b

  private mutating func add(byte: UInt8) {
    state ^= UInt128(byte)
    state &*= Self.prime
  }

  mutating func add(_ text: String) {
    add(text.utf8.count)
    for byte in text.utf8 { add(byte: byte) }
  }

  mutating func add(_ number: some FixedWidthInteger) {
    let wide = UInt64(truncatingIfNeeded: number)
    for shift in stride(from: UInt64(0), to: 64, by: 8) { add(byte: UInt8(truncatingIfNeeded: wide >> shift)) }
  }

  func finish() -> ContentHash { ContentHash(value: state) }
}
