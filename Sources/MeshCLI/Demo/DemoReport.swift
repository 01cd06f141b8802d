/// One measurement of the demo, its table, and whether it looks like a healthy mesh.
package struct DemoReport: Encodable, Sendable {
  package var split: String
  package var services: [StatTable.Service]
  package var backends: [StatTable.Backend]
  /// What is wrong; empty for a healthy shop.
  package var complaints: [String]

  package static let lowestSuccessRate = 0.9

  private let lines: [MeshStats.ServiceLine]
  private let observed: [MeshStats.BackendLine]

  enum CodingKeys: String, CodingKey {
    case split, services, backends, complaints
  }

  package init(_ stats: MeshStats, split: DemoShop.Split) {
    self.split = "\(split)"
    lines = stats.services.filter { $0.service != "customers" }
    observed = stats.backends.filter { $0.from == "web" && $0.service == "orders" }
    services = lines.map(StatTable.Service.init)
    backends = observed.map(StatTable.Backend.init)
    complaints =
      lines.flatMap { Self.complaints($0, split: split) } + Self.splitComplaints(observed, split: split)
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
    let shares = ["orders-v1", "orders-v2"].map { name in
      let share = observed.first { $0.backend == name }?.share
      return "\(name) \(share.map { Format.fixed($0 * 100, 1) + "%" } ?? "-")"
    }
    return table.render() + "\nsplit of orders: \(split), observed: \(shares.joined(separator: ", "))\n"
  }
}
