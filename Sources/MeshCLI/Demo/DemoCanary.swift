internal import MeshAPI
internal import MeshCore

/// The scenario `canary`: orders-v2 is fine, orders-v3 fails a third of its requests.
extension DemoShop {
  package enum Act: Hashable, Sendable, CaseIterable {
    case good, bad

    package var stable: String { self == .good ? "orders-v1" : "orders-v2" }
    package var canary: String { self == .good ? "orders-v2" : "orders-v3" }
    /// How it must end.
    package var ending: String { self == .good ? "Promoted" : "RolledBack" }
  }

  static let canaryMembers: [Member] =
    members.filter { !$0.service.hasPrefix("orders") && $0.service != "web" }
    + [
      version("v1", "4"), version("v2", "6"), version("v3", "6", ["--error-percent", "33"]),
    ] + members.filter { $0.service == "web" }

  private static func version(_ name: String, _ latency: String, _ more: [String] = []) -> Member {
    Member(
      service: "orders-\(name)", upstreams: ["payments"],
      labels: ["shop-part=\(name == "v1" ? "orders" : "candidate")"],
      arguments: ["orders", "--version", name, "--latency-ms", latency] + more)
  }

  package static let rolloutFile = "rollout.yaml"
  package static let candidatesFile = "candidates.yaml"

  /// What the shop without this scenario does not have.
  static let candidates = account("orders-v3") + "---\n" + service("orders-v3", selector: "app: orders-v3")

  /// Seconds, where a real one has minutes.
  package static func rollout(_ act: Act) -> String {
    """
    apiVersion: mesh.apus.dev/v1alpha1
    kind: TrafficPolicy
    metadata:
      name: orders
      namespace: \(namespace)
    spec:
      targetRefs:
        - group: ""
          kind: Service
          name: orders
      rollout:
        stable: {service: \(act.stable)}
        canary: {service: \(act.canary)}
        steps:
          - {weight: 20, pause: 2s}
          - {weight: 50, pause: 2s}
        gates:
          interval: 1s
          minimumRequests: 20
          successRate: {minimumPercent: 95}
          latency: {percentile: 95, maximum: 500ms}

    """
  }
}

// MARK: - Playing it

extension DemoRunner {
  struct ActOutcome {
    var item: RolloutReport.Item
    var complaints: [String]
  }

  /// An act that has no end by then has none.
  private static let longestAct: TimeSpan = .seconds(30)

  func begin(_ act: DemoShop.Act) throws {
    try write(DemoShop.rollout(act), to: DemoShop.rolloutFile)
  }

  func rollout() async throws -> RolloutReport.Item? {
    RolloutReport(try await client.rollouts(.init())).items.first
  }

  /// Both versions, one after the other, with their reasons as they come.
  func playActs() async throws -> [ActOutcome] {
    var outcomes: [ActOutcome] = []
    for act in DemoShop.Act.allCases {
      Terminal.say("rolling \(act.canary) out: it is \(act == .good ? "fine" : "broken")")
      try begin(act)
      guard let item = try await follow(act) else {
        throw CLIFailure("the control plane knows no rollout of \(act.canary)")
      }
      let isRight = item.phase == act.ending
      outcomes.append(
        ActOutcome(
          item: item,
          complaints: isRight
            ? [] : ["the rollout of \(act.canary) should have been \(act.ending) and is \(item.phase)"]))
      if !options.json { Terminal.print(item.render(color: Terminal.hasColor) + "\n") }
    }
    return outcomes
  }

  private func follow(_ act: DemoShop.Act) async throws -> RolloutReport.Item? {
    let end = ContinuousClock.now.advanced(by: .nanoseconds(Self.longestAct.nanoseconds))
    var item: RolloutReport.Item?
    var told = try await rollout()?.events.last
    while ContinuousClock.now < end {
      try await processes.pause(.milliseconds(200))
      guard let now = try await rollout(), now.canary.service == act.canary else { continue }
      for event in now.events(after: told) { Terminal.say("\(event.reason): \(event.message)") }
      told = now.events.last ?? told
      item = now
      if now.isFinal { break }
    }
    return item
  }
}
