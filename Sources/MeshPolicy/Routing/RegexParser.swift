/// The syntax tree of a pattern.
indirect enum RegexNode {
  case empty
  case byte(UInt8)
  case set(ByteSet)
  case start
  case end
  case sequence([RegexNode])
  case choice([RegexNode])
  /// `maximum` nil: no upper bound.
  case repetition(RegexNode, minimum: Int, maximum: Int?)
}

/// Recursive-descent parser of `LinearRegex`'s syntax. Depth is bounded by `maximumNesting`.
struct RegexParser {
  private let pattern: String
  private let bytes: [UInt8]
  private var at = 0
  private var depth = 0

  init(_ pattern: String) {
    self.pattern = pattern
    bytes = Array(pattern.utf8)
  }

  mutating func parse() throws(RegexError) -> RegexNode {
    guard bytes.count <= LinearRegex.maximumPatternBytes else {
      throw error("longer than \(LinearRegex.maximumPatternBytes) bytes")
    }
    let node = try choice()
    guard at == bytes.count else { throw error("unmatched \")\"; write \"\\)\" for the character") }
    return node
  }

  private var peek: UInt8? { at < bytes.count ? bytes[at] : nil }

  private func error(_ reason: String) -> RegexError { RegexError(pattern: pattern, offset: at, reason: reason) }

  private mutating func take(_ byte: UInt8) -> Bool {
    guard peek == byte else { return false }
    at += 1
    return true
  }

  private mutating func choice() throws(RegexError) -> RegexNode {
    var options = [try sequence()]
    while take(UInt8(ascii: "|")) { options.append(try sequence()) }
    return options.count == 1 ? options[0] : .choice(options)
  }

  private mutating func sequence() throws(RegexError) -> RegexNode {
    var parts: [RegexNode] = []
    while let byte = peek, byte != UInt8(ascii: "|"), byte != UInt8(ascii: ")") {
      let atom = try atom()
      parts.append(try quantified(atom))
    }
    return parts.isEmpty ? .empty : parts.count == 1 ? parts[0] : .sequence(parts)
  }

  private mutating func quantified(_ atom: RegexNode) throws(RegexError) -> RegexNode {
    let bounds: (Int, Int?)
    switch peek {
    case UInt8(ascii: "*"):
      bounds = (0, nil)
      at += 1
    case UInt8(ascii: "+"):
      bounds = (1, nil)
      at += 1
    case UInt8(ascii: "?"):
      bounds = (0, 1)
      at += 1
    case UInt8(ascii: "{"): bounds = try counts()
    default: return atom
    }
    switch atom {
    case .start, .end: throw error("nothing to repeat")
    default: break
    }
    _ = take(UInt8(ascii: "?"))
    if let byte = peek, byte == UInt8(ascii: "*") || byte == UInt8(ascii: "+") || byte == UInt8(ascii: "{") {
      throw error("a repeat of a repeat; use a group")
    }
    return .repetition(atom, minimum: bounds.0, maximum: bounds.1)
  }

  private mutating func counts() throws(RegexError) -> (Int, Int?) {
    at += 1
    let minimum = try number()
    var maximum: Int? = minimum
    if take(UInt8(ascii: ",")) {
      maximum = peek == UInt8(ascii: "}") ? nil : try number()
    }
    guard take(UInt8(ascii: "}")) else { throw error("expected \"}\"; write \"\\{\" for the character") }
    if let maximum, maximum < minimum {
      throw error("a repeat {\(minimum),\(maximum)} with its bounds in the wrong order")
    }
    return (minimum, maximum)
  }

  private mutating func number() throws(RegexError) -> Int {
    var value = 0
    let start = at
    while let byte = peek, (0x30...0x39).contains(byte) {
      value = value * 10 + Int(byte - 0x30)
      guard value <= LinearRegex.maximumRepeat else { throw error("a repeat above \(LinearRegex.maximumRepeat)") }
      at += 1
    }
    guard at > start else { throw error("expected a number; write \"\\{\" for the character") }
    return value
  }

  private mutating func atom() throws(RegexError) -> RegexNode {
    let byte = bytes[at]
    switch byte {
    case UInt8(ascii: "*"), UInt8(ascii: "+"), UInt8(ascii: "?"), UInt8(ascii: "{"): throw error("nothing to repeat")
    case UInt8(ascii: "("): return try group()
    case UInt8(ascii: "["): return .set(try bracket())
    case UInt8(ascii: "\\"): return try escape()
    case UInt8(ascii: "."):
      at += 1
      return .set(.all)
    case UInt8(ascii: "^"):
      at += 1
      return .start
    case UInt8(ascii: "$"):
      at += 1
      return .end
    case 0xC0...:
      // One character of several bytes repeats as a whole.
      let start = at
      at += 1
      while let next = peek, next & 0xC0 == 0x80 { at += 1 }
      return .sequence(bytes[start..<at].map { .byte($0) })
    default:
      at += 1
      return .byte(byte)
    }
  }

  private mutating func group() throws(RegexError) -> RegexNode {
    at += 1
    depth += 1
    guard depth <= LinearRegex.maximumNesting else {
      throw error("groups nested deeper than \(LinearRegex.maximumNesting)")
    }
    if take(UInt8(ascii: "?")) {
      guard take(UInt8(ascii: ":")) else { throw error("look-around, flags and named groups are not supported") }
    }
    let node = try choice()
    guard take(UInt8(ascii: ")")) else { throw error("missing \")\"") }
    depth -= 1
    return node
  }

  private mutating func escape() throws(RegexError) -> RegexNode {
    let set = try escapedSet()
    if let set { return .set(set) }
    return .byte(try escapedByte())
  }

  /// After a backslash: a class letter, which is taken; otherwise nothing is.
  private mutating func escapedSet() throws(RegexError) -> ByteSet? {
    guard at + 1 < bytes.count else { throw error("a backslash at the end") }
    let set: ByteSet
    switch bytes[at + 1] {
    case UInt8(ascii: "d"): set = .digits
    case UInt8(ascii: "D"): set = .digits.inverted
    case UInt8(ascii: "w"): set = .word
    case UInt8(ascii: "W"): set = .word.inverted
    case UInt8(ascii: "s"): set = .space
    case UInt8(ascii: "S"): set = .space.inverted
    default: return nil
    }
    at += 2
    return set
  }

  private mutating func escapedByte() throws(RegexError) -> UInt8 {
    let byte = bytes[at + 1]
    let value: UInt8
    switch byte {
    case UInt8(ascii: "n"): value = 0x0A
    case UInt8(ascii: "r"): value = 0x0D
    case UInt8(ascii: "t"): value = 0x09
    case 0x31...0x39: throw error("back-references are not supported")
    case 0x30, 0x41...0x5A, 0x61...0x7A, 0x80...:
      throw error("unknown escape \"\\\(Character(UnicodeScalar(byte)))\"")
    default: value = byte
    }
    at += 2
    return value
  }

  private mutating func bracket() throws(RegexError) -> ByteSet {
    at += 1
    var set = ByteSet()
    let isInverted = take(UInt8(ascii: "^"))
    var isFirst = true
    while true {
      guard let byte = peek else { throw error("missing \"]\"") }
      if byte == UInt8(ascii: "]") && !isFirst { break }
      isFirst = false
      if byte == UInt8(ascii: "["), at + 1 < bytes.count, bytes[at + 1] == UInt8(ascii: ":") {
        set.formUnion(try namedClass())
        continue
      }
      if byte == UInt8(ascii: "\\"), let escaped = try escapedSet() {
        set.formUnion(escaped)
        continue
      }
      let low = try bracketByte()
      if peek == UInt8(ascii: "-"), at + 1 < bytes.count, bytes[at + 1] != UInt8(ascii: "]") {
        at += 1
        let high = try bracketByte()
        guard low <= high else { throw error("a range with its bounds in the wrong order") }
        set.insert(low...high)
      } else {
        set.insert(low)
      }
    }
    at += 1
    return isInverted ? set.inverted : set
  }

  private mutating func bracketByte() throws(RegexError) -> UInt8 {
    guard let byte = peek else { throw error("missing \"]\"") }
    guard byte < 0x80 else { throw error("only ASCII characters can stand in a bracket expression") }
    if byte == UInt8(ascii: "\\") {
      guard at + 1 < bytes.count else { throw error("a backslash at the end") }
      return try escapedByte()
    }
    if byte == UInt8(ascii: "["), at + 1 < bytes.count, bytes[at + 1] == UInt8(ascii: ".") || bytes[at + 1] == 0x3D {
      throw error("collating elements are not supported")
    }
    at += 1
    return byte
  }

  private mutating func namedClass() throws(RegexError) -> ByteSet {
    let start = at + 2
    guard let colon = bytes[start...].firstIndex(of: UInt8(ascii: ":")), colon + 1 < bytes.count,
      bytes[colon + 1] == UInt8(ascii: "]")
    else { throw error("missing \":]\"") }
    let name = String(decoding: bytes[start..<colon], as: UTF8.self)
    guard let set = Self.classes[name] else { throw error("unknown class \"[:\(name):]\"") }
    at = colon + 2
    return set
  }

  private static let classes: [String: ByteSet] = [
    "alpha": ByteSet(0x41...0x5A, 0x61...0x7A),
    "digit": .digits,
    "alnum": ByteSet(0x30...0x39, 0x41...0x5A, 0x61...0x7A),
    "upper": ByteSet(0x41...0x5A),
    "lower": ByteSet(0x61...0x7A),
    "space": .space,
    "blank": ByteSet(0x09...0x09, 0x20...0x20),
    "punct": ByteSet(0x21...0x2F, 0x3A...0x40, 0x5B...0x60, 0x7B...0x7E),
    "print": ByteSet(0x20...0x7E),
    "graph": ByteSet(0x21...0x7E),
    "cntrl": ByteSet(0x00...0x1F, 0x7F...0x7F),
    "xdigit": ByteSet(0x30...0x39, 0x41...0x46, 0x61...0x66),
  ]
}
