internal import ArgumentParser
internal import Foundation

struct DemoCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "demo",
    abstract: "Run a small shop in a mesh on this machine and watch it live.",
    discussion: """
      Starts a control plane, five services (web, orders v1 and v2, catalog, payments) and customers, all with proxies
      and mutual TLS, in a temporary directory; needs no root and changes nothing else. Orders v2 is slower and fails
      now and then; it gets 10 % of the requests until you shift the split.

      Keys: s shifts orders 90/10 -> 50/50 -> 10/90 -> 0/100, q quits. In the scenario chaos: f begins and ends the faults; in
      canary: n brings the next version.

      SCENARIOS
      \(DemoScenario.allCases.map { "  \($0.rawValue.padding(toLength: 8, withPad: " ", startingAt: 0)) \($0.summary)" }
        .joined(separator: "\n"))

      EXAMPLES
        apus demo
        apus demo --once                       measure once, print, and exit; for scripts
        apus demo --once --shift 50/50 -o json
        apus demo --rps 200 --duration 60
        apus demo --scenario chaos             faults on one service: what breaks, and what repeats hide
        apus demo --scenario chaos --once      measured before, while and after
        apus demo --scenario canary            a version that promotes itself, and one that rolls itself back

      EXIT CODES
        0    done; with --once: the shop is healthy
        1    something could not be started or died, or with --once: the shop is not healthy
        64   wrong arguments
        130  ended by Ctrl-C
      """)

  @Flag(help: "Measure, print, (shift, measure, print) and exit.")
  var once = false

  @Option(help: ArgumentHelp("What to show: split, chaos or canary.", valueName: "name"))
  var scenario = DemoScenario.split

  @Option(help: ArgumentHelp("Shift orders to these weights.", valueName: "v1/v2"))
  var shift: String?

  @Option(help: "Seconds of each measurement with --once (default 5), of the show otherwise (default: until q).")
  var duration: Double?

  @Option(help: "Requests per second of the customers.")
  var rps = 50

  @Flag(help: "Keep the temporary directory with manifests, state and logs.")
  var keep = false

  @OptionGroup var output: OutputOptions

  func validate() throws {
    if let shift, DemoShop.Split(shift) == nil {
      throw ValidationError("--shift \"\(shift)\" is not two weights; write V1/V2, as 50/50")
    }
    if shift != nil, scenario != .split { throw ValidationError("--shift is for --scenario split") }
    guard duration.map({ (1...86_400).contains($0) }) ?? true else {
      throw ValidationError("--duration takes 1 to 86400 seconds")
    }
    guard (1...100_000).contains(rps) else { throw ValidationError("--rps takes 1 to 100000") }
    guard once || output.format == .table else { throw ValidationError("-o json needs --once") }
  }

  func run() async throws {
    var options = DemoRunner.Options()
    options.scenario = scenario
    options.once = once
    options.shift = shift.flatMap { DemoShop.Split($0) }
    options.duration = duration
    options.requestsPerSecond = rps
    options.keep = keep
    options.json = output.format == .json
    let code = try await DemoRunner(options).run()
    Foundation.exit(code)
  }
}

extension DemoScenario: ExpressibleByArgument {}
