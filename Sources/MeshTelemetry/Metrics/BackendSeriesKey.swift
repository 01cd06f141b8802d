/// What happens to a backend as a whole, and is counted for it.
package enum BackendEvent: UInt8, Hashable, Sendable, CaseIterable {
  // `backend_overflow_total`, by `limit`
  case connectionOverflow, pendingOverflow, activeOverflow
  // `outlier_ejections_total`, by `reason`
  case ejectedForServerErrors, ejectedForGatewayErrors, ejectedForTransportFailures, ejectedForConnectFailures
  case ejectedForSuccessRate, ejectedForLatency
  // Families without a label of their own
  case ejectionWithheld, returned, panicBegan
  // `health_checks_total`, by `result`, and `endpoint_health_changes_total`, by `health`
  case checkPassed, checkFailed, checkRefused, becameHealthy, becameUnhealthy
  // `rate_limited_total`, by `key`
  case limitedForAll, limitedForCaller, limitedForHeader, limitedGlobally
  // Families without a label of their own
  case leftZone, subsetFellBack
  // `session_requests_total`, by `session`
  case sessionBegan, sessionKept, sessionMoved
  // `hedges_total`, by `result`
  case hedgeWon, hedgeLost, hedgeFailed
  // `global_rate_limit_calls_total`, by `result`
  case globallyAllowed, globallyLimited, globalLimitFailed
  // `external_authorization_total`, by `result`
  case externallyAllowed, externallyDenied, authorizerFailed, authorizerFailedOpen
  // `adaptive_concurrency_refused_total`
  case concurrencyRefused

  /// The label `limit` or `reason`; empty where there is none.
  var text: StaticString {
    switch self {
    case .connectionOverflow: "connections"
    case .pendingOverflow: "pending_requests"
    case .activeOverflow: "active_requests"
    case .ejectedForServerErrors: "server_errors"
    case .ejectedForGatewayErrors: "gateway_errors"
    case .ejectedForTransportFailures: "transport_failures"
    case .ejectedForConnectFailures: "connect_failures"
    case .ejectedForSuccessRate: "success_rate"
    case .ejectedForLatency: "latency"
    case .ejectionWithheld, .returned, .panicBegan, .leftZone, .subsetFellBack, .concurrencyRefused: ""
    case .checkPassed: "success"
    case .checkFailed: "failure"
    case .checkRefused: "refused"
    case .becameHealthy: "healthy"
    case .becameUnhealthy: "unhealthy"
    case .limitedForAll: "all"
    case .limitedForCaller: "caller"
    case .limitedForHeader: "header"
    case .sessionBegan: "new"
    case .sessionKept: "kept"
    case .sessionMoved: "moved"
    case .hedgeWon: "won"
    case .hedgeLost: "lost"
    case .hedgeFailed: "failed"
    case .limitedGlobally: "global"
    case .globallyAllowed: "ok"
    case .globallyLimited: "over_limit"
    case .globalLimitFailed: "error"
    case .externallyAllowed: "allowed"
    case .externallyDenied: "denied"
    case .authorizerFailed: "error"
    case .authorizerFailedOpen: "error_allowed"
    }
  }

  var family: BackendFamily {
    switch self {
    case .connectionOverflow, .pendingOverflow, .activeOverflow: .overflow
    case .ejectionWithheld: .withheld
    case .returned: .returns
    case .panicBegan: .panics
    case .checkPassed, .checkFailed, .checkRefused: .checks
    case .becameHealthy, .becameUnhealthy: .healthChanges
    case .limitedForAll, .limitedForCaller, .limitedForHeader, .limitedGlobally: .limited
    case .leftZone: .zones
    case .subsetFellBack: .subsets
    case .sessionBegan, .sessionKept, .sessionMoved: .sessions
    case .hedgeWon, .hedgeLost, .hedgeFailed: .hedges
    case .globallyAllowed, .globallyLimited, .globalLimitFailed: .globalCalls
    case .externallyAllowed, .externallyDenied, .authorizerFailed, .authorizerFailedOpen: .externalAuthorization
    case .concurrencyRefused: .refusedForConcurrency
    default: .ejections
    }
  }
}

/// The metric families that count `BackendEvent`s.
enum BackendFamily: CaseIterable {
  case overflow, ejections, withheld, returns, panics, checks, healthChanges, limited, zones, subsets, sessions, hedges,
    refusedForConcurrency, globalCalls, externalAuthorization

  var name: String {
    switch self {
    case .overflow: "backend_overflow_total"
    case .ejections: "outlier_ejections_total"
    case .withheld: "outlier_ejections_withheld_total"
    case .returns: "outlier_returns_total"
    case .panics: "balancer_panics_total"
    case .checks: "health_checks_total"
    case .healthChanges: "endpoint_health_changes_total"
    case .limited: "rate_limited_total"
    case .zones: "balancer_cross_zone_total"
    case .subsets: "balancer_subset_fallbacks_total"
    case .sessions: "session_requests_total"
    case .hedges: "hedges_total"
    case .refusedForConcurrency: "adaptive_concurrency_refused_total"
    case .globalCalls: "global_rate_limit_calls_total"
    case .externalAuthorization: "external_authorization_total"
    }
  }

  var help: String {
    switch self {
    case .overflow: "Times a limit of the backend's policy was reached."
    case .ejections: "Endpoints ejected, by reason."
    case .withheld: "Endpoints not ejected because as many as may be were."
    case .returns: "Endpoints whose probation went well."
    case .panics: "Times too few endpoints were available and the others were used, too."
    case .checks: "Active health checks, by result."
    case .globalCalls: "Questions to the service that counts for global rate limits, by its answer."
    case .externalAuthorization:
      "Requests and connections that an external authorizer was to decide on, by what came of it."
    case .refusedForConcurrency: "Requests refused because the application had as many as it does at a time."
    case .limited: "Requests past a rate limit, by what the limit's buckets are for."
    case .zones: "Requests and repeats sent to another zone than the client's, where a policy prefers zones."
    case .subsets: "Requests that named a subset without an available endpoint and were given others."
    case .hedges: "Second attempts beside a slow first one, by what became of them."
    case .sessions: "Requests of rules with sessions: the first of one, with its endpoint, or moved from it."
    case .healthChanges: "Endpoints that active checks took out (unhealthy) or brought back (healthy)."
    }
  }

  /// The name of the label that `BackendEvent.text` is the value of.
  var label: String? {
    switch self {
    case .overflow: "limit"
    case .ejections: "reason"
    case .checks, .globalCalls, .externalAuthorization: "result"
    case .healthChanges: "health"
    case .limited: "key"
    case .sessions: "session"
    case .hedges: "result"
    case .withheld, .returns, .panics, .zones, .subsets, .refusedForConcurrency: nil
    }
  }
}

/// A backend and what happened to it. Strings are ids of the shard's `LabelInterner`.
package struct BackendSeriesKey: Hashable, Sendable {
  package var backend: Int32
  package var namespace: Int32
  package var event: BackendEvent

  package init(backend: Int32, namespace: Int32, event: BackendEvent) {
    self.backend = backend
    self.namespace = namespace
    self.event = event
  }

  func labels(_ strings: [String]) -> String {
    var labels = [("backend", strings[Int(backend)]), ("backend_namespace", strings[Int(namespace)])]
    if let name = event.family.label { labels.append((name, "\(event.text)")) }
    return LabelText.join(labels)
  }
}
