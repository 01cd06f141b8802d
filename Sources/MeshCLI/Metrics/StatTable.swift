internal import MeshControl

/// The tables and JSON of `apus stat`.
package enum StatTable {
  package struct Service: Encodable, Sendable {
    package var service: String
    package var namespace: String
    package var meshed: Int
    package var ready: Int
    package var traffic: Traffic

    package init(_ line: MeshStats.ServiceLine) {
      service = line.service
      namespace = line.namespace
      meshed = line.meshed
      ready = line.ready
      traffic = Traffic(line.stats)
    }
  }

  package struct Backend: Encodable, Sendable {
    package var from: String
    package var service: String
    package var backend: String
    package var share: Double?
    package var traffic: Traffic

    package init(_ line: MeshStats.BackendLine) {
      from = line.from
      service = line.service
      backend = line.backend
      share = line.share
      traffic = Traffic(line.stats)
    }
  }

  /// Rates are shares of one; latencies are milliseconds to the first byte of the response.
  package struct Traffic: Encodable, Sendable {
    package var requests: Double
    package var requestsPerSecond: Double?
    package var successRate: Double?
    package var mutualTLSShare: Double?
    package var latencyP50Ms: Double?
    package var latencyP95Ms: Double?
    package var latencyP99Ms: Double?

    package init(_ stats: TrafficStats) {
      requests = stats.requests
      requestsPerSecond = stats.requestsPerSecond
      successRate = stats.successRate
      mutualTLSShare = stats.securedShare
      latencyP50Ms = stats.latency.quantile(0.5)
      latencyP95Ms = stats.latency.quantile(0.95)
      latencyP99Ms = stats.latency.quantile(0.99)
    }
  }

  package static func services(_ lines: [MeshStats.ServiceLine]) -> String {
    guard !lines.isEmpty else { return "no workloads are registered; start one with: apus run\n" }
    let namespaced = Set(lines.map(\.namespace)).count > 1
    var table = TextTable(
      (namespaced ? [.init("NAMESPACE")] : []) + [.init("SERVICE"), .init("MESHED", .right), .init("READY", .right)]
        + numbers + [.init("TLS", .right)])
    for line in lines {
      table.rows.append(
        (namespaced ? [line.namespace] : []) + [line.service, "\(line.meshed)", "\(line.ready)"] + cells(line.stats)
          + [tls(line.stats)])
    }
    return table.render()
  }

  package static func backends(_ lines: [MeshStats.BackendLine]) -> String {
    guard !lines.isEmpty else { return "no requests were sent in this time\n" }
    var table = TextTable([.init("FROM"), .init("SERVICE"), .init("BACKEND"), .init("SHARE", .right)] + numbers)
    for line in lines {
      table.rows.append([line.from, line.service, line.backend, Format.percent(line.share)] + cells(line.stats))
    }
    return table.render()
  }

  private static let numbers: [TextTable.Column] = [
    .init("SUCCESS", .right), .init("RPS", .right), .init("LATENCY_P50", .right), .init("LATENCY_P95", .right),
    .init("LATENCY_P99", .right),
  ]

  private static func cells(_ stats: TrafficStats) -> [String] {
    [
      Format.percent(stats.successRate), Format.rate(stats.requests > 0 ? stats.requestsPerSecond : nil),
      Format.milliseconds(stats.latency.quantile(0.5)), Format.milliseconds(stats.latency.quantile(0.95)),
      Format.milliseconds(stats.latency.quantile(0.99)),
    ]
  }

  private static func tls(_ stats: TrafficStats) -> String {
    guard let share = stats.securedShare else { return "-" }
    return Format.fixed(share * 100, 0) + "%"
  }
}
