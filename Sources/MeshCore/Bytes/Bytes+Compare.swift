extension UnsafeRawBufferPointer {
  /// Byte equality.
  @inlinable package func equals(_ other: UnsafeRawBufferPointer) -> Bool {
    guard count == other.count else { return false }
    for i in 0..<count where self[i] != other[i] { return false }
    return true
  }

  @inlinable package func equals(_ literal: StaticString) -> Bool {
    equals(UnsafeRawBufferPointer(start: literal.utf8Start, count: literal.utf8CodeUnitCount))
  }

  /// Equality with ASCII letters folded. Bytes above 0x7F compare as they are.
  @inlinable package func equalsIgnoringCase(_ other: UnsafeRawBufferPointer) -> Bool {
    guard count == other.count else { return false }
    for i in 0..<count where self[i].asciiLowercased != other[i].asciiLowercased { return false }
    return true
  }

  @inlinable package func equalsIgnoringCase(_ literal: StaticString) -> Bool {
    equalsIgnoringCase(UnsafeRawBufferPointer(start: literal.utf8Start, count: literal.utf8CodeUnitCount))
  }

  /// The part from `offset` of `length` bytes. Both must lie inside.
  @inlinable package func slice(_ offset: Int, _ length: Int) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(rebasing: self[offset..<(offset &+ length)])
  }

  /// The bytes as text, invalid UTF-8 repaired. For people and filters, not for the request path.
  package var string: String { String(decoding: self, as: UTF8.self) }
}

extension UInt8 {
  @inlinable package var asciiLowercased: UInt8 {
    self &- 0x41 < 26 ? self | 0x20 : self
  }
}
