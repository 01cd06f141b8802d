import Synchronization

/// The controller's own counters, by family and one label. Any task may count.
package final class ControllerMetrics: Sendable {
  /// A family: its name, the name of its label, what it means. Label values are words of ours, never what a peer sent, so the number of
  /// series is bounded by the code.
  package enum Family: String, CaseIterable, Sendable {
    case joins = "workload_joins_total"
    case joinRefusals = "workload_join_refusals_total"
    case callRefusals = "control_calls_refused_total"
    case certificateRefusals = "certificate_refusals_total"
    case certificates = "certificates_issued_total"
    case issuerRequests = "issuer_requests_total"

    var label: String {
      switch self {
      case .joins: "attestor"
      case .joinRefusals, .callRefusals, .certificateRefusals: "reason"
      case .certificates: "kind"
      case .issuerRequests: "result"
      }
    }

    var help: String {
      switch self {
      case .joins: "Workloads that joined without the control socket, by what proved them."
      case .joinRefusals: "Attempts to join that were refused, by reason."
      case .callRefusals: "Calls of proxies that were refused for want of a good token, by reason."
      case .certificateRefusals: "Certificate requests refused, by reason."
      case .certificates: "Certificates issued."
      case .issuerRequests: "Requests to the signer of the mesh's issuers, by what came of them."
      }
    }
  }

  private struct Series: Hashable {
    var family: Family
    var value: String
  }

  /// A number that is looked up when somebody reads it.
  package struct Gauge: Sendable {
    var name: String
    var help: String
    var label: String
    /// A value for each value of the label.
    var read: @Sendable () -> [(label: String, value: Int64)]

    package init(
      name: String, help: String, label: String, read: @escaping @Sendable () -> [(label: String, value: Int64)]
    ) {
      self.name = name
      self.help = help
      self.label = label
      self.read = read
    }
  }

  private let counts = Mutex<[Series: UInt64]>([:])
  private let gauges = Mutex<[Gauge]>([])

  package init() {}

  package func add(_ gauge: Gauge) { gauges.withLock { $0.append(gauge) } }

  package func count(_ family: Family, _ value: String) {
    counts.withLock { $0[Series(family: family, value: value), default: 0] &+= 1 }
  }

  package func value(_ family: Family, _ value: String) -> UInt64 {
    counts.withLock { $0[Series(family: family, value: value)] ?? 0 }
  }

  /// Prometheus text (0.0.4).
  package func text() -> String {
    let counts = counts.withLock { $0 }
    var text = ""
    for family in Family.allCases {
      text += "# HELP \(family.rawValue) \(family.help)\n# TYPE \(family.rawValue) counter\n"
      for (series, count) in counts.filter({ $0.key.family == family }).sorted(by: { $0.key.value < $1.key.value }) {
        text += "\(family.rawValue){\(family.label)=\"\(series.value)\"} \(count)\n"
      }
    }
    for gauge in gauges.withLock({ $0 }) {
      text += "# HELP \(gauge.name) \(gauge.help)\n# TYPE \(gauge.name) gauge\n"
      for (label, value) in gauge.read() { text += "\(gauge.name){\(gauge.label)=\"\(label)\"} \(value)\n" }
    }
    return text
  }
}
