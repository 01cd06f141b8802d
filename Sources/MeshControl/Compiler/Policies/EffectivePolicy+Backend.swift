import MeshCore
package import MeshPolicy
import MeshResources

extension EffectivePolicy {
  /// What proxies do with the endpoints of a service port.
  package var backend: BackendPolicy {
    var builder = BackendPolicyBuilder()
    for entry in entries.values {
      builder.apply(entry.setting)
      builder.applyOutliers(entry.setting)
    }
    return builder.finish()
  }

  /// The retries of a rule that says nothing of them itself. Nil where no policy does either.
  package var retry: RetryPolicy? {
    var retry = RetryPolicy(attempts: 1, statusCodes: [])
    var isSaid = false
    for entry in entries.values {
      switch entry.setting {
      case .retryAttempts(let count): retry.attempts = count
      case .retryConditions(let conditions):
        retry.statusCodes = conditions.statuses
        retry.grpcStatuses = conditions.grpcStatuses
        retry.failures = conditions.failures
      case .retryBackoff(let wait): retry.backoff = wait
      case .maximumRetryAfter(let limit): retry.maximumRetryAfter = limit
      default: continue
      }
      isSaid = true
    }
    return isSaid && retry.attempts > 0 ? retry : nil
  }

  /// Second attempts of a rule's requests beside the first. Nil: none.
  package var hedging: HedgingPolicy? {
    if case .hedging(let hedging)? = entries[.hedging]?.setting { hedging } else { nil }
  }

  /// What the proxies of a service port's endpoints keep, of policies for whatever is wider than a route.
  package var inboundLimits: [RateLimit] { rateLimits(ofRoutes: false) }

  /// What clients' proxies keep for a rule, of policies for its route or for itself.
  package var ruleLimits: [RateLimit] { rateLimits(ofRoutes: true) }

  /// The limit that all proxies keep together, as `inboundLimits` and `ruleLimits`.
  package func globalLimit(ofRoutes: Bool) -> GlobalRateLimit? {
    guard let entry = entries[.globalRateLimit], case .globalRateLimit(let limit) = entry.setting else { return nil }
    return (entry.source.level == .route || entry.source.level == .rule) == ofRoutes ? limit : nil
  }

  private func rateLimits(ofRoutes: Bool) -> [RateLimit] {
    guard let entry = entries[.rateLimits], case .rateLimits(let limits) = entry.setting else { return [] }
    return (entry.source.level == .route || entry.source.level == .rule) == ofRoutes ? limits : []
  }

  /// What clients' proxies do with the content of a rule's requests, and the proxies of endpoints with that of all that they get.
  package var requestBody: RequestBodyPolicy? {
    var body = RequestBodyPolicy()
    if case .maximumBodyBytes(let bytes)? = entries[.maximumBodyBytes]?.setting, bytes > 0 { body.maximumBytes = bytes }
    if case .bodyBufferBytes(let bytes)? = entries[.bodyBufferBytes]?.setting, bytes > 0 { body.bufferBytes = bytes }
    return body == RequestBodyPolicy() ? nil : body
  }

  /// What requests may say themselves, to clients' proxies.
  package var overrides: OverridePolicy? {
    guard case .overrides(let policy)? = entries[.overrides]?.setting else { return nil }
    return policy
  }

  /// What the proxy of an endpoint does with requests for a port of its workload; of the policy for the service port.
  func apply(to port: inout InboundPort) {
    port.rateLimits = inboundLimits
    // The service that counts is not asked about itself: that would have no end.
    let global = globalLimit(ofRoutes: false)
    port.globalRateLimit = global?.service.service == port.service?.service ? nil : global
    port.requestBody = requestBody
    if case .adaptiveConcurrency(let settings)? = entries[.adaptiveConcurrency]?.setting {
      port.adaptiveConcurrency = settings
    }
    if case .compression(let policy)? = entries[.compression]?.setting { port.compression = policy }
  }

  /// The time limits of a rule. What it says itself stands; zero is its word for none.
  package func timeouts(of rule: RouteTimeouts) -> RouteTimeouts {
    var timeouts = rule
    if timeouts.request == nil, case .requestTimeout(let limit)? = entries[.requestTimeout]?.setting {
      timeouts.request = limit
    }
    if timeouts.backendRequest == nil,
      case .backendRequestTimeout(let limit)? = entries[.backendRequestTimeout]?.setting
    {
      timeouts.backendRequest = limit
    }
    if case .idleTimeout(let limit)? = entries[.idleTimeout]?.setting { timeouts.idle = limit }
    if case .streamTimeout(let limit)? = entries[.streamTimeout]?.setting, limit > .zero { timeouts.stream = limit }
    if timeouts.request == .zero { timeouts.request = nil }
    if timeouts.backendRequest == .zero { timeouts.backendRequest = nil }
    return timeouts
  }
}

extension EffectivePolicy {
  /// What is left where nobody looks at requests: limits on the life of connections.
  var ofConnections: EffectivePolicy {
    var policy = self
    policy.entries = entries.filter { $0.key == .idleTimeout || $0.key == .streamTimeout }
    return policy
  }
}

/// Collects settings in any order.
private struct BackendPolicyBuilder {
  private var policy = BackendPolicy()
  private var successRate = OutlierPolicy.SuccessRate()
  private var judgesSuccessRate = true
  private var latency = OutlierPolicy.Latency()
  private var judgesLatency = false

  init() {}

  func finish() -> BackendPolicy {
    var policy = policy
    policy.outliers.successRate = judgesSuccessRate ? successRate : nil
    policy.outliers.latency = judgesLatency ? latency : nil
    return policy
  }

  mutating func apply(_ setting: PolicySetting) {
    switch setting {
    case .algorithm(let algorithm): policy.balancing.algorithm = algorithm
    case .hashOn(let source): policy.balancing.hashSource = source
    case .slowStart(let start): policy.balancing.slowStart = start
    case .panicPercent(let percent): policy.balancing.panicPercent = percent
    case .locality(let locality): policy.balancing.locality = locality
    case .subset(let subset): policy.balancing.subset = subset
    case .connections(let limit): policy.limits.connections = limit
    case .pendingRequests(let limit): policy.limits.pendingRequests = limit
    case .activeRequests(let limit): policy.limits.activeRequests = limit
    case .healthCheck(let check): policy.healthCheck = check
    case .connectTimeout(let limit): policy.connectTimeout = limit
    case .retryBudgetPercent(let percent): policy.retryBudget.percent = UInt64(percent)
    case .retryBudgetMinimum(let count): policy.retryBudget.minimumPerSecond = UInt64(count)
    default: break
    }
  }

  mutating func applyOutliers(_ setting: PolicySetting) {
    switch setting {
    case .outliers(let isOn): policy.outliers.isEnabled = isOn
    case .consecutiveFailures(let count): policy.outliers.consecutiveFailures = count
    case .consecutiveGatewayFailures(let count): policy.outliers.consecutiveGatewayFailures = count
    case .countLocalFailuresApart(let flag): policy.outliers.countsLocalFailuresApart = flag
    case .consecutiveLocalFailures(let count): policy.outliers.consecutiveLocalFailures = count
    case .consecutiveConnectFailures(let count): policy.outliers.consecutiveConnectFailures = count
    case .interval(let span): policy.outliers.interval = span
    case .baseEjection(let span): policy.outliers.baseEjection = span
    case .maximumEjection(let span): policy.outliers.maximumEjection = span
    case .ejectionJitterPercent(let percent): policy.outliers.ejectionJitterPercent = percent
    case .maximumEjectedPercent(let percent): policy.outliers.maximumEjectedPercent = percent
    case .successRate(let isOn): judgesSuccessRate = isOn
    case .successRateHosts(let count): successRate.minimumHosts = count
    case .successRateRequests(let count): successRate.minimumRequests = count
    case .successRateDeviations(let thousandths): successRate.deviationsThousandths = thousandths
    case .successRateFailurePercent(let percent): successRate.minimumFailurePercent = percent
    case .latency(let isOn): judgesLatency = isOn
    case .latencyHosts(let count): latency.minimumHosts = count
    case .latencyRequests(let count): latency.minimumRequests = count
    case .latencyFactorPercent(let percent): latency.factorPercent = percent
    case .latencyFloor(let span): latency.floor = span
    default: break
    }
  }
}
