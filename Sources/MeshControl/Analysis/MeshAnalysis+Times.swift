import MeshCore
import MeshPolicy
import MeshResources

// MARK: - What policies say of time

extension MeshAnalysis {
  /// Fields of policies that contradict each other, or a route, in the rules where they meet. What one route says alone is `contradictions`.
  func contradictionsOfPolicies() -> [Finding] {
    let configs = Array(mesh.services.values) + Array(mesh.consumers.values)
    return configs.flatMap { config in
      config.rules.flatMap { rule -> [Finding] in
        let policy = mesh.policies.effective(for: rule, at: config.key)
        return policy.entries.isEmpty ? [] : RuleTimes(rule, policy, isLive: isLive).findings
      }
    }
  }
}

/// The times of one rule, and which policies they come from.
private struct RuleTimes {
  let rule: RouteRule
  let policy: EffectivePolicy
  let isLive: Bool

  init(_ rule: RouteRule, _ policy: EffectivePolicy, isLive: Bool) {
    self.rule = rule
    self.policy = policy
    self.isLive = isLive
  }

  var findings: [Finding] {
    [attempts, repeats, retriesThatAreOff, hedge, wait, limit(.requestTimeout, request), limit(.idleTimeout, idle)]
      .compactMap(\.self)
  }

  private var request: TimeSpan? { rule.timeouts.request }
  private var attempt: TimeSpan? { rule.timeouts.backendRequest }
  private var idle: TimeSpan? { rule.timeouts.idle }

  /// The policy that says a field, where the rule does as it says.
  private func entry(_ field: PolicyField) -> EffectivePolicy.Entry? {
    policy.entries[field].flatMap { rule.follows($0.setting) ? $0 : nil }
  }

  /// At the field of the first of these that a policy says.
  private func finding(
    _ code: FindingCode, _ fields: [PolicyField], _ message: String, fix: String
  ) -> Finding? {
    guard let entry = fields.lazy.compactMap(entry).first else { return nil }
    return Finding(
      code, at: entry.source.position, entry.source.policy.description, "spec.\(entry.setting.field.rawValue)", message,
      fix: fix, isLive: isLive)
  }

  /// `timeouts.request (1s of TrafficPolicy shop/orders)`.
  private func told(_ field: PolicyField, _ span: TimeSpan) -> String {
    let source = entry(field).map { $0.source.policy.description } ?? "the rule \(rule.name)"
    return "\(field.rawValue) (\(GatewayDuration.text(span)) of \(source))"
  }

  // MARK: - Retries

  private var attempts: Finding? {
    guard let retry = rule.retry, retry.attempts > 0, let request, let attempt, attempt >= request else { return nil }
    return finding(
      .attemptOutlastsRequest, [.backendRequestTimeout, .requestTimeout],
      "an attempt may take \(told(.backendRequestTimeout, attempt)), and the whole request "
        + "\(told(.requestTimeout, request)): a slow one is never repeated",
      fix: "write at most \(GatewayDuration.text(.nanoseconds(request.nanoseconds / Int64(retry.attempts + 1))))")
  }

  private var repeats: Finding? {
    guard let retry = rule.retry, retry.attempts > 0, let request, (attempt ?? .zero) < request else { return nil }
    let count = Int64(retry.attempts)
    let needed = (attempt?.nanoseconds ?? 0) &* (count + 1) &+ retry.backoff.nanoseconds &* count
    guard needed > request.nanoseconds else { return nil }
    return finding(
      .retriesDoNotFit, [.retryAttempts, .backendRequestTimeout, .retryBackoff, .requestTimeout],
      "\(count + 1) attempts with their waits take \(GatewayDuration.text(.nanoseconds(needed))), the request has "
        + told(.requestTimeout, request),
      fix: "lower retries.attempts or timeouts.backendRequest, or raise timeouts.request")
  }

  /// One policy asks for repeats and forbids them.
  private var retriesThatAreOff: Finding? {
    let conditions = policy.entries[.retryConditions]
    if let conditions, let attempts = policy.entries[.retryAttempts], conditions.source == attempts.source,
      case .retryAttempts(0) = attempts.setting
    {
      return Finding(
        .retriesAreOff, at: attempts.source.position, attempts.source.policy.description, "spec.retries",
        "names conditions, and attempts is 0", fix: "raise attempts, or remove conditions", isLive: isLive)
    }
    guard rule.retry != nil, hasNoBudget else { return nil }
    return finding(
      .retriesAreOff, [.retryAttempts, .retryConditions], "asks for repeats, and the retry budget admits none",
      fix: "raise retries.budget, or write attempts: 0")
  }

  private var hasNoBudget: Bool {
    guard case .retryBudgetPercent(0)? = policy.entries[.retryBudgetPercent]?.setting,
      case .retryBudgetMinimum(0)? = policy.entries[.retryBudgetMinimum]?.setting
    else { return false }
    return true
  }

  private var wait: Finding? {
    guard rule.retry != nil, let request, case .maximumRetryAfter(let longest)? = entry(.maximumRetryAfter)?.setting,
      longest >= request
    else { return nil }
    return finding(
      .waitOutlastsRequest, [.maximumRetryAfter],
      "an answer may ask for a wait of \(GatewayDuration.text(longest)), and the request has "
        + told(.requestTimeout, request),
      fix: "write less than \(GatewayDuration.text(request))")
  }

  // MARK: - Hedging and limits

  private var hedge: Finding? {
    guard let hedging = rule.hedging else { return nil }
    if hasNoBudget {
      return finding(
        .hedgeNeverBegins, [.hedging], "a second attempt draws on the retry budget, which admits none",
        fix: "raise retries.budget, or remove hedging")
    }
    guard case .fixed(let delay) = hedging.delay else { return nil }
    let limits: [(PolicyField, TimeSpan?)] = [(.backendRequestTimeout, attempt), (.requestTimeout, request)]
    for (field, limit) in limits {
      guard let limit, delay >= limit else { continue }
      return finding(
        .hedgeNeverBegins, [.hedging],
        "a second attempt begins after \(GatewayDuration.text(delay)), when the first is over by \(told(field, limit))",
        fix: "write less than \(GatewayDuration.text(limit))")
    }
    return nil
  }

  private func limit(_ field: PolicyField, _ limit: TimeSpan?) -> Finding? {
    guard let limit, let stream = rule.timeouts.stream, limit >= stream else { return nil }
    return finding(
      .limitNeverReached, [field, .streamTimeout],
      "\(told(field, limit)) is never reached: \(told(.streamTimeout, stream)) ends all before",
      fix: "lower \(field.rawValue), or raise timeouts.stream")
  }
}
