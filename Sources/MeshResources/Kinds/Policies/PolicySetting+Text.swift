package import MeshCore
package import MeshPolicy

extension PolicySetting {
  /// The value as a manifest would have it, for people.
  package var text: String {
    switch self {
    case .algorithm(let algorithm): algorithm.word
    case .hashOn(let source): source.text
    case .slowStart(let start): start?.text ?? "none"
    case .locality(let locality): locality?.text ?? "none"
    case .subset(let subset): subset?.text ?? "none"
    case .outliers(let flag), .countLocalFailuresApart(let flag), .successRate(let flag), .latency(let flag): "\(flag)"
    case .successRateDeviations(let thousandths): "\(Double(thousandths) / 1000)"
    case .healthCheck(let check): check?.text ?? "none"
    case .adaptiveConcurrency(let settings): settings?.text ?? "none"
    case .overrides(let policy): policy?.text ?? "none"
    case .sessionPersistence(let session): session?.text ?? "none"
    case .compression(let policy): policy?.text ?? "none"
    case .rateLimits(let limits): limits.isEmpty ? "none" : limits.map(\.text).joined(separator: "; ")
    case .globalRateLimit(let limit): limit?.text ?? "none"
    case .maximumBodyBytes(let bytes): bytes == 0 ? "none" : "\(bytes)"
    case .bodyBufferBytes(let bytes): bytes == 0 ? "none" : "\(bytes)"
    case .hedging(let hedging): hedging?.text ?? "none"
    case .retryConditions(let conditions): conditions.text
    case .interval(let span), .baseEjection(let span), .maximumEjection(let span), .latencyFloor(let span),
      .retryBackoff(let span), .connectTimeout(let span):
      GatewayDuration.text(span)
    case .requestTimeout(let span), .backendRequestTimeout(let span), .maximumRetryAfter(let span),
      .idleTimeout(let span), .streamTimeout(let span):
      span == .zero ? "none" : GatewayDuration.text(span)
    case .rollout(let rollout): rollout.text
    case .panicPercent(let number), .consecutiveFailures(let number), .consecutiveGatewayFailures(let number),
      .consecutiveLocalFailures(let number), .consecutiveConnectFailures(let number),
      .ejectionJitterPercent(let number), .maximumEjectedPercent(let number), .successRateHosts(let number),
      .successRateRequests(let number), .successRateFailurePercent(let number), .latencyHosts(let number),
      .latencyRequests(let number), .latencyFactorPercent(let number), .connections(let number),
      .pendingRequests(let number), .activeRequests(let number), .retryAttempts(let number),
      .retryBudgetPercent(let number), .retryBudgetMinimum(let number):
      "\(number)"
    }
  }
}

extension BalancingPolicy.Algorithm {
  /// As manifests write it.
  package var word: String {
    switch self {
    case .peakEWMA: "peakEWMA"
    case .leastRequest: "leastRequest"
    case .roundRobin: "roundRobin"
    case .random: "random"
    case .ringHash: "ringHash"
    case .maglev: "maglev"
    }
  }
}

extension HashSource {
  fileprivate var text: String {
    switch self {
    case .header(let name): "header \(name)"
    case .query(let name): "query \(name)"
    case .sourceAddress: "sourceAddress"
    case .cookie(let cookie):
      "cookie \(cookie.name)" + (cookie.lifetime.map { ", ttl \(GatewayDuration.text($0))" } ?? "")
        + ", path \(cookie.path)"
    }
  }
}

extension HealthCheckPolicy {
  fileprivate var text: String {
    let question =
      switch probe {
      case .http(let probe): "\(probe.method == .head ? "HEAD" : "GET") \(probe.path)"
      case .grpc(let service): service.isEmpty ? "gRPC" : "gRPC \(service)"
      case .tcp: "TCP"
      }
    return "\(question) every \(GatewayDuration.text(interval)), timeout \(GatewayDuration.text(timeout))"
  }
}

extension HedgingPolicy {
  /// `after 50ms`, `after the 95 % of answers that come first, all methods`.
  package var text: String {
    let start =
      switch delay {
      case .fixed(let span): "after \(GatewayDuration.text(span))"
      case .quantile(let share):
        "after the time in which \(share / 100)\(share % 100 == 0 ? "" : ".\(share % 100 < 10 ? "0" : "")\(share % 100)") % of the answers come"
      }
    return start + (allMethods ? ", all methods" : "")
  }
}

extension OverridePolicy {
  fileprivate var text: String {
    let words = OverrideWord.allCases.filter { kinds.contains($0.kind) }.map(\.rawValue)
    return "\(words.joined(separator: ", ")) by \(callers.joined(separator: ", "))"
  }
}

extension GlobalRateLimit {
  fileprivate var text: String {
    "domain \(domain) of \(service) by "
      + descriptors.map { $0.map(\.key).joined(separator: " and ") }.joined(separator: "; ")
  }
}

extension CompressionPolicy {
  fileprivate var text: String {
    "gzip at level \(level) from \(minimumBytes) bytes on of \(contentTypes.joined(separator: ", "))"
  }
}

extension AdaptiveConcurrency {
  fileprivate var text: String { "\(minimum) to \(maximum) requests, tolerance \(tolerancePercent) %" }
}

extension RateLimit {
  fileprivate var text: String {
    let keys =
      switch key {
      case .all: ""
      case .caller: " for each caller"
      case .header(let name): " for each \(name)"
      }
    return "\(requests) per \(GatewayDuration.text(period)), burst \(burst)\(keys)"
  }
}

extension LocalityPolicy {
  /// For people.
  package var text: String {
    var parts = distribution.map { entry in
      "\(entry.from.text) -> " + entry.to.map { "\($0.zone) \($0.percent) %" }.joined(separator: ", ")
    }
    parts += failover.map { "\($0.from.text) -> " + $0.to.joined(separator: " -> ") }
    if parts.isEmpty { parts = ["own zone, own region, others"] }
    parts.append("overprovisioning \(overprovisioningPercent) %")
    if let limit = activeRequestsPerEndpoint { parts.append("at most \(limit) requests per endpoint") }
    return parts.joined(separator: "; ")
  }
}

extension LocalityPolicy.ZoneSelector {
  fileprivate var text: String {
    switch self {
    case .any: "*"
    case .zone(let zone): zone
    }
  }
}

extension SubsetPolicy {
  /// For people.
  package var text: String {
    "label \(label) by the header \(header)" + (defaultValue.map { ", without it \($0)" } ?? "")
      + ", fallback \(fallback)"
  }
}

extension Rollout {
  fileprivate var text: String {
    "from \(versions.stable) to \(versions.canary)\(versions.revision.map { " \($0)" } ?? ""), \(stepsText)"
  }
}

extension SlowStart {
  fileprivate var text: String {
    "window \(GatewayDuration.text(window)), aggression \(aggression), minimumPercent \(minimumPercent)"
  }
}

extension GatewayDuration {
  /// `1h30m`, `250ms`; fractions of a millisecond are left out.
  package static func text(_ span: TimeSpan) -> String {
    var rest = span.nanoseconds / 1_000_000
    var text = ""
    for (name, length) in [("h", Int64(3_600_000)), ("m", 60_000), ("s", 1_000), ("ms", 1)] where rest >= length {
      text += "\(rest / length)\(name)"
      rest %= length
    }
    return text.isEmpty ? "0s" : text
  }
}
