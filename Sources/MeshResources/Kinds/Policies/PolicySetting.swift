package import MeshCore
package import MeshPolicy

/// One field of a `TrafficPolicy` with the value that a manifest gives it. Policies are merged field by field, so a policy is
/// a list of these.
package enum PolicySetting: Hashable, Sendable {
  case algorithm(BalancingPolicy.Algorithm)
  case hashOn(HashSource)
  /// Nil: none, whatever wider policies say.
  case slowStart(SlowStart?)
  case panicPercent(UInt32)
  /// Nil: none, whatever wider policies say; so for the next.
  case locality(LocalityPolicy?)
  case subset(SubsetPolicy?)

  case outliers(Bool)
  case consecutiveFailures(UInt32)
  case consecutiveGatewayFailures(UInt32)
  case countLocalFailuresApart(Bool)
  case consecutiveLocalFailures(UInt32)
  case consecutiveConnectFailures(UInt32)
  case interval(TimeSpan)
  case baseEjection(TimeSpan)
  case maximumEjection(TimeSpan)
  case ejectionJitterPercent(UInt32)
  case maximumEjectedPercent(UInt32)

  case successRate(Bool)
  case successRateHosts(UInt32)
  case successRateRequests(UInt32)
  /// In thousandths.
  case successRateDeviations(UInt32)
  case successRateFailurePercent(UInt32)

  case latency(Bool)
  case latencyHosts(UInt32)
  case latencyRequests(UInt32)
  case latencyFactorPercent(UInt32)
  case latencyFloor(TimeSpan)

  case connections(UInt32)
  case pendingRequests(UInt32)
  case activeRequests(UInt32)

  /// Nil: none, whatever wider policies say.
  case healthCheck(HealthCheckPolicy?)
  case adaptiveConcurrency(AdaptiveConcurrency?)
  case compression(CompressionPolicy?)
  /// Empty: none, whatever wider policies say.
  case rateLimits([RateLimit])
  /// Nil: none, whatever wider policies say.
  case globalRateLimit(GlobalRateLimit?)

  /// Zero: none, whatever wider policies say.
  case maximumBodyBytes(UInt64)
  case bodyBufferBytes(UInt32)

  case retryAttempts(UInt32)
  case retryConditions(RetryConditions)
  case retryBackoff(TimeSpan)
  /// Zero: what answers ask for does not count.
  case maximumRetryAfter(TimeSpan)
  case retryBudgetPercent(UInt32)
  case retryBudgetMinimum(UInt32)

  /// Nil: none, whatever wider policies say.
  case hedging(HedgingPolicy?)
  case overrides(OverridePolicy?)
  case sessionPersistence(SessionPersistence?)

  /// Zero: none, whatever wider policies say.
  case requestTimeout(TimeSpan)
  case backendRequestTimeout(TimeSpan)
  case connectTimeout(TimeSpan)
  /// Zero: none, whatever wider policies say.
  case idleTimeout(TimeSpan)
  case streamTimeout(TimeSpan)

  case rollout(Rollout)
}

/// The path of a setting below `spec`.
package enum PolicyField: String, Hashable, Sendable, CaseIterable, Comparable {
  case algorithm = "balancer.algorithm"
  case hashOn = "balancer.hashOn"
  case slowStart = "balancer.slowStart"
  case panicPercent = "balancer.panicPercent"
  case locality = "balancer.locality"
  case subset = "balancer.subset"
  case outliers = "outliers.enabled"
  case consecutiveFailures = "outliers.consecutiveFailures"
  case consecutiveGatewayFailures = "outliers.consecutiveGatewayFailures"
  case countLocalFailuresApart = "outliers.countLocalFailuresApart"
  case consecutiveLocalFailures = "outliers.consecutiveLocalFailures"
  case consecutiveConnectFailures = "outliers.consecutiveConnectFailures"
  case interval = "outliers.interval"
  case baseEjection = "outliers.baseEjection"
  case maximumEjection = "outliers.maximumEjection"
  case ejectionJitterPercent = "outliers.ejectionJitterPercent"
  case maximumEjectedPercent = "outliers.maximumEjectedPercent"
  case successRate = "outliers.successRate.enabled"
  case successRateHosts = "outliers.successRate.minimumHosts"
  case successRateRequests = "outliers.successRate.minimumRequests"
  case successRateDeviations = "outliers.successRate.deviations"
  case successRateFailurePercent = "outliers.successRate.minimumFailurePercent"
  case latency = "outliers.latency.enabled"
  case latencyHosts = "outliers.latency.minimumHosts"
  case latencyRequests = "outliers.latency.minimumRequests"
  case latencyFactorPercent = "outliers.latency.factorPercent"
  case latencyFloor = "outliers.latency.floor"
  case connections = "limits.connections"
  case pendingRequests = "limits.pendingRequests"
  case activeRequests = "limits.activeRequests"
  case healthCheck = "healthCheck"
  case adaptiveConcurrency = "adaptiveConcurrency"
  case compression = "compression"
  case rateLimits = "rateLimits"
  case globalRateLimit = "globalRateLimit"
  case maximumBodyBytes = "requests.maximumBodyBytes"
  case bodyBufferBytes = "requests.bufferBytes"
  case retryAttempts = "retries.attempts"
  case retryConditions = "retries.conditions"
  case retryBackoff = "retries.backoff"
  case maximumRetryAfter = "retries.maximumRetryAfter"
  case retryBudgetPercent = "retries.budget.percent"
  case retryBudgetMinimum = "retries.budget.minimumPerSecond"
  case hedging = "hedging"
  case requestTimeout = "timeouts.request"
  case backendRequestTimeout = "timeouts.backendRequest"
  case connectTimeout = "timeouts.connect"
  case idleTimeout = "timeouts.idle"
  case streamTimeout = "timeouts.stream"
  case rollout = "rollout"
  case overrides = "overrides"
  case sessionPersistence

  /// Says something of the endpoints behind a service port. The others are of the requests that a rule takes.
  package var isOfBackend: Bool {
    switch self {
    case .rateLimits, .globalRateLimit, .maximumBodyBytes, .bodyBufferBytes, .hedging, .retryAttempts, .retryConditions,
      .retryBackoff, .maximumRetryAfter, .requestTimeout, .backendRequestTimeout, .idleTimeout, .streamTimeout,
      .rollout,
      .overrides, .sessionPersistence:
      false
    default: true
    }
  }

  /// Means nothing where connections are passed on unread.
  package var needsRequests: Bool {
    switch self {
    case .subset, .compression, .maximumBodyBytes, .bodyBufferBytes, .hedging, .retryAttempts, .retryConditions,
      .retryBackoff, .maximumRetryAfter, .requestTimeout, .backendRequestTimeout, .overrides, .sessionPersistence:
      true
    default: false
    }
  }

  private static let order = Dictionary(uniqueKeysWithValues: allCases.enumerated().map { ($1, $0) })

  /// In the order of the manifest's description.
  package static func < (a: PolicyField, b: PolicyField) -> Bool { (order[a] ?? 0) < (order[b] ?? 0) }
}

extension PolicySetting {
  package var field: PolicyField {
    switch self {
    case .algorithm: .algorithm
    case .hashOn: .hashOn
    case .slowStart: .slowStart
    case .panicPercent: .panicPercent
    case .locality: .locality
    case .subset: .subset
    case .outliers: .outliers
    case .consecutiveFailures: .consecutiveFailures
    case .consecutiveGatewayFailures: .consecutiveGatewayFailures
    case .countLocalFailuresApart: .countLocalFailuresApart
    case .consecutiveLocalFailures: .consecutiveLocalFailures
    case .consecutiveConnectFailures: .consecutiveConnectFailures
    case .interval: .interval
    case .baseEjection: .baseEjection
    case .maximumEjection: .maximumEjection
    case .ejectionJitterPercent: .ejectionJitterPercent
    case .maximumEjectedPercent: .maximumEjectedPercent
    case .successRate: .successRate
    case .successRateHosts: .successRateHosts
    case .successRateRequests: .successRateRequests
    case .successRateDeviations: .successRateDeviations
    case .successRateFailurePercent: .successRateFailurePercent
    case .latency: .latency
    case .latencyHosts: .latencyHosts
    case .latencyRequests: .latencyRequests
    case .latencyFactorPercent: .latencyFactorPercent
    case .latencyFloor: .latencyFloor
    case .connections: .connections
    case .pendingRequests: .pendingRequests
    case .activeRequests: .activeRequests
    case .healthCheck: .healthCheck
    case .adaptiveConcurrency: .adaptiveConcurrency
    case .compression: .compression
    case .rateLimits: .rateLimits
    case .globalRateLimit: .globalRateLimit
    case .maximumBodyBytes: .maximumBodyBytes
    case .bodyBufferBytes: .bodyBufferBytes
    case .retryAttempts: .retryAttempts
    case .retryConditions: .retryConditions
    case .retryBackoff: .retryBackoff
    case .maximumRetryAfter: .maximumRetryAfter
    case .retryBudgetPercent: .retryBudgetPercent
    case .retryBudgetMinimum: .retryBudgetMinimum
    case .hedging: .hedging
    case .requestTimeout: .requestTimeout
    case .backendRequestTimeout: .backendRequestTimeout
    case .connectTimeout: .connectTimeout
    case .idleTimeout: .idleTimeout
    case .streamTimeout: .streamTimeout
    case .rollout: .rollout
    case .overrides: .overrides
    case .sessionPersistence: .sessionPersistence
    }
  }
}
