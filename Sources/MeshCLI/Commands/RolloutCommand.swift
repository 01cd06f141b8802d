internal import ArgumentParser
internal import Foundation
internal import MeshAPI
internal import SwiftProtobuf

struct RolloutCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "rollout",
    abstract: "Watch and steer rollouts: requests that move from one version of a service to another.",
    discussion: """
      A rollout is the block `rollout` of a TrafficPolicy, and has its name. It begins by itself, raises the canary's weight step by
      step, compares the versions by its gates, and goes back by itself when they fail (docs/guide/rollouts.md).

      EXAMPLES
        apus rollout list
        apus rollout status orders -n shop --watch
        apus rollout resume orders -n shop        end a pause, or go on after a failed gate
        apus rollout abort orders -n shop         every request to the stable version
        apus rollout wait orders -n shop --timeout 10m     for CI: 0 promoted, 1 rolled back, 2 not in time

      \(ExitCodes.help)
      """,
    subcommands: [
      List.self, Status.self, Wait.self, Pause.self, Resume.self, Promote.self, Abort.self, Restart.self,
    ], defaultSubcommand: List.self)

  /// The rollout that a command is about.
  struct Target: ParsableArguments {
    @Argument(help: "The TrafficPolicy, as NAME or NAMESPACE/NAME.")
    var name: String

    @Option(name: .shortAndLong, help: "Its namespace, if several have one of that name.")
    var namespace: String?

    @OptionGroup var state: StateOptions

    func client() throws -> AdminClient { AdminClient(directory: try state.directory()) }

    func find(_ client: AdminClient) async throws -> RolloutReport.Item {
      try await RolloutReport(client.rollouts(Apus_V1_RolloutsRequest())).find(name, namespace: namespace)
    }
  }

  // MARK: - Looking

  struct List: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Show every rollout in a line.")
    @Option(name: .shortAndLong, help: "Show only this namespace.")
    var namespace: String?
    @OptionGroup var output: OutputOptions
    @OptionGroup var state: StateOptions

    func run() async throws {
      let client = AdminClient(directory: try state.directory())
      let report = RolloutReport(try await client.rollouts(.with { $0.namespace = namespace ?? "" }))
      try output.print(report) { report.render() }
    }
  }

  struct Status: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Show one rollout: weights, both versions' numbers, gates, reasons.")
    @OptionGroup var target: Target
    @Flag(help: "Show it again and again, until it is promoted or rolled back, or Ctrl-C.")
    var watch = false
    @OptionGroup var output: OutputOptions

    func run() async throws {
      let client = try target.client()
      let isScreen = watch && Terminal.isTerminal(1) && output.format == .table
      while true {
        let item = try await target.find(client)
        if isScreen { Terminal.write("\u{1B}[H\u{1B}[2J", to: 1) }
        try output.print(item) { item.render(color: Terminal.hasColor) }
        if !watch || item.isFinal { return }
        try await Task.sleep(for: .seconds(1))
      }
    }
  }

  struct Wait: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Wait until a rollout is over; for CI.",
      discussion: """
        Prints each reason as it comes.

        EXIT CODES
          0   promoted
          1   rolled back, or paused because a gate failed or there were too few requests
          2   not over in time
          64  wrong arguments
          69  the control plane does not answer
        """)
    @OptionGroup var target: Target
    @Option(help: "How long: 30s, 10m, 2h.")
    var timeout = "1h"
    @Option(
      help: ArgumentHelp(
        "Wait for the rollout of this canary: right after an edit the one before is still there.", valueName: "service")
    )
    var canary: String?
    @Option(help: "Wait for the rollout of this revision of the canary.")
    var revision: String?

    static let notInTime: Int32 = 2
    /// For which the control plane may be away.
    static let patience: Duration = .seconds(30)
    /// For which a rollout may not be there: its manifest was written just now.
    static let grace: Duration = .seconds(5)

    func validate() throws {
      guard WaitTime.parse(timeout) != nil else {
        throw ValidationError("--timeout \"\(timeout)\" is not a length of time from 1s to 24h; write 30s, 10m or 2h")
      }
    }

    func run() async throws {
      let client = try target.client()
      let end = ContinuousClock.now.advanced(by: .seconds(WaitTime.parse(timeout) ?? 3600))
      var item = try await first(client)
      var told = item.events.last
      var answered = ContinuousClock.now
      while true {
        if isMeant(item) {
          for event in item.events(after: told) { Terminal.print(event.text) }
          told = item.events.last ?? told
          if let code = item.exitCode { return try finish(item, code) }
        }
        guard ContinuousClock.now < end else { return try finish(item, Self.notInTime) }
        try await Task.sleep(for: .milliseconds(300))
        do {
          item = try await target.find(client)
          answered = .now
        } catch let failure as CLIFailure where failure.exitCode == ExitCodes.unreachable {
          // It may be restarted: the rollout goes on with it.
          if ContinuousClock.now > answered.advanced(by: Self.patience) { throw failure }
        }
      }
    }

    private func isMeant(_ item: RolloutReport.Item) -> Bool {
      (canary == nil || canary == item.canary.service) && (revision == nil || revision == item.revision)
    }

    private func first(_ client: AdminClient) async throws -> RolloutReport.Item {
      let end = ContinuousClock.now.advanced(by: Self.grace)
      while true {
        do {
          return try await target.find(client)
        } catch let failure as CLIFailure where failure.exitCode == ExitCodes.failure && ContinuousClock.now < end {
          try await Task.sleep(for: .milliseconds(300))
        }
      }
    }

    private func finish(_ item: RolloutReport.Item, _ code: Int32) throws {
      Terminal.print(
        "\(item.fullName): \(item.phase)\(code == Self.notInTime ? " after \(timeout)" : ""): \(item.message)")
      if code != 0 { Foundation.exit(code) }
    }
  }

  // MARK: - Steering

  struct Pause: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Keep the weights as they are. Failed gates still roll back.")
    @OptionGroup var target: Target
    func run() async throws { try await RolloutCommand.order(.pause, target) }
  }

  struct Resume: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Go on: after a pause, or after a gate that somebody overrules.")
    @OptionGroup var target: Target
    func run() async throws { try await RolloutCommand.order(.resume, target) }
  }

  struct Promote: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Send every request to the canary now, without the steps that are left.")
    @OptionGroup var target: Target
    func run() async throws { try await RolloutCommand.order(.promote, target) }
  }

  struct Abort: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Send every request to the stable version again, after a promotion, too.", aliases: ["rollback"])
    @OptionGroup var target: Target
    func run() async throws { try await RolloutCommand.order(.abort, target) }
  }

  struct Restart: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Begin again with the first step.")
    @OptionGroup var target: Target
    func run() async throws { try await RolloutCommand.order(.restart, target) }
  }

  private static func order(_ action: Apus_V1_RolloutAction, _ target: Target) async throws {
    let client = try target.client()
    let item = try await target.find(client)
    let answer = try await client.rollouts(
      .with {
        $0.action = action
        $0.namespace = item.namespace
        $0.name = item.name
      })
    guard let after = RolloutReport(answer).items.first else { return }
    Terminal.print("\(after.fullName): \(after.phase), \(after.canary.weight) % to \(after.canary.service)")
  }
}

/// `--timeout`: a number with s, m or h; plain seconds without.
enum WaitTime {
  static func parse(_ text: String) -> Int? {
    let units = ["s": 1, "m": 60, "h": 3600]
    let unit = text.last.flatMap { units[String($0)] }
    guard let number = Int(unit == nil ? text : String(text.dropLast())), (1...86_400).contains(number) else {
      return nil
    }
    let seconds = number * (unit ?? 1)
    return (1...86_400).contains(seconds) ? seconds : nil
  }
}
