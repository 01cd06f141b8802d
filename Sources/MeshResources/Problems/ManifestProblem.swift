/// Where something stands in a manifest file. Lines and columns start at 1; columns count Unicode scalars.
package struct ManifestPosition: Hashable, Comparable, Sendable, CustomStringConvertible {
  package var file: String
  package var line: Int
  package var column: Int

  package init(file: String, line: Int, column: Int) {
    self.file = file
    self.line = line
    self.column = column
  }

  package var description: String { "\(file):\(line):\(column)" }

  package static func < (a: ManifestPosition, b: ManifestPosition) -> Bool {
    (a.file, a.line, a.column) < (b.file, b.line, b.column)
  }
}

/// A value and where it was read.
package struct Located<Value> {
  package var value: Value
  package var position: ManifestPosition

  package init(_ value: Value, at position: ManifestPosition) {
    self.value = value
    self.position = position
  }
}

extension Located: Sendable where Value: Sendable {}
extension Located: Equatable where Value: Equatable {}
extension Located: Hashable where Value: Hashable {}

/// Something wrong, or worth knowing, in a manifest, told so that its author can mend it.
package struct ManifestProblem: Error, Hashable, Sendable, CustomStringConvertible {
  package enum Severity: String, Hashable, Sendable {
    /// The object is rejected whole.
    case error
    /// The object is in force, but not all of it means here what its author may think.
    case warning
  }

  /// Why a route is not accepted, in the words of the Gateway API's conditions.
  package enum Reason: String, Hashable, Sendable {
    case unsupportedValue = "UnsupportedValue"
    case incompatibleFilters = "IncompatibleFilters"
  }

  package var position: ManifestPosition
  /// `HTTPRoute shop/orders`; empty when the document names no object.
  package var object: String
  /// `spec.rules[0].matches[1].path.value`; empty when the problem is the document's.
  package var field: String
  package var message: String
  /// What to write instead; may be empty.
  package var fix: String
  package var severity: Severity
  /// Of an error of a route.
  package var reason: Reason
  /// An earlier version of the object is still in force.
  package var stale = false
  /// The object, when the document was read far enough to know it.
  package var key: ResourceKey?
  /// Nil for what has no code of its own.
  package var code: FindingCode?

  package init(
    position: ManifestPosition, object: String = "", field: String = "", message: String, fix: String = "",
    severity: Severity = .error, reason: Reason = .unsupportedValue, key: ResourceKey? = nil, code: FindingCode? = nil
  ) {
    self.position = position
    self.object = object
    self.field = field
    self.message = message
    self.fix = fix
    self.severity = severity
    self.reason = reason
    self.key = key
    self.code = code
  }

  package var file: String { position.file }
  package var line: Int { position.line }
  package var column: Int { position.column }

  /// `file:line:column: HTTPRoute shop/orders: spec.rules[0]: message; fix`, without the parts that are empty.
  package var description: String {
    var text = "\(position)"
    if !object.isEmpty { text += ": \(object)" }
    if !field.isEmpty { text += ": \(field)" }
    text += ": \(severity == .warning ? "warning: " : "")\(message)"
    if !fix.isEmpty { text += "; \(fix)" }
    return text
  }
}
