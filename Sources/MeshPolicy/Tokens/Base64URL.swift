import MeshCore

/// base64url without padding, as JOSE writes bytes (RFC 7515, section 2).
///
/// Strict: neither padding, nor white space, nor the other alphabet's `+` and `/`, and the bits past the last byte are zero, so that
/// bytes have one text only.
package enum Base64URL {
  /// Nil for anything else.
  package static func decode(_ text: UnsafeRawBufferPointer) -> [UInt8]? {
    let rest = text.count & 3
    guard rest != 1 else { return nil }
    let count = text.count / 4 * 3 + (rest == 0 ? 0 : rest - 1)
    var isGood = true
    let bytes = [UInt8](unsafeUninitializedCapacity: count) { bytes, written in
      var word: UInt32 = 0
      var bits: UInt32 = 0
      var unknown: UInt8 = 0
      for character in text {
        let digit = digits[Int(character)]
        unknown |= digit
        word = word << 6 | UInt32(digit & 63)
        bits += 6
        if bits >= 8 {
          bits -= 8
          bytes[written] = UInt8(truncatingIfNeeded: word >> bits)
          written += 1
        }
      }
      isGood = unknown & 0x80 == 0 && word & (1 << bits - 1) == 0
    }
    return isGood ? bytes : nil
  }

  /// The value of each character; 0xFF for those outside of the alphabet.
  private static let digits: [UInt8] = {
    var table = [UInt8](repeating: 0xFF, count: 256)
    for (value, character) in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8.enumerated() {
      table[Int(character)] = UInt8(value)
    }
    return table
  }()
}
