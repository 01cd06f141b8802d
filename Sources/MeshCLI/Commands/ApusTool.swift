internal import ArgumentParser
internal import Foundation

/// The tool's entry: parses the command line, runs the command, and turns what it throws into words and an exit code.
package enum ApusTool {
  package static let version = "0.1.0"

  package static func main() async -> Never {
    // A reader that goes away (| head) is an error of write, not our death.
    signal(SIGPIPE, SIG_IGN)
    do {
      var command = try ApusCommand.parseAsRoot()
      if var asynchronous = command as? any AsyncParsableCommand {
        try await asynchronous.run()
      } else {
        try command.run()
      }
      exit(0)
    } catch let failure as CLIFailure {
      Terminal.say("error: \(failure)")
      exit(failure.exitCode)
    } catch {
      ApusCommand.exit(withError: error)
    }
  }
}

struct ApusCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "apus",
    abstract: "A service mesh on one machine: real programs, mutual TLS, traffic splits, live numbers.",
    discussion: """
      EXAMPLES
        apus demo                                     see a whole mesh work
        apus up -f manifests/                         start the control plane
        apus run --service web --port 8080 -- ./web   put a program into the mesh
        apus stat                                     success rate, requests/s and latency by service
        apus why --from web --to http://orders/       what would become of a request, and why

      \(ExitCodes.help)
      """,
    version: ApusTool.version,
    subcommands: [
      DemoCommand.self, UpCommand.self, RunCommand.self, StatCommand.self, StatusCommand.self, GetCommand.self,
      WhyCommand.self, AuthzCommand.self, RoutesCommand.self, EndpointsCommand.self, CheckCommand.self,
      ValidateCommand.self, AnalyzeCommand.self, RolloutCommand.self, ChaosCommand.self, DrainCommand.self,
      IdentityCommand.self, VersionCommand.self,
      CompletionCommand.self,
    ])
}

/// Options of every command that talks to the control plane.
struct StateOptions: ParsableArguments {
  @Option(
    name: .customLong("state-dir"),
    help: ArgumentHelp(
      "Where the mesh keeps its state.",
      discussion: "Default: $APUS_STATE_DIR, else $XDG_STATE_HOME/apus, else ~/.local/state/apus.",
      valueName: "dir"))
  var stateDirectory: String?

  func directory() throws -> StateDirectory {
    try StateDirectory.resolve(flag: stateDirectory, environment: ProcessInfo.processInfo.environment)
  }
}

/// `-o json` of every command that prints data.
struct OutputOptions: ParsableArguments {
  enum Format: String, ExpressibleByArgument, CaseIterable, Sendable {
    case table, json
  }

  @Option(name: [.customShort("o"), .customLong("output")], help: "How to print: table or json.")
  var format = Format.table

  /// Prints `value` as JSON, or the text.
  func print(_ value: some Encodable, table: () -> String) throws {
    Terminal.print(format == .json ? try JSONText.of(value) : table())
  }
}
