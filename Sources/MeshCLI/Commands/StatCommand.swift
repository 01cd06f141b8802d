internal import ArgumentParser
internal import MeshAPI
internal import MeshControl

struct StatCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "stat",
    abstract: "Show success rate, requests per second and latency of services.",
    discussion: """
      Reads the metrics of every workload's proxy twice, --window apart, and shows what happened in between, as the
      receiving side saw it. MESHED counts proxies connected to the control plane, READY workloads that take traffic.

      EXAMPLES
        apus stat
        apus stat web orders --window 10s
        apus stat -n shop --watch
        apus stat --from web          where web's requests went, by backend
        apus stat -o json

      \(ExitCodes.help)
      """)

  @Argument(help: "Services to show. Default: all.")
  var names: [String] = []

  @Option(help: "Length of time to measure: 5s, 500ms, 1m.")
  var window = "5s"

  @Option(name: [.customShort("n"), .long], help: "Show only this namespace.")
  var namespace: String?

  @Option(help: ArgumentHelp("Show where this service's own requests went, by backend.", valueName: "service"))
  var from: String?

  @Flag(help: "Measure and print again and again, until Ctrl-C.")
  var watch = false

  @OptionGroup var output: OutputOptions
  @OptionGroup var state: StateOptions

  func validate() throws {
    guard WindowFlag.seconds(window) != nil else {
      throw ValidationError("--window \"\(window)\" is not a length of time between 100ms and 10m; write 5s or 500ms")
    }
  }

  func run() async throws {
    let client = AdminClient(directory: try state.directory())
    let seconds = WindowFlag.seconds(window) ?? 5
    var earlier = Reading(at: .now, targets: targets(try await client.status()), scrapes: [:])
    earlier.scrapes = await ScrapeTarget.fetchAll(earlier.targets)
    try checkFound(earlier)
    repeat {
      try await Task.sleep(for: .seconds(seconds))
      let selected = targets(try await client.status())
      let later = Reading(at: .now, targets: selected, scrapes: await ScrapeTarget.fetchAll(selected))
      let elapsed = earlier.at.duration(to: later.at) / .seconds(1)
      let stats = MeshStats(
        targets: later.targets, earlier: earlier.scrapes, later: later.scrapes, seconds: elapsed)
      if watch, Terminal.isTerminal(1), output.format == .table { Terminal.write("\u{1B}[H\u{1B}[2J", to: 1) }
      try show(stats)
      earlier = later
    } while watch
  }

  private struct Reading {
    var at: ContinuousClock.Instant
    var targets: [ScrapeTarget]
    var scrapes: [String: Scrape]
  }

  private func targets(_ status: Apus_V1_StatusResponse) -> [ScrapeTarget] {
    ScrapeTarget.all(status).filter { target in
      (namespace == nil || target.namespace == namespace)
        && (from != nil ? target.service == from : names.isEmpty || names.contains(target.service))
    }
  }

  private func checkFound(_ reading: Reading) throws {
    let wanted = from.map { [$0] } ?? names
    for name in wanted where !reading.targets.contains(where: { $0.service == name }) {
      throw CLIFailure("no workload of service \(name) is registered", fix: "see what is there: apus status")
    }
    guard reading.scrapes.isEmpty, !reading.targets.isEmpty else { return }
    throw CLIFailure("no proxy answered on port \(RunPlan.metricsPort)", fix: "see what is wrong: apus check")
  }

  private func show(_ stats: MeshStats) throws {
    if from != nil {
      try output.print(stats.backends.map(StatTable.Backend.init)) { StatTable.backends(stats.backends) }
    } else {
      try output.print(stats.services.map(StatTable.Service.init)) { StatTable.services(stats.services) }
    }
  }
}

/// `--window`: a number with ms, s or m; plain seconds without.
enum WindowFlag {
  static func seconds(_ text: String) -> Double? {
    let units: [(String, Double)] = [("ms", 0.001), ("s", 1), ("m", 60), ("", 1)]
    for (unit, factor) in units where text.hasSuffix(unit) {
      guard let number = Double(text.dropLast(unit.count)), number.isFinite else { return nil }
      let seconds = number * factor
      return (0.1...600).contains(seconds) ? seconds : nil
    }
    return nil
  }
}

extension ScrapeTarget {
  /// The workloads the control plane knows.
  static func all(_ status: Apus_V1_StatusResponse) -> [ScrapeTarget] {
    status.workloads.map {
      ScrapeTarget(
        workload: $0.name, service: $0.service, namespace: $0.namespace, address: $0.address, isReady: $0.ready,
        isConnected: $0.connected)
    }
  }
}
