package import MeshCore

/// What a client of a session brings back: which endpoint, since when, and when it was last there.
///
/// 24 bytes, written as 32 characters of base64url (RFC 4648, section 5): two times in seconds since 1970, a keyed hash that stands for
/// the endpoint, and a keyed hash of all of it. So a token shows nobody an address, and one that the mesh did not make, or that
/// was made for another rule, is none. It names an endpoint of the rule's backends or nothing: there is no way to point a
/// proxy elsewhere.
package struct SessionToken: Hashable, Sendable {
  package static let characters = 32
  private static let bytes = 24

  /// Seconds since 1970, to the year 2106.
  package var began: UInt32
  package var used: UInt32
  package var endpoint: UInt64

  package init(began: UInt32, used: UInt32, endpoint: UInt64) {
    self.began = began
    self.used = used
    self.endpoint = endpoint
  }

  // MARK: - Endpoints

  /// What stands for an endpoint of a backend: the same in every proxy that has the key. An endpoint that serves two backends of
  /// a rule has a session with each.
  package static func tag(of address: SocketAddress, in backend: ServicePort, _ key: SipKey) -> UInt64 {
    var bytes: [UInt8] = [Domain.endpoint]
    for word in [address.high, address.low] { bytes.append(word, count: 8) }
    bytes.append(UInt64(address.port), count: 2)
    bytes += "\(backend)".utf8
    return bytes.withUnsafeBytes { key.hash($0) }
  }

  // MARK: - Text

  /// Nil for what `key` has not sealed.
  package init?(_ text: UnsafeRawBufferPointer, _ key: SipKey) {
    guard text.count == Self.characters else { return nil }
    let token: SessionToken? = withUnsafeTemporaryAllocation(byteCount: Self.bytes, alignment: 8) { bytes in
      for (group, place) in stride(from: 0, to: Self.characters, by: 4).enumerated() {
        var word: UInt32 = 0
        for i in place..<(place + 4) {
          guard let digit = Self.digit(text[i]) else { return nil }
          word = word << 6 | digit
        }
        for i in 0..<3 { bytes[group * 3 + i] = UInt8(truncatingIfNeeded: word >> UInt32(16 - 8 * i)) }
      }
      let token = SessionToken(
        began: bytes.loadUnaligned(as: UInt32.self).bigEndian,
        used: bytes.loadUnaligned(fromByteOffset: 4, as: UInt32.self).bigEndian,
        endpoint: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self).bigEndian)
      let seal = bytes.loadUnaligned(fromByteOffset: 16, as: UInt64.self).bigEndian
      return token.seal(key) == seal ? token : nil
    }
    guard let token else { return nil }
    self = token
  }

  package func text(_ key: SipKey) -> String {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(Self.bytes)
    bytes.append(UInt64(began), count: 4)
    bytes.append(UInt64(used), count: 4)
    bytes.append(endpoint, count: 8)
    bytes.append(seal(key), count: 8)
    return String(unsafeUninitializedCapacity: Self.characters) { text in
      for group in 0..<(Self.bytes / 3) {
        let word =
          UInt32(bytes[group * 3]) << 16 | UInt32(bytes[group * 3 + 1]) << 8 | UInt32(bytes[group * 3 + 2])
        for i in 0..<4 { text[group * 4 + i] = Self.character(word >> UInt32(18 - 6 * i) & 63) }
      }
      return Self.characters
    }
  }

  private func seal(_ key: SipKey) -> UInt64 {
    withUnsafeTemporaryAllocation(byteCount: 17, alignment: 8) { bytes in
      bytes[0] = Domain.token
      bytes.storeBytes(of: began.bigEndian, toByteOffset: 1, as: UInt32.self)
      bytes.storeBytes(of: used.bigEndian, toByteOffset: 5, as: UInt32.self)
      bytes.storeBytes(of: endpoint.bigEndian, toByteOffset: 9, as: UInt64.self)
      return key.hash(UnsafeRawBufferPointer(bytes))
    }
  }

  /// One key hashes two kinds of things: the first byte keeps them apart.
  private enum Domain {
    static let endpoint: UInt8 = 1
    static let token: UInt8 = 2
  }

  private static func character(_ digit: UInt32) -> UInt8 {
    let digit = UInt8(truncatingIfNeeded: digit)
    switch digit {
    case 0..<26: return UInt8(ascii: "A") + digit
    case 26..<52: return UInt8(ascii: "a") + digit - 26
    case 52..<62: return UInt8(ascii: "0") + digit - 52
    case 62: return UInt8(ascii: "-")
    default: return UInt8(ascii: "_")
    }
  }

  private static func digit(_ character: UInt8) -> UInt32? {
    switch character {
    case UInt8(ascii: "A")...UInt8(ascii: "Z"): UInt32(character - UInt8(ascii: "A"))
    case UInt8(ascii: "a")...UInt8(ascii: "z"): UInt32(character - UInt8(ascii: "a") + 26)
    case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(character - UInt8(ascii: "0") + 52)
    case UInt8(ascii: "-"): 62
    case UInt8(ascii: "_"): 63
    default: nil
    }
  }
}

extension [UInt8] {
  /// The lowest `count` bytes of `number`, the highest of them first.
  fileprivate mutating func append(_ number: UInt64, count: Int) {
    for i in (0..<count).reversed() { append(UInt8(truncatingIfNeeded: number >> UInt64(8 * i))) }
  }
}
