/// Collects what is wrong with one object while it is decoded. Used by one call only.
final class DecodingContext {
  let file: String
  /// `HTTPRoute shop/orders`, as far as known.
  let object: String
  let key: ResourceKey?
  private(set) var problems: [ManifestProblem] = []

  init(file: String, object: String, key: ResourceKey?) {
    self.file = file
    self.object = object
    self.key = key
  }

  var hasErrors: Bool { problems.contains { $0.severity == .error } }

  func report(
    line: Int, column: Int, field: String, _ message: String, fix: String,
    severity: ManifestProblem.Severity = .error, reason: ManifestProblem.Reason = .unsupportedValue
  ) {
    problems.append(
      ManifestProblem(
        position: ManifestPosition(file: file, line: line, column: column), object: object, field: field,
        message: message, fix: fix, severity: severity, reason: reason, key: key))
  }
}

/// One value of an object and its path, such as `spec.rules[0].matches`. The typed accessors report what they refuse.
struct Field {
  let context: DecodingContext
  let path: String
  let node: ManifestNode

  func error(_ message: String, fix: String = "", reason: ManifestProblem.Reason = .unsupportedValue) {
    context.report(line: node.line, column: node.column, field: path, message, fix: fix, reason: reason)
  }

  func warning(_ message: String, fix: String = "") {
    context.report(line: node.line, column: node.column, field: path, message, fix: fix, severity: .warning)
  }

  /// Text. A bare number or boolean is refused, as the Kubernetes API refuses it.
  func string() -> String? {
    switch node.value {
    case .string(let text): return text
    case .number(let text): error("must be text, not the number \(text)", fix: "write \"\(text)\" in quotes")
    case .bool: error("must be text, not a boolean", fix: "put the word in quotes")
    default: error("must be text, not \(node.kindDescription)")
    }
    return nil
  }

  func nonEmptyString() -> String? {
    guard let text = string() else { return nil }
    if text.isEmpty { error("must not be empty") }
    return text.isEmpty ? nil : text
  }

  func integer(in range: ClosedRange<Int>) -> Int? {
    switch node.value {
    case .number(let text):
      if let number = Int(text), range.contains(number), number == 0 || !text.drop(while: { $0 == "-" }).hasPrefix("0")
      {
        return number
      }
      error("must be a whole number from \(range.lowerBound) to \(range.upperBound), not \(text)")
    case .string(let text) where Int(text) != nil:
      error("must be a number, not text", fix: "write \(text) without quotes")
    default:
      error("must be a number, not \(node.kindDescription)")
    }
    return nil
  }

  func port() -> UInt16? { integer(in: 1...65535).map(UInt16.init) }

  func bool() -> Bool? {
    if case .bool(let bool) = node.value { return bool }
    error("must be true or false, not \(node.kindDescription)")
    return nil
  }

  /// One of `words`, or nil with a suggestion.
  func word(_ words: [String]) -> String? {
    guard let text = string() else { return nil }
    if words.contains(text) { return text }
    let nearest = Suggestion.nearest(to: text, among: words).map { "did you mean \($0)?" }
    error("\"\(text)\" is not a known value", fix: nearest ?? "use one of \(words.joined(separator: ", "))")
    return nil
  }

  func elements(atMost limit: Int) -> [Field] {
    guard case .sequence(let nodes) = node.value else {
      error("must be a list, not \(node.kindDescription)", fix: "begin each entry with \"- \"")
      return []
    }
    if nodes.count > limit { error("has \(nodes.count) entries; at most \(limit) are allowed") }
    return nodes.prefix(limit).enumerated().map { Field(context: context, path: "\(path)[\($0)]", node: $1) }
  }

  /// The entries of a mapping whose keys are free, such as labels.
  func entries() -> [(key: String, field: Field)] {
    guard case .mapping(let entries) = node.value else {
      error("must be a mapping, not \(node.kindDescription)")
      return []
    }
    return entries.map { entry in
      let bare = entry.key.utf8.allSatisfy { $0 != UInt8(ascii: ".") && $0 != UInt8(ascii: "/") }
      let path = bare ? "\(path).\(entry.key)" : "\(path)[\"\(entry.key)\"]"
      return (entry.key, Field(context: context, path: path, node: entry.value))
    }
  }

  func fields() -> Fields? {
    guard case .mapping(let entries) = node.value else {
      error("must be a mapping, not \(node.kindDescription)")
      return nil
    }
    return Fields(context: context, path: path, node: node, entries: entries)
  }
}
