import Yams

/// Reads one document into a `ManifestNode`, within limits.
struct ManifestNodeReader {
  /// Line of the file on which the document begins.
  let firstLine: Int
  private var nodesLeft = ManifestParser.maximumNodes

  init(firstLine: Int) { self.firstLine = firstLine }

  /// Nil for a document without content.
  mutating func read(_ text: String) throws(ManifestSyntaxError) -> ManifestNode? {
    try refuseAliasesInKeys(text)
    let root: Node?
    do {
      // The basic resolver leaves scalars alone: `Value.init(plain:)` resolves them, without a regular expression each.
      root = try Parser(yaml: text, resolver: .basic, encoding: .utf8).nextRoot()
    } catch let error as YamlError {
      throw syntaxError(error, text)
    } catch {
      throw ManifestSyntaxError(line: firstLine, column: 1, message: "\(error)")
    }
    guard let root else { return nil }
    let node = try convert(root, depth: 0)
    return node.isNull ? nil : node
  }

  private mutating func convert(_ node: Node, depth: Int) throws(ManifestSyntaxError) -> ManifestNode {
    let line = (node.mark?.line ?? 1) + firstLine - 1
    let column = node.mark?.column ?? 1
    nodesLeft -= 1
    guard nodesLeft >= 0 else {
      throw ManifestSyntaxError(
        line: line, column: column,
        message: "the document has more than \(ManifestParser.maximumNodes) values once its aliases are expanded",
        fix: "write the values out, or split the document")
    }
    guard depth <= ManifestParser.maximumDepth else {
      throw ManifestSyntaxError(
        line: line, column: column, message: "the document nests deeper than \(ManifestParser.maximumDepth) levels")
    }
    switch node {
    case .scalar(let scalar):
      return ManifestNode(value: try value(of: scalar, line, column), line: line, column: column)
    case .sequence(let sequence):
      var elements: [ManifestNode] = []
      elements.reserveCapacity(sequence.count)
      for element in sequence { elements.append(try convert(element, depth: depth + 1)) }
      return ManifestNode(value: .sequence(elements), line: line, column: column)
    case .mapping(let mapping):
      return ManifestNode(value: .mapping(try entries(of: mapping, depth: depth)), line: line, column: column)
    case .alias:
      throw ManifestSyntaxError(line: line, column: column, message: "the alias cannot be resolved")
    }
  }

  private func value(
    of scalar: Node.Scalar, _ line: Int, _ column: Int
  ) throws(ManifestSyntaxError) -> ManifestNode.Value {
    switch scalar.tag.description {
    case "", "!", "tag:yaml.org,2002:int", "tag:yaml.org,2002:float", "tag:yaml.org,2002:bool",
      "tag:yaml.org,2002:null":
      scalar.style == .plain ? .init(plain: scalar.string) : .string(scalar.string)
    case "tag:yaml.org,2002:str":
      .string(scalar.string)
    default:
      throw ManifestSyntaxError(
        line: line, column: column, message: "the tag \(scalar.tag.description) has no meaning in a manifest",
        fix: "remove the tag")
    }
  }

  private mutating func entries(
    of mapping: Node.Mapping, depth: Int
  ) throws(ManifestSyntaxError) -> [ManifestNode.Entry] {
    var entries: [ManifestNode.Entry] = []
    var merged: [ManifestNode.Entry] = []
    for (key, value) in mapping {
      let line = (key.mark?.line ?? 1) + firstLine - 1
      let column = key.mark?.column ?? 1
      guard case .scalar(let scalar) = key else {
        throw ManifestSyntaxError(line: line, column: column, message: "a key must be text")
      }
      let node = try convert(value, depth: depth + 1)
      if scalar.string == "<<", scalar.style == .plain {
        merged += try mergeEntries(node)
      } else {
        entries.append(.init(key: scalar.string, line: line, column: column, value: node))
      }
    }
    guard !merged.isEmpty else { return entries }
    var keys = Set(entries.map(\.key))
    for entry in merged where keys.insert(entry.key).inserted { entries.append(entry) }
    return entries
  }

  /// The entries that a merge key (`<<: *defaults`, YAML 1.1) brings, earlier ones first.
  private func mergeEntries(_ node: ManifestNode) throws(ManifestSyntaxError) -> [ManifestNode.Entry] {
    switch node.value {
    case .mapping(let entries): return entries
    case .sequence(let nodes):
      var entries: [ManifestNode.Entry] = []
      for node in nodes { entries += try mergeEntries(node) }
      return entries
    default:
      throw ManifestSyntaxError(line: node.line, column: node.column, message: "the merge key << takes a mapping")
    }
  }
}

// MARK: - Errors

extension ManifestNodeReader {
  /// The YAML library hashes the keys of a mapping; the hash of a key that is an alias can take exponential time.
  private func refuseAliasesInKeys(_ text: String) throws(ManifestSyntaxError) {
    guard text.utf8.contains(UInt8(ascii: "&")), text.utf8.contains(UInt8(ascii: "*")) else { return }
    var line = firstLine
    for row in text.split(separator: "\n", omittingEmptySubsequences: false) {
      if let column = Self.columnOfComplexKey(row) {
        throw ManifestSyntaxError(
          line: line, column: column, message: "a key must be plain text in a document with anchors",
          fix: "write the key out")
      }
      line += 1
    }
  }

  /// Finds `? key`, `*alias : value`, `[...]: value` and `{...}: value`, in quotes and comments too: to err is safe
  /// here.
  private static func columnOfComplexKey(_ row: Substring) -> Int? {
    let row = Array(row.unicodeScalars)
    for (index, scalar) in row.enumerated() {
      let previous = index == 0 ? " " : row[index - 1]
      switch scalar {
      case "?" where " \t[{,".unicodeScalars.contains(previous):
        return index + 1
      case "*" where " \t[{,-".unicodeScalars.contains(previous):
        let afterName = row[(index + 1)...].drop {
          $0.properties.isAlphabetic || "0123456789_-".unicodeScalars.contains($0)
        }
        if afterName.first(where: { $0 != " " && $0 != "\t" }) == ":" { return index + 1 }
      case ":":
        if let solid = row[..<index].last(where: { $0 != " " && $0 != "\t" }), solid == "]" || solid == "}" {
          return index + 1
        }
      default: continue
      }
    }
    return nil
  }

  private func syntaxError(_ error: YamlError, _ text: String) -> ManifestSyntaxError {
    switch error {
    case .scanner(let context, let problem, let mark, _), .parser(let context, let problem, let mark, _),
      .composer(let context, let problem, let mark, _):
      let context = context.map { " (\($0.text) on line \($0.mark.line + firstLine - 1))" } ?? ""
      return ManifestSyntaxError(
        line: mark.line + firstLine - 1, column: mark.column, message: problem + context, fix: hint(problem))
    case .reader(let problem, let offset, _, _):
      let before = text.prefix(offset ?? 0)
      let line = before.utf8.count { $0 == UInt8(ascii: "\n") } + firstLine
      let column = (before.split(separator: "\n", omittingEmptySubsequences: false).last?.unicodeScalars.count ?? 0) + 1
      return ManifestSyntaxError(line: line, column: column, message: problem)
    case .duplicatedKeysInMapping(let duplicates, let context):
      // Keys that are mappings have no order, so which of them the library names changes from run to run.
      guard !duplicates.contains(Self.nameOfComplexKey) else {
        return ManifestSyntaxError(
          line: firstLine, column: 1, message: "the document has keys that are not text", fix: "write each key as text")
      }
      return ManifestSyntaxError(
        line: context.mark.line + firstLine - 1, column: context.mark.column,
        message: "the key \(duplicates.first.map { "\"\($0)\" " } ?? "")stands more than once in this mapping",
        fix: "keep one of them")
    default:
      return ManifestSyntaxError(line: firstLine, column: 1, message: "the document cannot be read: \(error)")
    }
  }

  /// What the YAML library calls a key that is not text, spelt as it spells it.
  private static let nameOfComplexKey = "<uncovertable>"

  private func hint(_ problem: String) -> String {
    if problem.contains("tab character") { return "indent with spaces" }
    return problem.contains("cannot start any token")
      ? "indent with spaces, and quote text that begins with @, ` or %" : ""
  }
}
