internal import ArgumentParser
internal import Foundation
internal import MeshAPI
internal import MeshControl
internal import MeshCore
internal import MeshIdentity

/// `apus drain`: speaks to the workload's proxy itself, for the controller ends nobody's work. Everybody on the machine reaches the admin port; the
/// token, a file of the workload's owner, tells who may drain.
struct DrainCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "drain",
    abstract: "Tell a workload's proxy to finish what it has and take nothing new.",
    discussion: """
      The program is not told: its `apus run` and it live on, without traffic. Shows the proxy's admin port the token that `apus run` wrote into
      the state directory, so it works for the account that runs the workload.

      EXAMPLES
        apus drain web-k3x9p

      \(ExitCodes.help)
      """)

  @Argument(help: "The workload, as apus status names it.")
  var workload: String

  @OptionGroup var state: StateOptions

  func run() async throws {
    let directory = try state.directory()
    guard ServiceName.isLabel(workload) else { throw ValidationError("\"\(workload)\" is no name of a workload") }
    guard
      let found = try await AdminClient(directory: directory).status().workloads.first(where: { $0.name == workload }),
      let address = SocketAddress(found.address, defaultPort: RunPlan.adminPort)
    else { throw CLIFailure("no workload \(workload) is registered", fix: "see what is there: apus status") }
    let path = directory.adminToken(of: workload)
    guard let content = try AtomicFile.read(path) else {
      throw CLIFailure(
        "\(path) is not there", fix: "was \(workload) started by another account, or with another --state-dir?")
    }
    let token = String(decoding: content.prefix { $0 > 0x20 }, as: UTF8.self)
    let answer = try await HTTPFetch.post(address, path: "/drain", token: token)
    guard answer.status == 200 else {
      throw CLIFailure(
        "http://\(address)/drain answered \(answer.status): \(String(decoding: answer.body, as: UTF8.self))")
    }
    Terminal.print("\(workload) is draining")
  }
}
