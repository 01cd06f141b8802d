extension UnsafeRawBufferPointer {
  /// Byte equality.
  @inlinable public func equals(_ other: UnsafeRawBufferPointer) -> Bool {
    matches(other, word: { $0 == $1 }, byte: { $0 == $1 })
  }

  @inlinable public func equals(_ literal: StaticString) -> Bool {
    equals(UnsafeRawBufferPointer(start: literal.utf8Start, count: literal.utf8CodeUnitCount))
  }

  /// Equality with ASCII letters folded. Bytes above 0x7F compare as they are.
  @inlinable public func equalsIgnoringCase(_ other: UnsafeRawBufferPointer) -> Bool {
    matches(
      other, word: { $0.asciiLowercased == $1.asciiLowercased }, byte: { $0.asciiLowercased == $1.asciiLowercased })
  }

  /// Equality of these bytes, with ASCII letters folded, and `name`, which holds only lower-case letters, digits and hyphens.
  /// Cheaper than `equalsIgnoringCase`: of such a name the letters alone have bit 6, and only where it has a letter may this
  /// side differ, in bit 5.
  @inlinable @inline(__always) public func equals(lowercaseName name: UnsafeRawBufferPointer) -> Bool {
    matches(
      name, word: { ($0 | ($1 & 0x4040_4040_4040_4040) &>> 1) == $1 }, byte: { ($0 | ($1 & 0x40) &>> 1) == $1 })
  }

  /// Compares eight bytes at a time; the last word overlaps the one before it.
  @inlinable @inline(__always)
  func matches(
    _ other: UnsafeRawBufferPointer, word: (UInt64, UInt64) -> Bool, byte: (UInt8, UInt8) -> Bool
  ) -> Bool {
    guard count == other.count else { return false }
    guard let a = baseAddress, let b = other.baseAddress else { return true }
    var at = 0
    if count >= 8 {
      while at < count {
        at = Swift.min(at, count &- 8)
        let x = a.loadUnaligned(fromByteOffset: at, as: UInt64.self)
        let y = b.loadUnaligned(fromByteOffset: at, as: UInt64.self)
        guard word(x, y) else { return false }
        at &+= 8
      }
      return true
    }
    if count >= 4 {
      // Two overlapping halves make one word.
      let x = UInt64(a.loadUnaligned(as: UInt32.self)) &<< 32
      let y = UInt64(b.loadUnaligned(as: UInt32.self)) &<< 32
      let p = UInt64(a.loadUnaligned(fromByteOffset: count &- 4, as: UInt32.self))
      let q = UInt64(b.loadUnaligned(fromByteOffset: count &- 4, as: UInt32.self))
      return word(x | p, y | q)
    }
    while at < count {
      let x = a.load(fromByteOffset: at, as: UInt8.self)
      let y = b.load(fromByteOffset: at, as: UInt8.self)
      guard byte(x, y) else { return false }
      at &+= 1
    }
    return true
  }

  @inlinable @inline(__always) public func equalsIgnoringCase(_ literal: StaticString) -> Bool {
    count == literal.utf8CodeUnitCount
      && equalsIgnoringCase(UnsafeRawBufferPointer(start: literal.utf8Start, count: literal.utf8CodeUnitCount))
  }

  /// The part from `offset` of `length` bytes. Both must lie inside.
  @inlinable public func slice(_ offset: Int, _ length: Int) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(rebasing: self[offset..<(offset &+ length)])
  }

  /// The bytes as text, invalid UTF-8 repaired. For people and filters, not for the request path.
  public var string: String { String(decoding: self, as: UTF8.self) }
}

extension UInt8 {
  @inlinable public var asciiLowercased: UInt8 {
    self &- 0x41 < 26 ? self | 0x20 : self
  }
}

extension UInt64 {
  /// Eight bytes with ASCII letters in lower case; all other bytes as they are.
  @inlinable public var asciiLowercased: UInt64 {
    let ones: UInt64 = 0x0101_0101_0101_0101
    let tops = ones &* 0x80
    let low = self & ~tops
    // The top bit of each byte tells whether its low seven bits are at least `A`, and above `Z`.
    let fromA = low &+ ones &* (0x80 - 0x41)
    let aboveZ = low &+ ones &* (0x7F - 0x5A)
    let isUpper = fromA & ~aboveZ & ~self & tops
    return self | isUpper &>> 2
  }
}
