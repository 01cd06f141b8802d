internal import MeshControl

/// One measurement of the demo, its table, and whether it looks like a healthy mesh.
package struct DemoReport: Encodable, Sendable {
  package var split: String
  package var services: [StatTable.Service]
  package var backends: [StatTable.Backend]
  /// What is wrong; empty for a healthy shop.
  package var complaints: [String]
  /// Faults that were met on purpose, and requests that web's proxy sent again.
  package var injectedFaults: Double
  package var retries: Double

  package static let lowestSuccessRate = 0.9
  /// Of web while a tenth of what orders needs fails: without repeats it would be 0.9.
  package static let lowestSuccessUnderFaults = 0.97

  private let lines: [MeshStats.ServiceLine]
  private let observed: [MeshStats.BackendLine]
  private let faults: [MeshStats.FaultLine]
  private let scenario: DemoScenario

  enum CodingKeys: String, CodingKey {
    case split, services, backends, complaints, injectedFaults, retries
  }

  /// `isStruck`: the faults of the scenario were in force.
  package init(
    _ stats: MeshStats, split: DemoShop.Split, scenario: DemoScenario = .split, isStruck: Bool = false
  ) {
    self.scenario = scenario
    self.split = scenario == .split ? "\(split)" : "none"
    faults = stats.faults
    injectedFaults = faults.reduce(0) { $0 + $1.count }
    retries = stats.backends.filter { $0.from == "web" }.reduce(0) { $0 + $1.stats.retries }
    lines = stats.services.filter { $0.service != "customers" }
    observed = stats.backends.filter { $0.from == "web" && $0.service == "orders" }
    services = lines.map(StatTable.Service.init)
    backends = observed.map(StatTable.Backend.init)
    switch scenario {
    case .split:
      complaints =
        lines.flatMap { Self.complaints($0, split: split) } + Self.splitComplaints(observed, split: split)
    case .canary:
      // Versions come and go; what matters is what customers see before.
      complaints = lines.filter { $0.service == "web" }.flatMap { Self.complaints($0, split: split) }
    case .chaos:
      let all = DemoShop.Split(v1: 1, v2: 0)
      // That orders fails when payments does is what the experiment is about.
      complaints = lines.filter { !isStruck || !$0.service.hasPrefix("orders") }.flatMap {
        Self.complaints($0, split: all)
      }
      if isStruck { complaints += Self.chaosComplaints(lines, faults: injectedFaults, retries: retries) }
    }
  }

  /// What a client's proxy repeats customers do not see.
  private static func chaosComplaints(
    _ lines: [MeshStats.ServiceLine], faults: Double, retries: Double
  ) -> [String] {
    var out: [String] = []
    if faults == 0 { out.append("no faults were injected") }
    if retries == 0 { out.append("web repeated nothing") }
    let success = lines.first { $0.service == "web" }?.stats.successRate
    if let success, success < lowestSuccessUnderFaults {
      out.append("web: only \(Format.percent(success)) succeeded; the repeats should have hidden nearly every fault")
    }
    return out
  }

  private static func complaints(_ line: MeshStats.ServiceLine, split: DemoShop.Split) -> [String] {
    if line.service == "orders-v1", split.v1 == 0 { return [] }
    if line.service == "orders-v2", split.v2 == 0 { return [] }
    guard let success = line.stats.successRate, line.stats.requests > 0 else {
      return ["\(line.service) got no requests"]
    }
    var out: [String] = []
    if success < lowestSuccessRate { out.append("\(line.service): only \(Format.percent(success)) succeeded") }
    if let secured = line.stats.securedShare, secured < 1 {
      out.append("\(line.service): only \(Format.percent(secured)) of the requests came over mutual TLS")
    }
    return out
  }

  /// Chance moves the observed share: four standard deviations of a binomial, and never less than 5 points, are fine.
  private static func splitComplaints(_ lines: [MeshStats.BackendLine], split: DemoShop.Split) -> [String] {
    let total = lines.reduce(0) { $0 + $1.stats.requests }
    guard total > 0 else { return ["web sent no requests to orders"] }
    let share = lines.first { $0.backend == "orders-v2" }?.share ?? 0
    let expected = split.shareOfV2
    let allowed = max(0.05, 4 * (expected * (1 - expected) / total).squareRoot())
    guard abs(share - expected) > allowed else { return [] }
    return ["orders-v2 got \(Format.percent(share)) of the requests, the split says \(Format.percent(expected))"]
  }

  package func render() -> String {
    var table = TextTable([
      .init("SERVICE"), .init("SUCCESS", .right), .init("RPS", .right), .init("P50", .right), .init("P95", .right),
      .init("P99", .right), .init("TLS", .right),
    ])
    for line in lines {
      let stats = line.stats
      table.add(
        line.service, Format.percent(stats.successRate),
        Format.rate(stats.requests > 0 ? stats.requestsPerSecond : nil),
        Format.milliseconds(stats.latency.quantile(0.5)), Format.milliseconds(stats.latency.quantile(0.95)),
        Format.milliseconds(stats.latency.quantile(0.99)),
        stats.securedShare.map { Format.fixed($0 * 100, 0) + "%" } ?? "-")
    }
    if scenario == .chaos { return table.render() + "\n" + chaosText }
    if scenario == .canary { return table.render() }
    let shares = ["orders-v1", "orders-v2"].map { name in
      let share = observed.first { $0.backend == name }?.share
      return "\(name) \(share.map { Format.fixed($0 * 100, 1) + "%" } ?? "-")"
    }
    return table.render() + "\nsplit of orders: \(split), observed: \(shares.joined(separator: ", "))\n"
  }

  private var chaosText: String {
    let kinds = faults.map { "\($0.injection) \($0.fault) \(Format.fixed($0.count, 0))" }
    return "injected on the way from orders to payments: \(kinds.isEmpty ? "nothing" : kinds.joined(separator: ", "))\n"
      + "repeated by web's proxy: \(Format.fixed(retries, 0)) requests to orders\n"
  }
}
