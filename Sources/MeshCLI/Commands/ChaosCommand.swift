internal import ArgumentParser
internal import MeshAPI
internal import SwiftProtobuf

struct ChaosCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "chaos",
    abstract: "Stop all injected faults of the mesh at once, or start them again.",
    discussion: """
      Faults come from FaultInjection objects in the manifests. A stop goes before all of them, takes effect within a
      second, and holds over restarts of the control plane until `apus chaos start`.

      EXAMPLES
        apus chaos status
        apus chaos stop
        apus chaos start

      \(ExitCodes.help)
      """,
    subcommands: [Status.self, Stop.self, Start.self], defaultSubcommand: Status.self)

  struct Status: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Show the switch and every FaultInjection.")
    @OptionGroup var state: StateOptions

    func run() async throws { try await ChaosCommand.run(.unspecified, state) }
  }

  struct Stop: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Stop all faults.")
    @OptionGroup var state: StateOptions

    func run() async throws { try await ChaosCommand.run(.stop, state) }
  }

  struct Start: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Let the FaultInjections strike again.")
    @OptionGroup var state: StateOptions

    func run() async throws { try await ChaosCommand.run(.start, state) }
  }

  private static func run(_ action: Apus_V1_FaultsAction, _ state: StateOptions) async throws {
    let client = AdminClient(directory: try state.directory())
    let answer = try await client.faults(.with { $0.action = action })
    let report = RouteReport(try await client.routes(.with { $0.kind = "FaultInjection" }))
    let word = answer.stopped ? "stopped for the whole mesh; start them with: apus chaos start" : "as the manifests say"
    Terminal.print("faults: \(word)\n\n" + report.table(of: "fault injections"))
  }
}
