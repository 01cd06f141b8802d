internal import ArgumentParser
internal import Foundation

struct ValidateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "validate",
    abstract: "Check manifests without a control plane, for people and for CI.",
    discussion: """
      Decodes as the control plane does and looks at the objects together: references, rules that never match, times
      that contradict each other. Problems are printed as file:line:column, severity and code, the object, the field,
      what is wrong and the fix; `apus analyze --explain CODE` tells more. Directories are read as the control plane
      reads them: *.yaml, *.yml and *.json, one level of subdirectories, hidden files left out. What a file refers to
      may stand elsewhere, or come with `apus run`, so what is missing is a warning here.

      EXAMPLES
        apus validate manifests/
        apus validate --strict orders.yaml split.yaml -o json
        kubectl get httproute -A -o yaml | apus validate -

      EXIT CODES
        0   no errors (warnings are printed)
        1   at least one error, or a file that cannot be read; with --strict a warning, too
        64  wrong arguments
      """)

  @Argument(help: "Files, directories, or - for standard input.")
  var files: [String] = []

  @Option(name: [.customShort("f"), .customLong("file")], parsing: .upToNextOption, help: "The same, as an option.")
  var paths: [String] = []

  @Flag(help: "Warnings are errors.")
  var strict = false

  @OptionGroup var output: OutputOptions

  func validate() throws {
    if files.isEmpty, paths.isEmpty { throw ValidationError("name files or directories, or - for standard input") }
  }

  func run() throws {
    let report = try FindingReport(paths: files + paths, standardInput: StandardInput.text)
    try output.print(report) { report.render() }
    if report.fails(strictly: strict) { Foundation.exit(ExitCodes.failure) }
  }
}
