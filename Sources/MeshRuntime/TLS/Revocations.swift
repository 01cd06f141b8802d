package import MeshCore

/// What is not believed any more although an anchor signed it.
package struct Revocations: Hashable, Sendable {
  /// PEM, one full list (RFC 5280, section 5) each, of issuers whose certificates peers show. They come from the controller, as the anchors do,
  /// whose word is what a proxy's trust rests on: their signatures have been verified there.
  package var lists: [String]
  package var identities: Set<SPIFFEID>
  /// Of certificates, leaves and issuers alike.
  package var serials: Set<SerialNumber>

  package init(lists: [String] = [], identities: Set<SPIFFEID> = [], serials: Set<SerialNumber> = []) {
    self.lists = lists
    self.identities = identities
    self.serials = serials
  }

  package var isEmpty: Bool { lists.isEmpty && identities.isEmpty && serials.isEmpty }
}

/// The serial number of a certificate: hexadecimal digits, as tools print them, whatever their case, with colons or without.
package struct SerialNumber: Hashable, Sendable, CustomStringConvertible {
  /// Big-endian, without leading zeros.
  let bytes: [UInt8]

  package init?(_ text: String) {
    var digits = text.utf8.filter { $0 != UInt8(ascii: ":") }
    guard !digits.isEmpty, digits.count <= 64 else { return nil }
    if !digits.count.isMultiple(of: 2) { digits.insert(UInt8(ascii: "0"), at: 0) }
    var bytes: [UInt8] = []
    for index in stride(from: 0, to: digits.count, by: 2) {
      guard let high = Self.value(digits[index]), let low = Self.value(digits[index + 1]) else { return nil }
      bytes.append(high << 4 | low)
    }
    self.init(bytes: bytes)
  }

  init(bytes: some Collection<UInt8>) { self.bytes = Array(bytes.drop { $0 == 0 }) }

  package var description: String {
    let digits = Array("0123456789ABCDEF".utf8)
    return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
  }

  private static func value(_ digit: UInt8) -> UInt8? {
    switch digit {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): digit - UInt8(ascii: "A") + 10
    default: nil
    }
  }
}
