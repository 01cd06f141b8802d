package import MeshHTTP

/// What becomes of the parameters in a request's query.
package struct QueryChanges: Equatable, Sendable {
  package struct Parameter: Equatable, Sendable {
    package var name: [UInt8]
    package var value: [UInt8]

    package init(name: [UInt8], value: [UInt8]) {
      self.name = name
      self.value = value
    }
  }

  /// In place of all that are there of the name, or behind the others.
  package var set: [Parameter] = []
  package var removals: [[UInt8]] = []

  package init() {}

  package func apply(to head: MessageHead) {
    guard !set.isEmpty || !removals.isEmpty else { return }
    let path = Array(head.bytes(head.path))
    let mark = path.firstIndex(of: UInt8(ascii: "?")) ?? path.endIndex
    let gone = set.map(\.name) + removals
    var parameters = path[mark...].dropFirst().split(separator: UInt8(ascii: "&")).filter { parameter in
      !gone.contains(Self.decoded(parameter.prefix { $0 != UInt8(ascii: "=") }))
    }
    for parameter in set {
      parameters.append((Self.encoded(parameter.name) + [UInt8(ascii: "=")] + Self.encoded(parameter.value))[...])
    }
    var result = Array(path[..<mark])
    if !parameters.isEmpty { result += [UInt8(ascii: "?")] + parameters.joined(separator: [UInt8(ascii: "&")]) }
    head.path = result.withUnsafeBytes { head.intern($0) }
  }

  /// A name as applications read it: `+` is a blank, `%41` an `A`. Otherwise a parameter in another spelling would stay.
  private static func decoded(_ text: ArraySlice<UInt8>) -> [UInt8] {
    var result: [UInt8] = []
    var rest = text
    while let byte = rest.popFirst() {
      if byte == UInt8(ascii: "+") {
        result.append(0x20)
      } else if byte == UInt8(ascii: "%"), let high = rest.first?.hexDigit, let low = rest.dropFirst().first?.hexDigit {
        result.append(high << 4 | low)
        rest = rest.dropFirst(2)
      } else {
        result.append(byte)
      }
    }
    return result
  }

  /// Everything but the unreserved characters of RFC 3986, section 2.3, as `%XX`.
  private static func encoded(_ text: [UInt8]) -> [UInt8] {
    let digits = Array("0123456789ABCDEF".utf8)
    return text.flatMap { byte -> [UInt8] in
      switch byte {
      case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F, 0x7E: [byte]
      default: [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
      }
    }
  }
}

extension UInt8 {
  fileprivate var hexDigit: UInt8? {
    switch self {
    case 0x30...0x39: self - 0x30
    case 0x41...0x46, 0x61...0x66: (self | 0x20) - 0x57
    default: nil
    }
  }
}
