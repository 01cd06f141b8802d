import MeshCore
import MeshPolicy

extension PolicyReader {
  /// A block that says how endpoints are ejected switches ejection on, unless it says `enabled: false`.
  static func outliers(_ block: Fields) -> [PolicySetting] {
    let row = 0...PolicyLimits.count
    var settings: [PolicySetting?] = [
      block.count("consecutiveFailures", row).map { .consecutiveFailures($0) },
      block.count("consecutiveGatewayFailures", row).map { .consecutiveGatewayFailures($0) },
      block.optional("countLocalFailuresApart")?.bool().map { .countLocalFailuresApart($0) },
      block.count("consecutiveLocalFailures", row).map { .consecutiveLocalFailures($0) },
      block.count("consecutiveConnectFailures", row).map { .consecutiveConnectFailures($0) },
    ]
    if let interval = block.time("interval") {
      if interval < PolicyLimits.shortestInterval {
        block.error("interval", "is shorter than 100ms, too short to judge by", fix: "write 100ms or more")
      }
      settings.append(.interval(interval))
    }
    if let fields = block.optional("successRate")?.fields() { settings += successRate(fields) }
    if let fields = block.optional("latency")?.fields() { settings += latency(fields) }
    settings += ejection(block)
    return switched(block, settings.compactMap(\.self)) { .outliers($0) }
  }

  private static func ejection(_ block: Fields) -> [PolicySetting?] {
    let base = block.time("baseEjection")
    let maximum = block.time("maximumEjection")
    for (name, span) in [("baseEjection", base), ("maximumEjection", maximum)] where span == .some(.zero) {
      block.error(name, "0s is no time", fix: "write 1ms or more, or outliers: {enabled: false} to eject nobody")
    }
    if let base, let maximum, maximum > .zero, base > maximum {
      block.error("baseEjection", "is longer than maximumEjection", fix: "make it at most as long")
    }
    return [
      base.map { .baseEjection($0) }, maximum.map { .maximumEjection($0) },
      block.count("ejectionJitterPercent", 0...100).map { .ejectionJitterPercent($0) },
      // One may always be out.
      block.count("maximumEjectedPercent", 1...100).map { .maximumEjectedPercent($0) },
    ]
  }

  private static func successRate(_ fields: Fields) -> [PolicySetting] {
    let count = 1...PolicyLimits.count
    let settings: [PolicySetting?] = [
      fields.count("minimumHosts", count).map { .successRateHosts($0) },
      fields.count("minimumRequests", count).map { .successRateRequests($0) },
      fields.optional("deviations")?.decimal(in: PolicyLimits.deviations)
        .map { .successRateDeviations(UInt32(($0 * 1000).rounded())) },
      fields.count("minimumFailurePercent", 0...100).map { .successRateFailurePercent($0) },
    ]
    defer { fields.finish() }
    return switched(fields, settings.compactMap(\.self)) { .successRate($0) }
  }

  private static func latency(_ fields: Fields) -> [PolicySetting] {
    let count = 1...PolicyLimits.count
    let settings: [PolicySetting?] = [
      fields.count("minimumHosts", count).map { .latencyHosts($0) },
      fields.count("minimumRequests", count).map { .latencyRequests($0) },
      // 100 and less would eject half of all.
      fields.count("factorPercent", PolicyLimits.factorPercent).map { .latencyFactorPercent($0) },
      fields.time("floor").map { .latencyFloor($0) },
    ]
    defer { fields.finish() }
    return switched(fields, settings.compactMap(\.self)) { .latency($0) }
  }

  /// Adds what switches the block on or off; beside `enabled: false` nothing else means anything.
  private static func switched(
    _ fields: Fields, _ settings: [PolicySetting], _ make: (Bool) -> PolicySetting
  ) -> [PolicySetting] {
    let enabled = fields.optional("enabled").map { $0.bool() }
    if enabled == .some(false), !settings.isEmpty {
      fields.error("enabled", "is false, so the fields beside it say nothing", fix: "remove them, or write true")
    }
    let isSilent = enabled == nil && settings.isEmpty
    return isSilent ? [] : settings + [make((enabled ?? true) ?? true)]
  }
}
