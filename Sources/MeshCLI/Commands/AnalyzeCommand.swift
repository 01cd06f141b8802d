internal import ArgumentParser
internal import Foundation
internal import MeshResources

struct AnalyzeCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "analyze",
    abstract: "Find what is wrong with the mesh as a whole, and how to mend it.",
    discussion: """
      Asks the control plane, which knows manifests and workloads; with files or directories it looks at those alone.
      Each finding has a code that never changes its meaning. `apus check` asks whether the mesh works; this command,
      whether what it is told makes sense.

      EXAMPLES
        apus analyze
        apus analyze manifests/ --strict
        apus analyze --explain APUS0301
        apus analyze --explain all
        apus analyze -o json

      EXIT CODES
        0   no errors (warnings are printed)
        1   at least one error; with --strict a warning, too
        64  wrong arguments
        69  the control plane does not answer
      """)

  @Argument(help: "Files, directories, or - for standard input. Default: ask the control plane.")
  var files: [String] = []

  @Option(help: ArgumentHelp("Explain a code and exit; `all` for every one.", valueName: "code"))
  var explain: String?

  @Flag(help: "Warnings are errors.")
  var strict = false

  @OptionGroup var output: OutputOptions
  @OptionGroup var state: StateOptions

  func validate() throws {
    guard let explain, explain.lowercased() != "all", code == nil else { return }
    throw ValidationError("there is no code \(explain); apus analyze --explain all lists them")
  }

  private var code: FindingCode? { explain.flatMap { FindingCode(rawValue: $0.uppercased()) } }

  func run() async throws {
    if let code { return Terminal.print(Self.text(code)) }
    if explain != nil { return Terminal.print(FindingCode.page) }
    let report =
      files.isEmpty
      ? FindingReport(try await AdminClient(directory: state.directory()).analyze())
      : try FindingReport(paths: files, standardInput: StandardInput.text)
    try output.print(report) { report.render() }
    if report.fails(strictly: strict) { Foundation.exit(ExitCodes.failure) }
  }

  private static func text(_ code: FindingCode) -> String {
    let reference = code.reference
    return """
      \(code.rawValue) (\(reference.severity.rawValue)): \(reference.title)

      \(reference.explanation)

      fix: \(reference.fix)
      """
  }
}
