import MeshCore

/// Reads one JSON text to its end.
///
/// Stricter than most readers, because two that disagree about one token are how tokens are forged: an object with two members of one
/// name is refused, so are comments, a byte order mark, text that is not UTF-8, and halves of surrogate pairs. Depth and
/// number of values are limited, so neither stack nor memory is a peer's to spend.
package struct JSONReader {
  private let input: UnsafeRawBufferPointer
  private var at = 0
  private var values = 0
  private let maximumDepth: Int
  private let maximumValues: Int

  private init(_ input: UnsafeRawBufferPointer, _ maximumDepth: Int, _ maximumValues: Int) {
    self.input = input
    self.maximumDepth = maximumDepth
    self.maximumValues = maximumValues
  }

  package static func read(
    _ input: UnsafeRawBufferPointer, maximumDepth: Int = TokenLimits.depth, maximumValues: Int = TokenLimits.values
  ) throws(JSONError) -> JSONValue {
    var reader = JSONReader(input, maximumDepth, maximumValues)
    let value = try reader.value(depth: 0)
    reader.skipSpace()
    guard reader.at == input.count else { throw .syntax }
    return value
  }

  package static func read(_ bytes: [UInt8]) throws(JSONError) -> JSONValue {
    let result: Result<JSONValue, JSONError> = bytes.withUnsafeBytes { input in
      do throws(JSONError) { return .success(try read(input)) } catch { return .failure(error) }
    }
    return try result.get()
  }

  // MARK: - Values

  private mutating func value(depth: Int) throws(JSONError) -> JSONValue {
    values += 1
    if values > maximumValues { throw .tooManyValues }
    skipSpace()
    guard at < input.count else { throw .syntax }
    switch input[at] {
    case UInt8(ascii: "{"): return .object(try members(depth: depth + 1))
    case UInt8(ascii: "["): return .array(try elements(depth: depth + 1))
    case UInt8(ascii: "\""): return .string(try string())
    case UInt8(ascii: "t"): return try word("true", .bool(true))
    case UInt8(ascii: "f"): return try word("false", .bool(false))
    case UInt8(ascii: "n"): return try word("null", .null)
    default: return .number(try number())
    }
  }

  private mutating func members(depth: Int) throws(JSONError) -> [JSONValue.Member] {
    if depth > maximumDepth { throw .tooDeep }
    at += 1
    var members: [JSONValue.Member] = []
    var names: Set<[UInt8]> = []
    if take("}") { return members }
    repeat {
      skipSpace()
      guard at < input.count, input[at] == UInt8(ascii: "\"") else { throw .syntax }
      let name = try string()
      guard names.insert(name).inserted else { throw .duplicateName }
      guard take(":") else { throw .syntax }
      members.append(JSONValue.Member(name: name, value: try value(depth: depth)))
    } while take(",")
    guard take("}") else { throw .syntax }
    return members
  }

  private mutating func elements(depth: Int) throws(JSONError) -> [JSONValue] {
    if depth > maximumDepth { throw .tooDeep }
    at += 1
    var elements: [JSONValue] = []
    if take("]") { return elements }
    repeat { elements.append(try value(depth: depth)) } while take(",")
    guard take("]") else { throw .syntax }
    return elements
  }

  private mutating func word(_ word: StaticString, _ value: JSONValue) throws(JSONError) -> JSONValue {
    let length = word.utf8CodeUnitCount
    guard at + length <= input.count, input.slice(at, length).equals(word) else { throw .syntax }
    at += length
    return value
  }

  private mutating func number() throws(JSONError) -> [UInt8] {
    let start = at
    if peek == UInt8(ascii: "-") { at += 1 }
    let whole = digits()
    // No zero in front of other digits.
    guard whole > 0, whole == 1 || input[at - whole] != UInt8(ascii: "0") else { throw .syntax }
    if peek == UInt8(ascii: ".") {
      at += 1
      guard digits() > 0 else { throw .syntax }
    }
    if let letter = peek, letter | 0x20 == UInt8(ascii: "e") {
      at += 1
      if let sign = peek, sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-") { at += 1 }
      guard digits() > 0 else { throw .syntax }
    }
    return Array(input[start..<at])
  }

  private mutating func digits() -> Int {
    let start = at
    while let byte = peek, byte &- 0x30 < 10 { at += 1 }
    return at - start
  }

  // MARK: - Text

  private mutating func string() throws(JSONError) -> [UInt8] {
    at += 1
    var text: [UInt8] = []
    while at < input.count {
      let byte = input[at]
      switch byte {
      case UInt8(ascii: "\""):
        at += 1
        guard String(validating: text, as: UTF8.self) != nil else { throw .invalidText }
        return text
      case UInt8(ascii: "\\"): try escape(into: &text)
      case 0..<0x20: throw .syntax
      default:
        text.append(byte)
        at += 1
      }
    }
    throw .syntax
  }

  private mutating func escape(into text: inout [UInt8]) throws(JSONError) {
    guard at + 1 < input.count else { throw .syntax }
    let letter = input[at + 1]
    at += 2
    switch letter {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(letter)
    case UInt8(ascii: "b"): text.append(0x08)
    case UInt8(ascii: "f"): text.append(0x0C)
    case UInt8(ascii: "n"): text.append(0x0A)
    case UInt8(ascii: "r"): text.append(0x0D)
    case UInt8(ascii: "t"): text.append(0x09)
    case UInt8(ascii: "u"): text += try scalar().utf8Bytes
    default: throw .syntax
    }
  }

  private mutating func scalar() throws(JSONError) -> Unicode.Scalar {
    let first = try hexWord()
    if let scalar = Unicode.Scalar(first) { return scalar }
    guard 0xD800..<0xDC00 ~= first, at + 1 < input.count, input[at] == UInt8(ascii: "\\"),
      input[at + 1] == UInt8(ascii: "u")
    else { throw .invalidText }
    at += 2
    let second = try hexWord()
    guard 0xDC00..<0xE000 ~= second,
      let scalar = Unicode.Scalar(0x10000 + (first - 0xD800) << 10 + (second - 0xDC00))
    else { throw .invalidText }
    return scalar
  }

  private mutating func hexWord() throws(JSONError) -> UInt32 {
    guard at + 4 <= input.count else { throw .syntax }
    var word: UInt32 = 0
    for _ in 0..<4 {
      let letter = input[at] | 0x20
      let digit: UInt8
      switch letter {
      case UInt8(ascii: "0")...UInt8(ascii: "9") where input[at] >= 0x30: digit = letter - 0x30
      case UInt8(ascii: "a")...UInt8(ascii: "f"): digit = letter - 0x57
      default: throw .syntax
      }
      word = word << 4 | UInt32(digit)
      at += 1
    }
    return word
  }

  // MARK: - Bytes

  private var peek: UInt8? { at < input.count ? input[at] : nil }

  private mutating func skipSpace() {
    while let byte = peek, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { at += 1 }
  }

  private mutating func take(_ character: Unicode.Scalar) -> Bool {
    skipSpace()
    guard peek == UInt8(ascii: character) else { return false }
    at += 1
    return true
  }
}

extension Unicode.Scalar {
  fileprivate var utf8Bytes: [UInt8] { Array(UTF8.encode(self) ?? UTF8.encodedReplacementCharacter) }
}
