/// A JSON text (RFC 8259) of a token or of a key set, as a tree. Text is bytes: well-formed UTF-8, escapes resolved.
package indirect enum JSONValue: Hashable, Sendable {
  case null
  case bool(Bool)
  /// As it is written.
  case number([UInt8])
  case string([UInt8])
  case array([JSONValue])
  /// In the order written; no two members have one name.
  case object([Member])

  package struct Member: Hashable, Sendable {
    package var name: [UInt8]
    package var value: JSONValue
  }

  /// The member of an object.
  package subscript(name: StaticString) -> JSONValue? {
    guard case .object(let members) = self else { return nil }
    return name.withUTF8Buffer { name in members.first { $0.name.elementsEqual(name) }?.value }
  }

  package var bytes: [UInt8]? { if case .string(let bytes) = self { bytes } else { nil } }

  package var isObject: Bool { if case .object = self { true } else { false } }

  /// A number with or without a fraction, at most a few thousand years of seconds away from zero.
  package var seconds: Double? {
    guard case .number(let text) = self, let number = Double(String(decoding: text, as: UTF8.self)),
      number.magnitude < 1e12
    else { return nil }
    return number
  }
}

/// Why a JSON text was refused.
package enum JSONError: Error, Hashable, Sendable {
  case syntax, tooDeep, tooManyValues, duplicateName, invalidText
}
