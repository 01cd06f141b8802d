import MeshPolicy

extension AuthorizationReader {
  /// Text is a whole path; `{prefix: /admin}`, `{glob: "/files/*.png"}` and `{template: "/users/{id}"}` say which other kind they are.
  func path(_ field: Field) -> PathPattern? {
    if case .string = field.node.value { return text(field).flatMap { exact($0, field) } }
    guard let fields = field.fields() else { return nil }
    var patterns: [PathPattern?] = []
    if let exact = fields.optional("exact") { patterns.append(text(exact).map { .exact($0) }) }
    if let prefix = fields.optional("prefix") { patterns.append(text(prefix).map { .prefix($0) }) }
    if let glob = fields.optional("glob") { patterns.append(text(glob).map { .glob($0) }) }
    if let template = fields.optional("template") { patterns.append(self.template(template)) }
    fields.finish()
    if patterns.count != 1, !fields.context.hasErrors {
      fields.error("is one pattern", fix: "write one of exact, prefix, glob and template")
    }
    return patterns.first ?? nil
  }

  /// Plain text with a wildcard is most likely meant as a pattern, and as a path it would match next to nothing.
  private func exact(_ path: String, _ field: Field) -> PathPattern? {
    guard !path.contains("*") else {
      field.error(
        "\"\(path)\" has a wildcard, and plain text is a whole path", fix: "write {glob: \"\(path)\"} or {exact: ...}")
      return nil
    }
    return .exact(path)
  }

  private func template(_ field: Field) -> PathPattern? {
    guard let path = field.nonEmptyString() else { return nil }
    var plain = ""
    for (index, element) in path.split(separator: "/", omittingEmptySubsequences: false).enumerated() {
      let isVariable = element.hasPrefix("{") && element.hasSuffix("}") && element.count > 2
      let name = isVariable ? element.dropFirst().dropLast() : ""
      let isName =
        !name.isEmpty && name.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_" || $0 == "-") }
      if isVariable, !isName, name != "*", name != "**" {
        field.error("\"\(element)\" is no variable", fix: "write {id}, {*} for one element or {**} for any number")
        return nil
      }
      plain += (index == 0 ? "" : "/") + (isVariable ? "x" : String(element))
    }
    return check(plain, field, path) ? .template(path) : nil
  }

  private func text(_ field: Field) -> String? {
    guard let path = field.nonEmptyString() else { return nil }
    return check(path, field, path) ? path : nil
  }

  /// A pattern that no canonical path is equal to would never match, which in a `deny` rule nobody notices.
  private func check(_ path: String, _ field: Field, _ shown: String) -> Bool {
    guard path.utf8.count <= PolicyLimits.patternBytes else {
      field.error("has \(path.utf8.count) bytes; at most \(PolicyLimits.patternBytes) are allowed")
      return false
    }
    if CanonicalPath.isCanonical(path) { return true }
    let canonical = CanonicalPath.canonical(path).map { "write \($0)" }
    field.error(
      "\"\(shown)\" is not in the form that requests' paths are brought into",
      fix: canonical
        ?? "begin it with a slash, without query, semicolons, backslashes, encoded slashes and .. above the root")
    return false
  }
}
