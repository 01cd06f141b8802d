import MeshCore
import MeshHTTP

/// Bytes from hexadecimal digits; white space is skipped.
func hex(_ digits: String) -> [UInt8] {
  let digits = digits.filter(\.isHexDigit).compactMap(\.hexDigitValue)
  return stride(from: 0, to: digits.count - 1, by: 2).map { UInt8(digits[$0] * 16 + digits[$0 + 1]) }
}

/// The fields of `block` as "name: value" lines, or the failure's reason.
func decode(_ block: [UInt8], with decoder: inout HPACKDecoder) -> [String] {
  var lines: [String] = []
  block.withUnsafeBytes { bytes in
    decoder.begin(bytes)
    while true {
      switch decoder.next() {
      case .field(let field): lines.append(field.name.string + ": " + field.value.string)
      case .end: return
      case .failure(let reason): return lines.append("failure: \(reason)")
      }
    }
  }
  return lines
}

func encode(_ lines: [String], with encoder: inout HPACKEncoder) -> [UInt8] {
  let room = UnsafeMutableRawPointer.allocate(byteCount: 1 << 18, alignment: 1)
  defer { room.deallocate() }
  var out = encoder.begin(room)
  for line in lines {
    let split = line.range(of: ": ")
    var name = String(line[..<split.lowerBound])
    var value = String(line[split.upperBound...])
    out = name.withUTF8 { name in
      value.withUTF8 { value in
        let name = UnsafeRawBufferPointer(name)
        return encoder.encode(
          FieldKind(name: name), name: name, value: UnsafeRawBufferPointer(value), isNeverIndexed: false, to: out)
      }
    }
  }
  return [UInt8](UnsafeRawBufferPointer(start: room, count: out - room))
}

extension String {
  /// The first place of `separator` after the first character, so that pseudo-header names stay whole.
  func range(of separator: String) -> Range<Index> {
    var at = index(after: startIndex)
    while !self[at...].hasPrefix(separator) { at = index(after: at) }
    return at..<index(at, offsetBy: separator.count)
  }
}
