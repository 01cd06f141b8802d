internal import Foundation
internal import MeshAPI
internal import MeshControl
internal import MeshCore

/// Plays the demo: starts the shop, measures, shifts the split, cleans up. Used by one task only.
package final class DemoRunner {
  package struct Options: Sendable {
    package var scenario = DemoScenario.split
    package var once = false
    package var shift: DemoShop.Split?
    /// Length of each measurement with `once`, of the whole show otherwise.
    package var duration: Double?
    package var requestsPerSecond = 50
    package var keep = false
    package var json = false

    package init() {}
  }

  /// The outcome of `--once -o json`.
  private struct Outcome: Encodable {
    var healthy: Bool
    var measurements: [DemoReport]
    var rollouts: [RolloutReport.Item]?
  }

  private static let controller = "controller"
  private static let startTimeout: TimeSpan = .seconds(60)
  /// Time for a new split to reach the proxies.
  private static let settleTime: TimeSpan = .seconds(1)
  private static let liveWindow = 6

  let options: Options
  let processes: DemoProcesses
  let client: AdminClient
  private var split = DemoShop.Split.first
  /// The scenario's faults are in the manifests.
  private var isStruck = false
  /// The end that the faults are given, in case that nobody is left to end them.
  private static let longestExperiment: TimeInterval = 3600

  package init(_ options: Options) throws {
    self.options = options
    processes = try DemoProcesses()
    client = AdminClient(directory: processes.state)
  }

  /// Runs to the end, whatever ends it, and returns the exit code.
  package func run() async throws -> Int32 {
    do {
      try await start()
      let code = options.once ? try await measure() : try await show()
      await finish()
      return code
    } catch let interrupted as DemoProcesses.Interrupted {
      await finish()
      return 128 + interrupted.signal
    } catch {
      await finish()
      throw error
    }
  }

  private func finish() async { await processes.stop(controller: Self.controller, keep: options.keep) }

  // MARK: - Start

  private func start() async throws {
    let apus = try Executables.ownPath ?? Executables.companion("apus")
    let shop = try Executables.companion("apus-shop")
    let controller = try Executables.companion("apus-controller")
    if let address = SocketAddress(ControllerProgram.address), !HTTPFetch.isFree(address) {
      throw CLIFailure(
        "another control plane of this machine listens on \(address)", fix: "stop it first (apus up, or another demo)")
    }
    let files = DemoShop.manifests(split).mapValues(Optional.some).merging(options.scenario.manifests) { $1 }
    for (name, text) in files { if let text { try write(text, to: name) } }
    Terminal.say("the demo's files are in \(processes.directory)")
    try await processes.start(
      Self.controller, path: controller,
      arguments: ControllerProgram.arguments(manifests: processes.manifests, state: processes.state))
    try await waitFor("controller") { _ in true }
    let customers = DemoShop.customers(requestsPerSecond: options.requestsPerSecond)
    for member in options.scenario.members + [customers] {
      try await processes.start(
        member.service, path: apus,
        arguments: DemoShop.runArguments(member, shop: shop, state: processes.state.path))
      try await waitFor(member.service) { status in
        status.workloads.contains { $0.service == member.service && $0.ready }
      }
    }
  }

  /// Prints `starting NAME... ready` around the wait.
  private func waitFor(_ name: String, _ isReady: (Apus_V1_StatusResponse) -> Bool) async throws {
    Terminal.write("starting \(name)... ", to: 2)
    let started = ContinuousClock.now
    do {
      while true {
        if let status = try? await client.status(), isReady(status) { break }
        try await processes.pause(.milliseconds(50))
        guard started.duration(to: .now) < .nanoseconds(Self.startTimeout.nanoseconds) else {
          throw CLIFailure(
            "\(name) was not ready in \(Format.fixed(Self.startTimeout.inSeconds, 0)) s\n\(processes.tail(name))",
            fix: "read its whole log with: apus demo --keep")
        }
      }
    } catch {
      Terminal.write("failed\n", to: 2)
      throw error
    }
    let seconds = started.duration(to: .now) / .seconds(1)
    Terminal.write("ready (\(Format.fixed(seconds, 1)) s)\n", to: 2)
  }

  // MARK: - Shift

  private func shift(to next: DemoShop.Split) throws {
    split = next
    try write(DemoShop.trafficSplit(next), to: DemoShop.splitFile)
  }

  /// The faults begin, or end.
  private func strike(_ isStruck: Bool) throws {
    self.isStruck = isStruck
    let end = Date.now.addingTimeInterval(Self.longestExperiment).formatted(.iso8601)
    try write(isStruck ? DemoShop.chaos(end: end) : "", to: DemoShop.chaosFile)
  }

  /// Replaces the file in one step, as an editor does.
  func write(_ text: String, to name: String) throws {
    let path = "\(processes.manifests)/\(name)"
    do {
      try Data(text.utf8).write(to: URL(fileURLWithPath: path), options: .atomic)
    } catch {
      throw CLIFailure("cannot write \(path): \(error.localizedDescription)", fix: "df -h /tmp")
    }
  }

  // MARK: - Once

  private func measure() async throws -> Int32 {
    var reports = [try await measurement()]
    if let target = options.shift {
      Terminal.say("shifting orders from \(split) to \(target)")
      try shift(to: target)
      reports.append(try await measurement())
    }
    if options.scenario == .chaos {
      Terminal.say("injecting faults on the way from orders to payments")
      try strike(true)
      reports.append(try await measurement())
      Terminal.say("ending the experiment")
      try strike(false)
      reports.append(try await measurement())
      if reports[2].injectedFaults > 0 { reports[2].complaints.append("faults were injected after the end") }
    }
    var complaints = reports.flatMap(\.complaints)
    var rollouts: [RolloutReport.Item]?
    if options.scenario == .canary {
      let acts = try await playActs()
      rollouts = acts.map(\.item)
      complaints += acts.flatMap(\.complaints)
    }
    if options.json {
      Terminal.print(
        try JSONText.of(Outcome(healthy: complaints.isEmpty, measurements: reports, rollouts: rollouts)))
    }
    for complaint in complaints { Terminal.say(complaint) }
    return complaints.isEmpty ? 0 : ExitCodes.failure
  }

  private func measurement() async throws -> DemoReport {
    let seconds = options.duration ?? 5
    Terminal.say("measuring for \(Format.fixed(seconds, 0)) s")
    try await processes.pause(Self.settleTime)
    let first = try await reading()
    try await processes.pause(.nanoseconds(Int64(seconds * 1e9)))
    let report = report(from: first, to: try await reading())
    if !options.json { Terminal.print(report.render()) }
    return report
  }

  // MARK: - Live

  private func show() async throws -> Int32 {
    let keys = KeyReader()
    defer { keys?.stop() }
    let isScreen = Terminal.isTerminal(1)
    if isScreen { Terminal.write("\u{1B}[2J", to: 1) }
    let end = options.duration.map { ContinuousClock.now.advanced(by: .seconds($0)) }
    var readings = [try await reading()]
    var due = ContinuousClock.now
    if let target = options.shift { try shift(to: target) }
    if options.scenario == .chaos { try strike(true) }
    var act = DemoShop.Act.good
    if options.scenario == .canary { try begin(act) }
    while end.map({ ContinuousClock.now < $0 }) ?? true {
      due = due.advanced(by: .seconds(1))
      while ContinuousClock.now < due {
        try await processes.pause(.milliseconds(25))
        switch keys?.next() {
        case UInt8(ascii: "q"), 0x04: return 0
        case UInt8(ascii: "s") where options.scenario == .split: try shift(to: split.next)
        case UInt8(ascii: "n") where options.scenario == .canary:
          act = act == .good ? .bad : .good
          try begin(act)
        case UInt8(ascii: "f") where options.scenario == .chaos: try strike(!isStruck)
        default: break
        }
      }
      readings.append(try await reading())
      if readings.count > Self.liveWindow { readings.removeFirst() }
      var text = report(from: readings[0], to: readings[readings.count - 1]).render()
      if options.scenario == .canary { text += "\n" + (try await rollout()?.render(color: Terminal.hasColor) ?? "") }
      draw(text, isScreen, keys)
    }
    return 0
  }

  private func draw(_ text: String, _ isScreen: Bool, _ keys: KeyReader?) {
    var text = text
    guard isScreen else { return Terminal.print(text) }
    text = "apus demo: customers -> web -> orders -> payments, web -> catalog\n\n" + text
    text += keys == nil ? "\nCtrl-C ends\n" : "\n\(keyHelp), q quits\n"
    text += "more: apus status --state-dir \(processes.state.path)\n"
    // Draw over the last picture instead of clearing first, which flickers.
    Terminal.write(
      "\u{1B}[H"
        + text.split(separator: "\n", omittingEmptySubsequences: false)
        .joined(separator: "\u{1B}[K\n") + "\u{1B}[J", to: 1)
  }

  private var keyHelp: String {
    switch options.scenario {
    case .split: "s shifts the split to \(split.next)"
    case .chaos: "f \(isStruck ? "ends" : "begins") the faults"
    case .canary: "n brings the next version: a bad one, then a good one again"
    }
  }

  // MARK: - Measuring

  private struct Reading {
    var at: ContinuousClock.Instant
    var targets: [ScrapeTarget]
    var scrapes: [String: Scrape]
  }

  private func reading() async throws -> Reading {
    let targets = ScrapeTarget.all(try await client.status())
    return Reading(at: .now, targets: targets, scrapes: await ScrapeTarget.fetchAll(targets))
  }

  private func report(from first: Reading, to last: Reading) -> DemoReport {
    DemoReport(Self.stats(from: first, to: last), split: split, scenario: options.scenario, isStruck: isStruck)
  }

  private static func stats(from first: Reading, to last: Reading) -> MeshStats {
    MeshStats(
      targets: last.targets, earlier: first.scrapes, later: last.scrapes,
      seconds: first.at.duration(to: last.at) / .seconds(1))
  }
}
