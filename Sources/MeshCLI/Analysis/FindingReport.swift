package import MeshAPI
internal import MeshControl
package import MeshResources

/// Findings of `apus validate` and `apus analyze`, as JSON and for people.
package struct FindingReport: Encodable, Sendable {
  package struct Problem: Hashable, Encodable, Sendable {
    package var code: String
    /// `error`, `warning` or `info`.
    package var severity: String
    package var file: String
    package var line: Int
    package var column: Int
    package var object: String
    package var field: String
    package var message: String
    package var fix: String
  }

  /// Absent when a running mesh was asked.
  package var files: Int?
  package var objects: Int?
  package var problems: [Problem]

  package init(files: Int? = nil, objects: Int? = nil, problems: [Problem]) {
    self.files = files
    self.objects = objects
    self.problems = problems
  }

  /// Of manifests, without a mesh. `-` among the paths stands for `standardInput`.
  package init(paths: [String], standardInput: () throws -> String) throws {
    let text = paths.contains("-") ? (name: "<stdin>", text: try standardInput()) : nil
    let manifests = ManifestDirectory.load(paths: paths.filter { $0 != "-" }, text: text)
    self.init(
      files: manifests.fileCount, objects: manifests.objects.count + manifests.rejected.count,
      problems: MeshAnalysis.findings(Snapshot(manifests), isLive: false).map(Problem.init))
  }

  package init(_ response: Apus_V1_AnalyzeResponse) {
    self.init(problems: response.findings.map(Problem.init))
  }

  package func count(_ severity: FindingCode.Severity) -> Int {
    problems.count { $0.severity == severity.rawValue }
  }

  /// Whether a script should stop here.
  package func fails(strictly: Bool) -> Bool { count(.error) > 0 || strictly && count(.warning) > 0 }

  // MARK: - Text

  package func render() -> String {
    var text = ""
    for p in problems {
      text += "\(p.file):\(p.line):\(p.column): \(p.severity) \(p.code): "
      text += [p.object, p.field, p.message].filter { !$0.isEmpty }.joined(separator: ": ")
      text += p.fix.isEmpty ? "\n" : "; \(p.fix)\n"
    }
    let read = [objects.map { Self.number($0, "object") }, files.map { Self.number($0, "file") }].compactMap { $0 }
    let found = FindingCode.Severity.allCases.compactMap { severity -> String? in
      let count = count(severity)
      return count == 0 ? nil : severity == .info ? "\(count) to know" : Self.number(count, severity.rawValue)
    }
    let verdict = count(.error) == 0 ? ["no errors"] + found : found
    return text + (read.isEmpty ? "" : read.joined(separator: " in ") + ": ") + verdict.joined(separator: ", ") + "\n"
  }

  private static func number(_ count: Int, _ noun: String) -> String { "\(count) \(noun)\(count == 1 ? "" : "s")" }
}

extension FindingReport.Problem {
  fileprivate init(_ finding: Finding) {
    self.init(
      code: finding.code.rawValue, severity: finding.severity.rawValue, file: finding.position.file,
      line: finding.position.line, column: finding.position.column, object: finding.object, field: finding.field,
      message: finding.message, fix: finding.fix)
  }

  fileprivate init(_ finding: Apus_V1_Finding) {
    self.init(
      code: finding.code, severity: finding.severity, file: finding.file, line: Int(finding.line),
      column: Int(finding.column), object: finding.object, field: finding.field, message: finding.message,
      fix: finding.fix)
  }
}
