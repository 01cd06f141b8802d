/// Hashes for the encoder's indexes. A collision costs a comparison, never a wrong field.
enum HPACKHash {
  private static let factor: UInt64 = 0x9E37_79B9_7F4A_7C15

  static func name(_ kind: FieldKind, _ name: UnsafeRawBufferPointer) -> UInt32 {
    // A token stands for the name: no need to look at its bytes.
    if kind.isNameKnown { return UInt32(kind.rawValue) &* 0x9E37_79B1 }
    return fold(bytes(name, 0x51_7C_C1_B7))
  }

  static func pair(_ nameHash: UInt32, _ value: UnsafeRawBufferPointer) -> UInt32 {
    fold(bytes(value, UInt64(nameHash) | 1))
  }

  private static func bytes(_ bytes: UnsafeRawBufferPointer, _ seed: UInt64) -> UInt64 {
    guard let base = bytes.baseAddress else { return mix(seed) }
    var hash = seed ^ UInt64(truncatingIfNeeded: bytes.count) &* factor
    var at = 0
    let count = bytes.count
    while at &+ 8 <= count {
      hash = mix(hash ^ base.loadUnaligned(fromByteOffset: at, as: UInt64.self))
      at &+= 8
    }
    var last: UInt64 = 0
    while at < count {
      last = last &<< 8 | UInt64(bytes[at])
      at &+= 1
    }
    return mix(hash ^ last)
  }

  @inline(__always) private static func mix(_ value: UInt64) -> UInt64 {
    let product = value &* factor
    return product ^ product &>> 29
  }

  @inline(__always) private static func fold(_ hash: UInt64) -> UInt32 {
    UInt32(truncatingIfNeeded: hash ^ hash &>> 32)
  }
}
