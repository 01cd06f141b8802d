internal import ArgumentParser
internal import Foundation
internal import MeshResources

struct ValidateCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "validate",
    abstract: "Check manifests without a control plane.",
    discussion: """
      Problems are printed as file:line:column, the object, the field, what is wrong and the fix. Directories are read
      as the control plane reads them: *.yaml, *.yml and *.json, one level of subdirectories, hidden files left out.

      EXAMPLES
        apus validate -f manifests/
        apus validate -f orders.yaml -f split.yaml -o json

      EXIT CODES
        0   no errors (warnings are printed)
        1   at least one error, or a file that cannot be read
        64  wrong arguments
      """)

  @Option(name: [.customShort("f"), .customLong("file")], parsing: .upToNextOption, help: "Files and directories.")
  var paths: [String]

  @OptionGroup var output: OutputOptions

  func run() async throws {
    let report = try ManifestReport(paths: paths)
    try output.print(report) { report.render() }
    if report.hasErrors { Foundation.exit(ExitCodes.failure) }
  }
}

/// What `apus validate` found.
struct ManifestReport: Encodable {
  struct Problem: Encodable {
    var file: String
    var line: Int
    var column: Int
    var severity: String
    var object: String
    var field: String
    var message: String
    var fix: String
  }

  private(set) var files = 0
  private(set) var objects = 0
  private(set) var problems: [Problem] = []

  var hasErrors: Bool { problems.contains { $0.severity == "error" } }

  init(paths: [String]) throws {
    var seen: [ResourceKey: ManifestPosition] = [:]
    for file in try paths.flatMap(Self.files) {
      files += 1
      let text: String
      do {
        text = try String(contentsOfFile: file, encoding: .utf8)
      } catch {
        add(ManifestProblem(position: .init(file: file, line: 1, column: 1), message: "cannot read it as UTF-8 text"))
        continue
      }
      let parsed = ManifestParser.parse(file: file, text: text)
      objects += parsed.objects.count
      for problem in parsed.errors { add(problem) }
      for object in parsed.objects {
        let key = object.value.key
        if let first = seen.updateValue(object.position, forKey: key) {
          add(
            ManifestProblem(
              position: object.position, object: "\(key)", message: "is defined twice; first at \(first)",
              fix: "delete or rename one of them"))
        }
      }
    }
    problems.sort { ($0.file, $0.line, $0.column) < ($1.file, $1.line, $1.column) }
  }

  private mutating func add(_ problem: ManifestProblem) {
    problems.append(
      Problem(
        file: problem.file, line: problem.line, column: problem.column, severity: problem.severity.rawValue,
        object: problem.object, field: problem.field, message: problem.message, fix: problem.fix))
  }

  func render() -> String {
    var text = ""
    for p in problems {
      text += "\(p.file):\(p.line):\(p.column): \(p.severity): "
      text += [p.object, p.field, p.message].filter { !$0.isEmpty }.joined(separator: ": ")
      text += p.fix.isEmpty ? "\n" : "; \(p.fix)\n"
    }
    let errors = problems.count { $0.severity == "error" }
    let counts = "\(objects) object\(objects == 1 ? "" : "s") in \(files) file\(files == 1 ? "" : "s")"
    let verdict = errors == 0 ? "no errors" : "\(errors) error\(errors == 1 ? "" : "s")"
    return text + "\(counts): \(verdict)\n"
  }

  // MARK: - Files

  private static func files(_ path: String) throws -> [String] {
    var isDirectory: ObjCBool = false
    guard FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) else {
      throw CLIFailure("\(path) does not exist", fix: "give a manifest file or a directory of them")
    }
    return isDirectory.boolValue ? try listing(path, depth: 1) : [path]
  }

  private static func listing(_ directory: String, depth: Int) throws -> [String] {
    var out: [String] = []
    for name in try FileManager.default.contentsOfDirectory(atPath: directory).sorted() where !name.hasPrefix(".") {
      let path = directory + (directory.hasSuffix("/") ? "" : "/") + name
      var isDirectory: ObjCBool = false
      guard FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) else { continue }
      if isDirectory.boolValue {
        if depth > 0 { out += try listing(path, depth: depth - 1) }
      } else if [".yaml", ".yml", ".json"].contains(where: name.hasSuffix) {
        out.append(path)
      }
    }
    return out
  }
}
