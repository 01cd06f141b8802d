package import MeshCore
internal import MeshHTTP
package import MeshPolicy
internal import MeshResources

/// Rules and their parts in words, the same in every command.
package enum RuleText {
  // MARK: - Matches

  package static func match(_ match: RouteMatch) -> String {
    // Every path is what the API says where nothing is said.
    let said = match.conditions.filter { $0 != .path(.prefix("/")) }
    return said.isEmpty ? "everything" : said.map(condition).joined(separator: ", ")
  }

  package static func condition(_ condition: MatchCondition) -> String {
    switch condition {
    case .method(let method): "method \(method)"
    case .path(.exact(let path)): "path = \(path)"
    case .path(.prefix(let path)): "path \(path == "/" ? "/*" : "\(path), \(path)/*")"
    case .path(.regularExpression(let pattern)): "path ~ \(pattern)"
    case .header(let header): "header \(header.name) \(value(header.value))"
    case .query(let query): "query \(query.name) \(value(query.value))"
    }
  }

  private static func value(_ value: ValueMatch) -> String {
    switch value {
    case .exact(let text): "= \(text)"
    case .regularExpression(let pattern): "~ \(pattern)"
    }
  }

  /// Why a condition does not hold: `header x-version is "one", not = two`.
  package static func refusal(_ refusal: RouteExplanation.Refusal) -> String {
    let wanted = condition(refusal.condition)
    switch refusal.condition {
    case .method: return "wants \(wanted), the request has \(refusal.found ?? "none")"
    case .path: return "wants \(wanted)"
    case .header, .query:
      return "wants \(wanted), the request has \(refusal.found.map { "\"\($0)\"" } ?? "none")"
    }
  }

  // MARK: - Filters

  package static func filter(_ filter: RouteFilter) -> String {
    switch filter {
    case .headers(let filter): headers(filter)
    case .redirect(let redirect): "redirect \(redirect.status)"
    case .rewrite(let rewrite):
      "rewrite "
        + [rewrite.hostname.map { "host to \($0)" }, rewrite.path.map(path)].compactMap { $0 }.joined(separator: ", ")
    case .mirror(let mirror): "mirror \(share(mirror)) to \(mirror.backend)"
    case .cors(let policy): "CORS for \(policy.allowOrigins.joined(separator: " "))"
    }
  }

  private static func headers(_ filter: HeaderFilter) -> String {
    var parts: [String] = []
    if !filter.set.isEmpty {
      parts.append("set " + filter.set.map { "\($0.name): \($0.value)" }.joined(separator: ", "))
    }
    if !filter.add.isEmpty {
      parts.append("add " + filter.add.map { "\($0.name): \($0.value)" }.joined(separator: ", "))
    }
    if !filter.remove.isEmpty { parts.append("remove " + filter.remove.joined(separator: ", ")) }
    return "\(filter.direction == .request ? "request" : "response") headers: \(parts.joined(separator: "; "))"
  }

  private static func path(_ modifier: PathModifier) -> String {
    switch modifier {
    case .full(let path): "path to \(path)"
    case .prefix(let matched, let replacement): "path \(matched) to \(replacement.isEmpty ? "/" : replacement)"
    }
  }

  private static func share(_ mirror: RequestMirror) -> String {
    percent(Double(mirror.numerator) / Double(max(mirror.denominator, 1)))
  }

  // MARK: - Limits and checks

  package static func rateLimit(_ limit: RateLimit) -> String {
    let bucket =
      switch limit.key {
      case .all: ""
      case .caller: " of each caller"
      case .header(let name): " of each \(name)"
      }
    let burst = limit.burst == limit.requests ? "" : ", bursts of \(limit.burst)"
    return "\(limit.requests) requests\(bucket) in \(time(limit.period))\(burst), by each proxy; more are answered 429"
  }

  package static func requestBody(_ body: RequestBodyPolicy) -> String {
    [
      body.maximumBytes.map { "content past \($0) bytes is answered 413" },
      body.bufferBytes.map { "content of up to \($0) bytes is held until all of it is there" },
    ].compactMap { $0 }.joined(separator: "; ")
  }

  package static func overrides(_ policy: OverridePolicy) -> String {
    let fields = [
      (OverridePolicy.Kinds.timeout, "x-apus-timeout"), (.attemptTimeout, "x-apus-attempt-timeout"),
      (.retries, "x-apus-retries"),
    ].filter { policy.kinds.contains($0.0) }.map(\.1)
    return "requests of \(policy.callers.joined(separator: ", ")) may say \(fields.joined(separator: ", "))"
  }

  package static func globalRateLimit(_ limit: GlobalRateLimit) -> String {
    let keys = limit.descriptors.map { $0.map(\.key).joined(separator: " and ") }.joined(separator: "; ")
    let failure =
      switch limit.failure {
      case .allow: "allowed"
      case .deny: "refused"
      case .local(let own): "limited here to \(own.requests) in \(time(own.period))"
      }
    return "counted by \(limit.service) for domain \(limit.domain) by \(keys); without its answer in "
      + "\(time(limit.timeout)) \(failure)"
  }

  /// All limits of a rule, in their order.
  package static func limits(_ rule: RouteRule) -> [String] {
    rule.rateLimits.map(rateLimit) + [rule.globalRateLimit.map(globalRateLimit)].compactMap { $0 }
  }

  /// What a fault does to the requests that it is drawn for: `delayed by 2 s`, `answered 503`.
  package static func effects(_ fault: FaultPolicy, isGRPC: Bool) -> [String] {
    var effects: [String] = []
    if let delay = fault.delay { effects.append(text(delay)) }
    if let abort = fault.abort, abort.applies(toGRPC: isGRPC) { effects.append(text(abort, isGRPC: isGRPC)) }
    if fault.isReset { effects.append("reset") }
    if let rate = fault.requestRate { effects.append("request at \(rate) bytes/s") }
    if let rate = fault.responseRate { effects.append("answer at \(rate) bytes/s") }
    if let bytes = fault.truncateAfter { effects.append("answer cut after \(bytes) bytes") }
    if let share = fault.corruptMillionths {
      effects.append("\(percent(Double(share) / 1e6)) of the answer's bytes corrupted")
    }
    return effects
  }

  private static func text(_ delay: FaultDelay) -> String {
    if delay.points.count == 1, let only = delay.points.first, only.quantile == 0 {
      return "delayed by \(time(only.delay))"
    }
    let points = delay.points.map { "\(percent(Double($0.quantile) / 1e6)) at most \(time($0.delay))" }
    return "delayed, \(points.joined(separator: ", "))"
  }

  private static func text(_ abort: FaultAbort, isGRPC: Bool) -> String {
    if isGRPC, let status = abort.grpcStatus { return "answered grpc-status \(status.rawValue)" }
    return "answered \(abort.status ?? 0)"
  }

  package static func healthCheck(_ check: HealthCheckPolicy) -> String {
    let probe =
      switch check.probe {
      case .http(let http): "\(http.method == .get ? "GET" : "HEAD") \(http.path)"
      case .grpc(let service): "gRPC health\(service.isEmpty ? "" : " of \(service)")"
      case .tcp: "a connection"
      }
    return "\(probe) every \(time(check.interval))"
  }

  // MARK: - Retries

  /// `500, 503, unavailable of gRPC, and failures without an answer`.
  package static func conditions(_ retry: RetryPolicy) -> String {
    let conditions = RetryConditions(
      statuses: retry.statusCodes, grpcStatuses: retry.grpcStatuses, failures: retry.failures)
    if retry.failures == .all, !retry.statusCodes.isEmpty || !retry.grpcStatuses.isEmpty {
      return conditions.text + " and failures without an answer"
    }
    return conditions.text
  }

  /// `a second attempt after 50ms`.
  package static func hedging(_ hedging: HedgingPolicy) -> String {
    "a second attempt \(hedging.text)\(hedging.allMethods ? "" : ", idempotent methods only")"
  }

  // MARK: - Sessions

  package static func session(_ session: SessionPolicy) -> String {
    let carrier =
      switch session.carrier {
      case .cookie(let cookie):
        "cookie \(cookie.name)\(cookie.path == "/" ? "" : " for \(cookie.path)")\(cookie.isPermanent ? ", permanent" : "")"
      case .header(let name): "header \(name)"
      }
    let limits = [
      session.absoluteTimeout.map { ", at most \(time($0))" }, session.idleTimeout.map { ", idle at most \(time($0))" },
    ]
    return "session by \(carrier)" + limits.compactMap(\.self).joined()
  }

  // MARK: - Numbers

  /// `90 %`, `33.3 %`.
  package static func percent(_ share: Double) -> String {
    let text = Format.fixed(share * 100, 1)
    return (text.hasSuffix(".0") ? String(text.dropLast(2)) : text) + " %"
  }

  /// `2 s`, `250 ms`.
  package static func time(_ span: TimeSpan) -> String {
    let milliseconds = span.nanoseconds / 1_000_000
    return milliseconds % 1000 == 0 ? "\(milliseconds / 1000) s" : "\(milliseconds) ms"
  }
}

extension RouteRule {
  /// Of each backend, in order: its part of the requests. All 0 where no backend has a weight.
  package var shares: [Double] {
    let total = backends.reduce(0.0) { $0 + Double($1.weight) }
    return backends.map { total > 0 ? Double($0.weight) / total : 0 }
  }
}
