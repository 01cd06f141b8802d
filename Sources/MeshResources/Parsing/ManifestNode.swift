/// A YAML value with its place in the file, aliases and merge keys resolved.
struct ManifestNode {
  indirect enum Value {
    case null
    case bool(Bool)
    /// The text of a plain scalar that reads as a number.
    case number(String)
    case string(String)
    case sequence([ManifestNode])
    case mapping([Entry])
  }

  struct Entry {
    var key: String
    var line: Int
    var column: Int
    var value: ManifestNode
  }

  var value: Value
  var line: Int
  var column: Int

  var isNull: Bool { if case .null = value { true } else { false } }

  /// What the value is, for messages: `the number 80`, `a list`.
  var kindDescription: String {
    switch value {
    case .null: "empty"
    case .bool(let bool): "the boolean \(bool)"
    case .number(let text): "the number \(text)"
    case .string: "text"
    case .sequence: "a list"
    case .mapping: "a mapping"
    }
  }

  subscript(key: String) -> ManifestNode? {
    guard case .mapping(let entries) = value else { return nil }
    return entries.first { $0.key == key }?.value
  }

  var text: String? { if case .string(let text) = value { text } else { nil } }
}

/// Why a document could not be read as a tree of values.
struct ManifestSyntaxError: Error {
  var line: Int
  var column: Int
  var message: String
  var fix = ""
}
