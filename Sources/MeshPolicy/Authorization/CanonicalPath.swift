import MeshCore

/// The one form of a path that rules are matched against and that the application gets, so that both mean the same.
///
/// Percent-encoded characters that a path may hold as they are, are decoded; others keep their encoding, in upper case; raw characters that
/// no path may hold get it. Elements `.` and `..` are resolved, slashes in a row are one (RFC 3986, section 6.2.2, and what file systems
/// and frameworks do). Refused is what some applications read in another way than others: an encoded slash or backslash, a backslash, a
/// semicolon (path parameters), a control character or NUL, an encoding that is broken, double, or not of valid UTF-8
/// (RFC 3629, section 3: overlong), and a way out of the root. Letter case is part of a path. The query stays as it is.
package enum CanonicalPath: Hashable, Sendable {
  /// It is canonical.
  case unchanged
  case rewritten([UInt8])
  case refused(Problem)

  package enum Problem: String, Hashable, Sendable, CaseIterable {
    case notAbsolute = "no_absolute_path"
    case brokenEncoding = "broken_percent_encoding"
    case doubleEncoding = "double_percent_encoding"
    case encodedSlash = "encoded_slash"
    case backslash
    case pathParameter = "semicolon"
    case controlCharacter = "control_character"
    case invalidUTF8 = "invalid_utf8"
    case aboveRoot = "above_root"
  }

  /// `target` is a path with its query, or the `*` of OPTIONS.
  package static func of(_ target: UnsafeRawBufferPointer) -> CanonicalPath {
    if isPlain(target) || target.equals("*") { return .unchanged }
    do throws(Problem) {
      let path = target.prefix { $0 != UInt8(ascii: "?") }
      let decoded = try decode(UnsafeRawBufferPointer(rebasing: path))
      var result = try resolve(decoded)
      result += target[path.count...]
      let isSame = result.withUnsafeBytes { $0.equals(target) }
      return isSame ? .unchanged : .rewritten(result)
    } catch {
      return .refused(error)
    }
  }

  /// Whether a text of a policy is a path that a request's can be equal to.
  package static func isCanonical(_ path: String) -> Bool {
    Array(path.utf8).withUnsafeBytes {
      $0.first == UInt8(ascii: "/") && !$0.contains(UInt8(ascii: "?")) && of($0) == .unchanged
    }
  }

  /// The form in which a text of a policy would be canonical; nil where there is none.
  package static func canonical(_ path: String) -> String? {
    guard !path.contains("?"), case .rewritten(let bytes) = Array(path.utf8).withUnsafeBytes({ of($0) }) else {
      return nil
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// Most paths: nothing in it asks for a second look. One pass, no allocation.
  private static func isPlain(_ target: UnsafeRawBufferPointer) -> Bool {
    guard target.first == UInt8(ascii: "/") else { return false }
    var last = UInt8(ascii: "/")
    for i in 1..<max(1, target.count) {
      let byte = target[i]
      if byte == UInt8(ascii: "?") { return true }
      if !isPathCharacter(byte) && byte != UInt8(ascii: "/") { return false }
      if last == UInt8(ascii: "/"), byte == UInt8(ascii: "/") || byte == UInt8(ascii: ".") { return false }
      last = byte
    }
    return true
  }

  // MARK: - Characters

  private static func decode(_ path: UnsafeRawBufferPointer) throws(Problem) -> [UInt8] {
    guard path.first == UInt8(ascii: "/") else { throw .notAbsolute }
    var result: [UInt8] = []
    result.reserveCapacity(path.count + 16)
    // Decoded bytes past ASCII in a row.
    var text: [UInt8] = []
    var i = 0
    while i < path.count {
      var byte = path[i]
      i += 1
      if byte == UInt8(ascii: "/") {
        result.append(byte)
        continue
      }
      if byte == UInt8(ascii: "%") {
        guard let value = encoded(path, at: i) else { throw .brokenEncoding }
        byte = value
        i += 2
        if byte == UInt8(ascii: "/") { throw .encodedSlash }
      }
      if byte < 0x20 || byte == 0x7F { throw .controlCharacter }
      if byte == UInt8(ascii: "\\") { throw .backslash }
      if byte == UInt8(ascii: ";") { throw .pathParameter }
      if isPathCharacter(byte) { result.append(byte) } else { appendEncoded(byte, to: &result) }
      if byte >= 0x80 {
        text.append(byte)
        // A sequence goes on only in the next encoding, or raw byte.
        if i < path.count, path[i] == UInt8(ascii: "%"), let next = encoded(path, at: i + 1), next >= 0x80 { continue }
        if i < path.count, path[i] >= 0x80 { continue }
        guard String(validating: text, as: UTF8.self) != nil else { throw .invalidUTF8 }
        text.removeAll(keepingCapacity: true)
      }
    }
    // Now, since the digits may have been encoded themselves.
    if hasEncodedEncoding(result) { throw .doubleEncoding }
    return result
  }

  /// `%25` with two digits behind it: who decodes twice reads another path.
  private static func hasEncodedEncoding(_ path: [UInt8]) -> Bool {
    path.withUnsafeBytes { path in
      for i in path.indices where path[i] == UInt8(ascii: "%") && encoded(path, at: i + 1) == UInt8(ascii: "%") {
        if encoded(path, at: i + 3) != nil { return true }
      }
      return false
    }
  }

  /// The byte whose two digits stand at `index`.
  private static func encoded(_ path: UnsafeRawBufferPointer, at index: Int) -> UInt8? {
    guard index + 1 < path.count, let high = digit(path[index]), let low = digit(path[index + 1]) else { return nil }
    return high << 4 | low
  }

  private static func digit(_ byte: UInt8) -> UInt8? {
    switch byte {
    case 0x30...0x39: byte - 0x30
    case 0x41...0x46: byte - 0x41 + 10
    case 0x61...0x66: byte - 0x61 + 10
    default: nil
    }
  }

  private static func appendEncoded(_ byte: UInt8, to result: inout [UInt8]) {
    func hex(_ value: UInt8) -> UInt8 { value < 10 ? 0x30 + value : 0x41 + value - 10 }
    result += [UInt8(ascii: "%"), hex(byte >> 4), hex(byte & 15)]
  }

  /// `pchar` of RFC 3986 without the percent sign and the semicolon, as a set of bits.
  private static func isPathCharacter(_ byte: UInt8) -> Bool {
    guard byte < 0x80 else { return false }
    // ! $ & ' ( ) * + , - . 0-9 : =  and  @ A-Z _ a-z ~
    let set: (UInt64, UInt64) = (0x27FF_7FD2_0000_0000, 0x47FF_FFFE_87FF_FFFF)
    return (byte < 64 ? set.0 >> UInt64(byte) : set.1 >> UInt64(byte - 64)) & 1 == 1
  }

  // MARK: - Elements

  private static func resolve(_ path: [UInt8]) throws(Problem) -> [UInt8] {
    var elements: [ArraySlice<UInt8>] = []
    var endsWithSlash = false
    for element in path.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false) {
      endsWithSlash = true
      if element.isEmpty || element.elementsEqual([UInt8(ascii: ".")]) { continue }
      if element.elementsEqual([UInt8(ascii: "."), UInt8(ascii: ".")]) {
        guard elements.popLast() != nil else { throw .aboveRoot }
        continue
      }
      elements.append(element)
      endsWithSlash = false
    }
    var result: [UInt8] = []
    result.reserveCapacity(path.count)
    for element in elements {
      result.append(UInt8(ascii: "/"))
      result += element
    }
    if endsWithSlash { result.append(UInt8(ascii: "/")) }
    return result
  }
}

extension CanonicalPath.Problem: Error {}
