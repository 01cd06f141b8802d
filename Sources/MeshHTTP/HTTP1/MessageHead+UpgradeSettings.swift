import MeshCore

extension MessageHead {
  /// The SETTINGS payload of a request that offers `h2c` (RFC 7540, section 3.2.1). Nil when the offer is to be
  /// ignored: not exactly one `HTTP2-Settings`, no base64url, or no whole number of settings.
  package var upgradeSettings: [UInt8]? {
    var found: [UInt8]?
    for field in fields where field.token == .http2Settings && !field.isRemoved {
      guard found == nil, let payload = Self.base64URL(bytes(field.value)), payload.count % 6 == 0 else { return nil }
      found = payload
    }
    return found
  }

  /// RFC 4648, section 5, without padding; nil for anything else, left-over bits that are not zero included.
  private static func base64URL(_ text: UnsafeRawBufferPointer) -> [UInt8]? {
    guard text.count % 4 != 1 else { return nil }
    var result: [UInt8] = []
    var bits: UInt32 = 0
    var count = 0
    for byte in text {
      guard let value = sextet(byte) else { return nil }
      bits = bits << 6 | value
      count += 6
      guard count >= 8 else { continue }
      count -= 8
      result.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
      bits &= 1 << UInt32(count) - 1
    }
    return bits == 0 ? result : nil
  }

  private static func sextet(_ byte: UInt8) -> UInt32? {
    switch byte {
    case 0x41...0x5A: UInt32(byte - 0x41)
    case 0x61...0x7A: UInt32(byte - 0x61 + 26)
    case 0x30...0x39: UInt32(byte - 0x30 + 52)
    case 0x2D: 62
    case 0x5F: 63
    default: nil
    }
  }
}
