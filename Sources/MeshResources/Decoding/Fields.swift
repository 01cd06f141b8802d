/// The fields of one mapping of an object. A decoder asks for every field it knows and then calls `finish`, which
/// reports the rest: nothing is accepted and ignored.
///
/// A field without a value (`port:`) counts as absent, as it does in Kubernetes. Used by one call only.
final class Fields {
  let context: DecodingContext
  let path: String
  private let node: ManifestNode
  private let entries: [ManifestNode.Entry]
  private var known: [String] = []

  init(context: DecodingContext, path: String, node: ManifestNode, entries: [ManifestNode.Entry]) {
    self.context = context
    self.path = path
    self.node = node
    self.entries = entries
  }

  func path(of name: String) -> String { path.isEmpty ? name : "\(path).\(name)" }

  func optional(_ name: String) -> Field? {
    known.append(name)
    guard let entry = entries.first(where: { $0.key == name }), !entry.value.isNull else { return nil }
    return Field(context: context, path: path(of: name), node: entry.value)
  }

  func required(_ name: String, fix: String = "") -> Field? {
    if let field = optional(name) { return field }
    context.report(line: node.line, column: node.column, field: path(of: name), "is required", fix: fix)
    return nil
  }

  /// Reports at the mapping itself.
  func error(_ message: String, fix: String = "") {
    context.report(line: node.line, column: node.column, field: path, message, fix: fix)
  }

  /// Reports at the field's value, or at the mapping when the field is absent.
  func error(_ name: String, _ message: String, fix: String = "") {
    report(name, message, fix: fix, severity: .error)
  }

  func warning(_ name: String, _ message: String, fix: String = "") {
    report(name, message, fix: fix, severity: .warning)
  }

  private func report(_ name: String, _ message: String, fix: String, severity: ManifestProblem.Severity) {
    let place = entries.first { $0.key == name }?.value ?? node
    context.report(
      line: place.line, column: place.column, field: path(of: name), message, fix: fix, severity: severity)
  }

  /// Fields that servers write and that carry no intent.
  func allow(_ names: String...) { known += names }

  /// Fields that are right in a cluster and have nothing to act on here.
  func noEffect(_ names: String...) {
    for name in names {
      optionalKey(name)?.report("has no effect on one machine", severity: .warning)
    }
  }

  /// Fields of the API that Apus does not serve yet.
  func unsupported(_ name: String, fix: String) {
    optionalKey(name)?.report("is not supported yet", fix: fix)
  }

  func finish() {
    for entry in entries where !known.contains(entry.key) {
      let path = path(of: entry.key)
      let nearest = Suggestion.nearest(to: entry.key, among: known)
      let fix = nearest.map { "did you mean \($0)?" } ?? "known fields: \(known.sorted().joined(separator: ", "))"
      context.report(line: entry.line, column: entry.column, field: path, "is not a field of this object", fix: fix)
    }
  }

  private struct Key {
    let fields: Fields
    let entry: ManifestNode.Entry

    func report(_ message: String, fix: String = "", severity: ManifestProblem.Severity = .error) {
      fields.context.report(
        line: entry.line, column: entry.column, field: fields.path(of: entry.key), message, fix: fix,
        severity: severity)
    }
  }

  private func optionalKey(_ name: String) -> Key? {
    known.append(name)
    guard let entry = entries.first(where: { $0.key == name }), !entry.value.isNull else { return nil }
    return Key(fields: self, entry: entry)
  }
}
