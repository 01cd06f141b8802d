/// Writes JSON pieces to memory that was reserved for the whole line, so that no piece checks for room again.
struct JSONCursor {
  private var at: UnsafeMutableRawPointer
  private let start: UnsafeMutableRawPointer

  /// `start` must have room for everything that will be written.
  init(_ start: UnsafeMutableRawPointer) {
    self.start = start
    at = start
  }

  var count: Int { at - start }

  /// Most bytes that `string` writes for a value of `bytes` bytes.
  static func room(_ bytes: Int, limit: Int) -> Int { 6 * min(bytes, limit) + 16 }

  @inline(__always)
  mutating func append(_ byte: UInt8) {
    at.storeBytes(of: byte, as: UInt8.self)
    at += 1
  }

  @inline(__always)
  mutating func append(_ bytes: UnsafeRawBufferPointer) {
    guard let source = bytes.baseAddress else { return }
    at.copyMemory(from: source, byteCount: bytes.count)
    at += bytes.count
  }

  @inline(__always)
  mutating func append(_ literal: StaticString) {
    at.copyMemory(from: literal.utf8Start, byteCount: literal.utf8CodeUnitCount)
    at += literal.utf8CodeUnitCount
  }

  mutating func append(decimal number: UInt64) {
    var divisor: UInt64 = 1
    while number / divisor >= 10 { divisor *= 10 }
    while divisor > 0 {
      append(UInt8(0x30 + number / divisor % 10))
      divisor /= 10
    }
  }

  /// The last `digits` decimal digits, with leading zeros.
  mutating func append(padded number: Int, digits: Int) {
    var rest = number
    for i in stride(from: digits - 1, through: 0, by: -1) {
      (at + i).storeBytes(of: UInt8(0x30 + rest % 10), as: UInt8.self)
      rest /= 10
    }
    at += digits
  }

  /// Appends `bytes` as a quoted string. Control characters are escaped, what is not UTF-8 becomes U+FFFD, and values
  /// above `limit` bytes are cut.
  mutating func string(_ bytes: UnsafeRawBufferPointer, limit: Int) {
    append(UInt8(ascii: "\""))
    var i = 0
    var plain = 0
    while i < bytes.count && i < limit {
      let byte = bytes[i]
      if byte >= 0x20 && byte < 0x7F && byte != 0x22 && byte != 0x5C {
        i &+= 1
        continue
      }
      let length = byte < 0x80 ? 0 : Self.sequenceLength(bytes, at: i)
      if length > 0 {
        i &+= length
        continue
      }
      if i > plain { append(UnsafeRawBufferPointer(rebasing: bytes[plain..<i])) }
      if byte < 0x80 { escape(byte) } else { append("\u{FFFD}") }
      i &+= 1
      plain = i
    }
    if i > plain { append(UnsafeRawBufferPointer(rebasing: bytes[plain..<i])) }
    if i < bytes.count { append("\u{2026}") }
    append(UInt8(ascii: "\""))
  }

  private mutating func escape(_ byte: UInt8) {
    switch byte {
    case 0x22: append("\\\"")
    case 0x5C: append("\\\\")
    case 0x0A: append("\\n")
    case 0x0D: append("\\r")
    case 0x09: append("\\t")
    default:
      append("\\u00")
      append(Self.hexDigit(byte >> 4))
      append(Self.hexDigit(byte & 15))
    }
  }

  private static func hexDigit(_ value: UInt8) -> UInt8 { value < 10 ? 0x30 + value : 0x57 + value }

  /// Length of the well-formed UTF-8 sequence of several bytes at `i` (Unicode, table 3-7); 0 if there is none.
  private static func sequenceLength(_ bytes: UnsafeRawBufferPointer, at i: Int) -> Int {
    let lead = bytes[i]
    let length: Int
    var low: UInt8 = 0x80
    var high: UInt8 = 0xBF
    switch lead {
    case 0xC2...0xDF: length = 2
    case 0xE0...0xEF:
      length = 3
      if lead == 0xE0 { low = 0xA0 }
      if lead == 0xED { high = 0x9F }
    case 0xF0...0xF4:
      length = 4
      if lead == 0xF0 { low = 0x90 }
      if lead == 0xF4 { high = 0x8F }
    default: return 0
    }
    guard i &+ length <= bytes.count, bytes[i &+ 1] >= low, bytes[i &+ 1] <= high else { return 0 }
    for k in 2..<max(length, 2) where bytes[i &+ k] & 0xC0 != 0x80 { return 0 }
    return length
  }
}
