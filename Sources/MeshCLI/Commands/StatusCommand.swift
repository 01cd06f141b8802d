internal import ArgumentParser
internal import Foundation
internal import MeshAPI

struct StatusCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "status",
    abstract: "Show the control plane, its workloads and services, and errors in manifests.",
    discussion: """
      CONFIG is the version sent to the proxy and the version it acknowledged: SYNCED, STALE or REJECTED.

      EXAMPLES
        apus status
        apus status -o json

      \(ExitCodes.help)
      """)

  @OptionGroup var output: OutputOptions
  @OptionGroup var state: StateOptions

  func run() async throws {
    var status = try await AdminClient(directory: state.directory()).status()
    await status.askProxiesForCertificates()
    let now = Date().timeIntervalSince1970
    let report = MeshReport(status, now: now)
    try output.print(report) { report.render(now: Int64(now)) }
  }
}
