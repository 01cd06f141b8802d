/// A tree of values to print as JSON or YAML. Keys keep their order in YAML.
package indirect enum Document: Sendable, Equatable {
  case text(String)
  case number(Int64)
  case list([Document])
  case object([(key: String, value: Document)])

  package static func == (a: Document, b: Document) -> Bool {
    switch (a, b) {
    case (.text(let a), .text(let b)): a == b
    case (.number(let a), .number(let b)): a == b
    case (.list(let a), .list(let b)): a == b
    case (.object(let a), .object(let b)):
      a.count == b.count && zip(a, b).allSatisfy { $0.key == $1.key && $0.value == $1.value }
    default: false
    }
  }
}

extension Document: Encodable {
  private struct Key: CodingKey {
    var stringValue: String
    var intValue: Int? { nil }

    init(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { return nil }
  }

  package func encode(to encoder: any Encoder) throws {
    switch self {
    case .text(let text):
      var container = encoder.singleValueContainer()
      try container.encode(text)
    case .number(let number):
      var container = encoder.singleValueContainer()
      try container.encode(number)
    case .list(let values):
      var container = encoder.unkeyedContainer()
      for value in values { try container.encode(value) }
    case .object(let fields):
      var container = encoder.container(keyedBy: Key.self)
      for (key, value) in fields { try container.encode(value, forKey: Key(stringValue: key)) }
    }
  }
}

/// YAML in block style, two spaces a level, as `kubectl` prints it.
package enum YAMLText {
  package static func of(_ document: Document) -> String {
    lines(document).joined(separator: "\n") + "\n"
  }

  private static func lines(_ document: Document) -> [String] {
    switch document {
    case .text(let text): return [scalar(text)]
    case .number(let number): return ["\(number)"]
    case .list(let values):
      if values.isEmpty { return ["[]"] }
      return values.flatMap { value in
        lines(value).enumerated().map { ($0.offset == 0 ? "- " : "  ") + $0.element }
      }
    case .object(let fields):
      if fields.isEmpty { return ["{}"] }
      return fields.flatMap { field(scalar($0.key), $0.value) }
    }
  }

  private static func field(_ key: String, _ value: Document) -> [String] {
    switch value {
    case .list(let values) where !values.isEmpty: return ["\(key):"] + lines(value)
    case .object(let fields) where !fields.isEmpty: return ["\(key):"] + lines(value).map { "  \($0)" }
    default: return ["\(key): \(lines(value)[0])"]
    }
  }

  /// In quotes unless every reader of YAML takes the bare text for this text.
  private static func scalar(_ text: String) -> String {
    let isWord = text.utf8.allSatisfy { byte in
      (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
        || "-_./".utf8.contains(byte)
    }
    let hasLetter = text.utf8.first.map { (0x41...0x5A).contains($0) || (0x61...0x7A).contains($0) } ?? false
    let reserved = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"]
    if isWord, hasLetter, !reserved.contains(text.lowercased()) { return text }
    var quoted = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": quoted += "\\\""
      case "\\": quoted += "\\\\"
      case "\n": quoted += "\\n"
      case "\t": quoted += "\\t"
      case _ where scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value):
        let digits = String(scalar.value, radix: 16)
        quoted += "\\x" + String(repeating: "0", count: 2 - digits.count) + digits
      default: quoted.unicodeScalars.append(scalar)
      }
    }
    return quoted + "\""
  }
}
