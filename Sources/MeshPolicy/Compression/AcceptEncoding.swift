import MeshCore
package import MeshHTTP

/// What a client says of content codings (RFC 9110, section 12.5.3).
package enum AcceptEncoding {
  /// Whether it takes gzip, and does not want the plain form more. Without the field it was not asked.
  package static func wantsGzip(_ request: MessageHead) -> Bool {
    var weights = Weights()
    for field in request.fields where field.token == .acceptEncoding && !field.isRemoved {
      weights.read(request.bytes(field.value))
    }
    // `*` is what is not named; the plain form needs no name to be taken, and is then what remains.
    let gzip = weights.gzip ?? weights.any ?? 0
    return gzip > 0 && gzip >= weights.identity ?? 0
  }

  private struct Weights {
    /// Thousandths; nil: not named.
    var gzip: Int?
    var identity: Int?
    var any: Int?

    mutating func read(_ value: UnsafeRawBufferPointer) {
      var rest = value
      while !rest.isEmpty {
        let end = rest.firstIndex(of: UInt8(ascii: ",")) ?? rest.count
        read(element: rest.slice(0, end))
        rest = end < rest.count ? rest.slice(end + 1, rest.count - end - 1) : rest.slice(rest.count, 0)
      }
    }

    private mutating func read(element: UnsafeRawBufferPointer) {
      let end = element.firstIndex(of: UInt8(ascii: ";")) ?? element.count
      let name = element.slice(0, end).trimmed
      let weight = AcceptEncoding.weight(end < element.count ? element.slice(end + 1, element.count - end - 1) : nil)
      if name.equalsIgnoringCase("gzip") || name.equalsIgnoringCase("x-gzip") {
        gzip = max(gzip ?? 0, weight)
      } else if name.equalsIgnoringCase("identity") {
        identity = weight
      } else if name.equals("*") {
        any = weight
      }
    }
  }

  /// `q=0.5` in thousandths; 1000 without it, 0 for what cannot be read: who writes nonsense gets the plain form.
  private static func weight(_ parameter: UnsafeRawBufferPointer?) -> Int {
    guard let text = parameter?.trimmed else { return 1_000 }
    guard text.count >= 3, text[0] | 0x20 == UInt8(ascii: "q"), text[1] == UInt8(ascii: "=") else { return 0 }
    let digits = text.slice(2, text.count - 2).trimmed
    guard (1...5).contains(digits.count), digits[0] == UInt8(ascii: "0") || digits[0] == UInt8(ascii: "1") else {
      return 0
    }
    var (weight, unit) = (Int(digits[0] & 1) * 1_000, 100)
    for (index, byte) in digits.enumerated().dropFirst() {
      if index == 1 {
        guard byte == UInt8(ascii: ".") else { return 0 }
      } else {
        guard byte &- 0x30 < 10 else { return 0 }
        weight += Int(byte &- 0x30) * unit
        unit /= 10
      }
    }
    return weight <= 1_000 ? weight : 0
  }
}

extension UnsafeRawBufferPointer {
  /// Without blanks at the ends.
  var trimmed: UnsafeRawBufferPointer {
    var (start, end) = (0, count)
    while start < end, self[start] == 0x20 || self[start] == 0x09 { start += 1 }
    while end > start, self[end - 1] == 0x20 || self[end - 1] == 0x09 { end -= 1 }
    return slice(start, end - start)
  }
}
