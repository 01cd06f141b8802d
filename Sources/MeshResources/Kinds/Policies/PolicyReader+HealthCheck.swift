import MeshCore
import MeshPolicy

extension PolicyReader {
  /// The block counts as a whole: a probe of one policy with the interval of another would be nobody's.
  static func healthCheck(_ block: Fields) -> [PolicySetting] {
    let isOn = block.optional("enabled").flatMap { $0.bool() } ?? true
    let probes: [HealthCheckPolicy.Probe?] = [
      block.optional("http").flatMap { httpProbe($0) }, block.optional("grpc").flatMap { grpcProbe($0) },
      block.optional("tcp").flatMap { tcpProbe($0) },
    ]
    let interval = block.time("interval")
    let timeout = block.time("timeout")
    let numbers = (
      jitter: block.count("jitterPercent", 0...100), unhealthy: block.count("unhealthyThreshold", PolicyLimits.checks),
      healthy: block.count("healthyThreshold", PolicyLimits.checks)
    )
    if let interval, interval < PolicyLimits.shortestInterval {
      block.error("interval", "is shorter than 100ms, which would be load, not a check", fix: "write 100ms or more")
    }
    if timeout == .zero { block.error("timeout", "must not be 0s", fix: "write how long an answer may take") }
    guard !block.context.hasErrors else { return [] }
    let found = probes.compactMap(\.self)
    guard isOn else {
      if !found.isEmpty { block.error("enabled", "is false, and a probe is described", fix: "remove one of the two") }
      return [.healthCheck(nil)]
    }
    guard let probe = found.first, found.count == 1 else {
      block.error("must have exactly one probe", fix: "write one of http, grpc and tcp")
      return []
    }
    var policy = HealthCheckPolicy(probe: probe)
    policy.interval = interval ?? policy.interval
    policy.timeout = timeout ?? policy.timeout
    policy.jitterPercent = numbers.jitter ?? policy.jitterPercent
    policy.unhealthyThreshold = numbers.unhealthy ?? policy.unhealthyThreshold
    policy.healthyThreshold = numbers.healthy ?? policy.healthyThreshold
    return [.healthCheck(policy)]
  }

  // MARK: - Probes

  private static func httpProbe(_ field: Field) -> HealthCheckPolicy.Probe? {
    guard let fields = field.fields() else { return nil }
    var probe = HealthCheckPolicy.HTTPProbe()
    if let path = fields.optional("path")?.requestTarget() { probe.path = path }
    if fields.optional("method")?.word(["GET", "HEAD"]) == "HEAD" { probe.method = .head }
    probe.host = fields.optional("host")?.hostText()
    if let list = fields.optional("expectedStatuses") {
      probe.expectedStatuses = list.elements(atMost: RouteLimits.retryCodes).compactMap { $0.statusRange() }
      if probe.expectedStatuses.isEmpty, !list.context.hasErrors {
        list.error("must not be empty", fix: "write statuses or ranges, such as 200-299")
      }
    }
    fields.finish()
    return .http(probe)
  }

  private static func grpcProbe(_ field: Field) -> HealthCheckPolicy.Probe? {
    guard let fields = field.fields() else { return nil }
    let service = fields.optional("service").flatMap { $0.string() } ?? ""
    if service.utf8.count > PolicyLimits.nameBytes {
      fields.error("service", "is longer than \(PolicyLimits.nameBytes) bytes")
    }
    fields.finish()
    return .grpc(service: service)
  }

  private static func tcpProbe(_ field: Field) -> HealthCheckPolicy.Probe? {
    guard let fields = field.fields() else { return nil }
    fields.finish()
    return .tcp
  }
}

extension Field {
  /// A path with its query, as it goes into a request line.
  fileprivate func requestTarget() -> String? {
    guard let text = string() else { return nil }
    if text.hasPrefix("/"), isPlain(text) { return text }
    error("\"\(text)\" is not the path of a request", fix: "begin it with /, without spaces")
    return nil
  }

  fileprivate func hostText() -> String? {
    guard let text = string() else { return nil }
    if !text.isEmpty, isPlain(text), !text.contains("/") { return text }
    error("\"\(text)\" is not a host", fix: "write a name, or a name and a port")
    return nil
  }

  private func isPlain(_ text: String) -> Bool {
    text.utf8.count <= PolicyLimits.cookiePathBytes && text.utf8.allSatisfy { (0x21...0x7E).contains($0) }
  }

  /// `200`, or `200-299`.
  fileprivate func statusRange() -> ClosedRange<UInt16>? {
    guard case .string(let text) = node.value else {
      return integer(in: 100...599).map { UInt16($0)...UInt16($0) }
    }
    let ends = text.split(separator: "-", omittingEmptySubsequences: false).compactMap { UInt16($0) }
    if ends.count == 2, ends[0] >= 100, ends[0] <= ends[1], ends[1] <= 599 { return ends[0]...ends[1] }
    error("\"\(text)\" is no range of statuses", fix: "write such as 200-299, within 100 and 599")
    return nil
  }
}
