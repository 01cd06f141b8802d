package import MeshResources

/// One thing that is wrong, or worth knowing, with the code under which it is explained.
package struct Finding: Hashable, Sendable {
  package var code: FindingCode
  package var severity: FindingCode.Severity
  package var position: ManifestPosition
  /// `HTTPRoute shop/orders`; empty when the document names no object.
  package var object: String
  package var field: String
  package var message: String
  package var fix: String

  /// `isLive`: all of a mesh is known, its workloads included.
  init(
    _ code: FindingCode, at position: ManifestPosition, _ object: String, _ field: String, _ message: String,
    fix: String = "", isLive: Bool
  ) {
    self.code = code
    severity = !isLive && code.isAbsence ? max(code.reference.severity, .warning) : code.reference.severity
    self.position = position
    self.object = object
    self.field = field
    self.message = message
    self.fix = fix
  }

  init(_ problem: ManifestProblem, isLive: Bool) {
    self.init(
      problem.severity == .error ? .manifestError : problem.code ?? .unclassified, at: problem.position, problem.object,
      problem.field, problem.message, fix: problem.fix, isLive: isLive)
  }
}

extension [Finding] {
  /// By place, each once.
  func ordered() -> [Finding] {
    Set(self).sorted {
      ($0.position, $0.code.rawValue, $0.field, $0.message) < ($1.position, $1.code.rawValue, $1.field, $1.message)
    }
  }
}
