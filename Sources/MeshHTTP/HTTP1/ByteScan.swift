import MeshCore

extension UnsafeRawBufferPointer {
  /// The index of the first control byte (below 0x20, or 0x7F) in `start..<end`, or `end`. Reads eight bytes at a time.
  @inline(__always)
  func firstControl(from start: Int, to end: Int) -> Int {
    guard let base = baseAddress else { return end }
    let ones: UInt64 = 0x0101_0101_0101_0101
    let tops: UInt64 = 0x8080_8080_8080_8080
    var i = start
    while i &+ 8 <= end {
      let word = UInt64(littleEndian: base.loadUnaligned(fromByteOffset: i, as: UInt64.self))
      // Borrows disturb only the bytes above a true hit, so the lowest marked byte is always right.
      let below = (word &- ones &* 0x20) & ~word
      let del = word ^ (ones &* 0x7F)
      let hits = (below | ((del &- ones) & ~del)) & tops
      if hits != 0 { return i &+ hits.trailingZeroBitCount &>> 3 }
      i &+= 8
    }
    while i < end {
      let byte = self[i]
      if byte < 0x20 || byte == 0x7F { return i }
      i &+= 1
    }
    return end
  }
}

extension UnsafeRawBufferPointer {
  /// The index of the first colon in `start..<end`, or `end`. Reads eight bytes at a time.
  @inline(__always)
  func firstColon(from start: Int, to end: Int) -> Int {
    guard let base = baseAddress else { return end }
    let ones: UInt64 = 0x0101_0101_0101_0101
    var i = start
    while i &+ 8 <= end {
      let word = UInt64(littleEndian: base.loadUnaligned(fromByteOffset: i, as: UInt64.self)) ^ (ones &* 0x3A)
      // As above: only bytes above a true hit can be marked wrongly.
      let hits = (word &- ones) & ~word & (ones &* 0x80)
      if hits != 0 { return i &+ hits.trailingZeroBitCount &>> 3 }
      i &+= 8
    }
    while i < end, base.load(fromByteOffset: i, as: UInt8.self) != 0x3A { i &+= 1 }
    return i
  }
}

extension UInt8 {
  @inline(__always)
  private func isIn(_ low: UInt64, _ high: UInt64) -> Bool {
    self < 0x80 && ((self < 64 ? low : high) &>> UInt64(self & 63)) & 1 != 0
  }

  /// `tchar` of RFC 9110, section 5.6.2.
  @inline(__always) var isTokenByte: Bool { isIn(0x03FF_6CFA_0000_0000, 0x57FF_FFFF_C7FF_FFFE) }
  /// What a `reg-name` may hold (RFC 3986, section 3.2.2).
  @inline(__always) var isHostByte: Bool { isIn(0x2BFF_7FF2_0000_0000, 0x47FF_FFFE_87FF_FFFE) }
  /// Visible ASCII without `#`, which never belongs in a request target.
  @inline(__always) var isTargetByte: Bool { isIn(0xFFFF_FFF6_0000_0000, 0x7FFF_FFFF_FFFF_FFFF) }
  @inline(__always) var isDigit: Bool { self &- 0x30 < 10 }
  /// Optional white space: space or tab.
  @inline(__always) var isBlank: Bool { self == 0x20 || self == 0x09 }

  /// The value of a hexadecimal digit, or nil.
  @inline(__always) var hexValue: UInt64? {
    if isDigit { return UInt64(self &- 0x30) }
    let letter = (self | 0x20) &- 0x61
    return letter < 6 ? UInt64(letter &+ 10) : nil
  }
}

extension UnsafeRawBufferPointer {
  /// Calls `body` with each non-empty member of a comma-separated list, without white space around it (RFC 9110,
  /// 5.6.1).
  @inline(__always)
  func forEachListMember(_ body: (UnsafeRawBufferPointer) -> Void) {
    var start = 0
    while start < count {
      var comma = start
      while comma < count, self[comma] != 0x2C { comma &+= 1 }
      var end = comma
      while start < end, self[start].isBlank { start &+= 1 }
      while end > start, self[end &- 1].isBlank { end &-= 1 }
      if end > start { body(slice(start, end &- start)) }
      start = comma &+ 1
    }
  }

  /// True if the comma-separated list has `name` as a member, in any letter case.
  func hasListMember(_ name: UnsafeRawBufferPointer) -> Bool {
    var found = false
    forEachListMember { if $0.equalsIgnoringCase(name) { found = true } }
    return found
  }
}
