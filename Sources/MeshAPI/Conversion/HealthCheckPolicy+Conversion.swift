import MeshCore
import MeshPolicy
import SwiftProtobuf

extension HealthCheckPolicy {
  /// Checks more often than this would be load, not checks.
  static var shortestInterval: TimeSpan { .milliseconds(10) }

  init(_ message: Apus_V1_HealthCheck, limits: ConversionLimits) throws(ConversionError) {
    switch message.probe {
    case .http(let probe): self.init(probe: .http(try HTTPProbe(probe, limits: limits)))
    case .grpc(let probe):
      try limits.check(probe.service, "grpc.service", allowEmpty: true)
      self.init(probe: .grpc(service: probe.service))
    case .tcp: self.init(probe: .tcp)
    case nil:
      throw ConversionError(field: "probe", problem: "none is set; is the controller newer than this proxy?")
    }
    interval = try convertSomeTime(message.intervalMs, "interval_ms")
    guard interval >= Self.shortestInterval else {
      throw ConversionError(field: "interval_ms", problem: "\(message.intervalMs) is less than 10")
    }
    jitterPercent = try convertPercent(message.jitterPercent, "jitter_percent")
    timeout = try convertSomeTime(message.timeoutMs, "timeout_ms")
    unhealthyThreshold = max(message.unhealthyThreshold, 1)
    healthyThreshold = max(message.healthyThreshold, 1)
  }
}

extension HealthCheckPolicy.HTTPProbe {
  init(_ message: Apus_V1_HttpHealthProbe, limits: ConversionLimits) throws(ConversionError) {
    try limits.check(message.path, "http.path")
    try limits.check(message.host, "http.host", allowEmpty: true)
    try limits.check(message.expected.count, atMost: limits.maximumRuleParts, "http.expected")
    // Both are written into a request head as they are.
    for (text, field) in [(message.path, "http.path"), (message.host, "http.host")] {
      guard text.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
        throw ConversionError(field: field, problem: "holds blanks, control characters or letters outside of ASCII")
      }
    }
    guard message.path.hasPrefix("/") else {
      throw ConversionError(field: "http.path", problem: "does not begin with /")
    }
    self.init(
      path: message.path, method: message.head ? .head : .get, host: message.host.isEmpty ? nil : message.host,
      expectedStatuses: try convertEach(message.expected, "http.expected") { range throws(ConversionError) in
        guard let first = UInt16(exactly: range.first), let last = UInt16(exactly: range.last),
          100 <= first, first <= last, last <= 599
        else { throw ConversionError(field: "", problem: "\(range.first) to \(range.last) are no statuses") }
        return first...last
      })
  }
}

// MARK: - To the wire

extension Apus_V1_HealthCheck {
  init(_ policy: HealthCheckPolicy) {
    self.init()
    switch policy.probe {
    case .http(let probe):
      http.path = probe.path
      http.head = probe.method == .head
      http.host = probe.host ?? ""
      http.expected = probe.expectedStatuses.map { range in
        var message = Apus_V1_StatusRange()
        message.first = UInt32(range.lowerBound)
        message.last = UInt32(range.upperBound)
        return message
      }
    case .grpc(let service): grpc.service = service
    case .tcp: tcp = true
    }
    intervalMs = policy.interval.wireMilliseconds
    jitterPercent = policy.jitterPercent
    timeoutMs = policy.timeout.wireMilliseconds
    unhealthyThreshold = policy.unhealthyThreshold
    healthyThreshold = policy.healthyThreshold
  }
}
