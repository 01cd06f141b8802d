/// Values of the process as a whole, read by the control thread when it renders.
package struct ProcessMetrics: Sendable {
  package var version = ""
  /// The workload this proxy serves; Istio's families name it in every series.
  package var workload = ""
  package var namespace = ""
  package var identity = ""

  /// Unix seconds; nil without a certificate.
  package var certificateExpiration: Double?
  /// Of the authorities above it; nil without a certificate.
  package var issuerExpiration: Double?
  package var rootExpiration: Double?
  package var certificateRefreshes: UInt64 = 0
  /// Time since the configuration in force was known to be the newest; nil before the first.
  package var configAgeSeconds: Double?
  /// What private keys and key exchanges stand in, and what they take of it; 0 where the ordinary heap serves.
  package var keyMemoryBytes = 0
  package var keyMemoryUsed = 0
  package var configVersion: UInt64 = 0
  package var discoveryConnected = false
  package var discoveryRejected: UInt64 = 0
  /// Questions to the DNS, by their end.
  package var dnsAnswered: UInt64 = 0
  package var dnsFailed: UInt64 = 0
  /// Requests to change something over the admin port that were refused, by reason.
  package var adminRefused: [(reason: String, count: UInt64)] = []

  /// Key sets to verify tokens with, by the end of a look for them.
  package var keySetsRead: UInt64 = 0
  package var keySetsFailed: UInt64 = 0
  package var keySets: [KeySetGauge] = []

  /// Of the workload's ports that have one.
  package var concurrency: [ConcurrencyGauge] = []

  package var cpuSeconds: Double = 0
  package var residentBytes: UInt64 = 0
  package var openDescriptors: UInt64 = 0
  /// Unix seconds.
  package var startTimeSeconds: Double = 0

  package init() {}
}

/// Which metric names are rendered.
package struct MetricsFamilies: OptionSet, Sendable {
  package let rawValue: UInt8
  package init(rawValue: UInt8) { self.rawValue = rawValue }

  package static let linkerd = MetricsFamilies(rawValue: 1)
  package static let istio = MetricsFamilies(rawValue: 2)

  /// Reads `linkerd,istio`; nil for an unknown or no name.
  package init?(_ text: some StringProtocol) {
    var families: MetricsFamilies = []
    for name in text.split(separator: ",") {
      switch name {
      case "linkerd": families.insert(.linkerd)
      case "istio": families.insert(.istio)
      default: return nil
      }
    }
    guard !families.isEmpty else { return nil }
    self = families
  }
}
