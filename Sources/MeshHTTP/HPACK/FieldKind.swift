import MeshCore

/// What a decoded field name is: a `HeaderToken`, a pseudo-header field, or malformed.
///
/// It is worked out once, when a literal arrives, and kept with the dynamic table entry: an indexed field costs no
/// look-up.
package struct FieldKind: Equatable, Sendable {
  let rawValue: UInt8

  static let method = FieldKind(rawValue: 240)
  static let path = FieldKind(rawValue: 241)
  static let scheme = FieldKind(rawValue: 242)
  static let authority = FieldKind(rawValue: 243)
  static let status = FieldKind(rawValue: 244)
  static let connectProtocol = FieldKind(rawValue: 245)
  static let unknownPseudo = FieldKind(rawValue: 246)
  /// Empty, upper-case letters, or a byte that no field name has (RFC 9113, section 8.2.1).
  static let malformed = FieldKind(rawValue: 255)

  /// The kind alone tells the name; otherwise its bytes must be compared.
  var isNameKnown: Bool { rawValue != 0 && rawValue < FieldKind.unknownPseudo.rawValue }

  var isPseudo: Bool { rawValue >= 240 && rawValue < 255 }

  /// The token of an ordinary field.
  package var token: HeaderToken { HeaderToken(rawValue: rawValue) ?? .other }

  init(rawValue: UInt8) { self.rawValue = rawValue }

  package init(name: UnsafeRawBufferPointer) {
    guard name.count > 0 else {
      self = .malformed
      return
    }
    if name[0] == 0x3A {
      self = Self.pseudo(name)
      return
    }
    for byte in name where !FieldBytes.isName(byte) {
      self = .malformed
      return
    }
    self.init(rawValue: HeaderToken.lookup(name).rawValue)
  }

  private static func pseudo(_ name: UnsafeRawBufferPointer) -> FieldKind {
    if name.equals(":method") { return .method }
    if name.equals(":path") { return .path }
    if name.equals(":scheme") { return .scheme }
    if name.equals(":authority") { return .authority }
    if name.equals(":status") { return .status }
    if name.equals(":protocol") { return .connectProtocol }
    return .unknownPseudo
  }
}

/// Byte classes of field names and values (RFC 9110, section 5; RFC 9113, section 8.2.1).
enum FieldBytes {
  /// Bit n of word n / 64: a `tchar` that is no upper-case letter.
  private static let name: (UInt64, UInt64) = (0x03FF_6CFA_0000_0000, 0x57FF_FFFF_C000_0000)

  @inline(__always) static func isName(_ byte: UInt8) -> Bool {
    guard byte < 128 else { return false }
    let word = byte < 64 ? name.0 : name.1
    return (word &>> UInt64(byte & 63)) & 1 == 1
  }

  /// Field content without control characters and without white space at its ends.
  static func isValue(_ value: UnsafeRawBufferPointer) -> Bool {
    guard let first = value.first, let last = value.last else { return true }
    if first == 0x20 || first == 0x09 || last == 0x20 || last == 0x09 { return false }
    for byte in value where (byte < 0x20 && byte != 0x09) || byte == 0x7F { return false }
    return true
  }
}
