package import MeshCore

/// One rule of a route: any of `matches`, then filters, then a backend by weight.
package struct RouteRule: Hashable, Sendable {
  /// Where the rule comes from, for metrics, logs and `apus why`: `httproute/shop/orders#0`, `trafficsplit/shop/orders`, `service/shop/orders`.
  package var name: String
  /// Alternatives; empty matches everything.
  package var matches: [RouteMatch]
  /// Servers that a TLS connection must ask for one of, in lower case, such as `a.example.com`, `*.example.com`,
  /// or `*` for every one and for clients that name none; empty: no condition. A rule that has some is for connections that are passed on unread, never for requests.
  package var serverNames: [String]
  /// In the order of the manifest. At most one of each kind but `mirror` and `headers`; a `redirect` excludes `rewrite` and backends.
  package var filters: [RouteFilter]
  package var backends: [WeightedBackend]
  package var timeouts: RouteTimeouts
  /// Nil: only what is safe for every request is repeated (`ReuseRetry`, failed connects).
  package var retry: RetryPolicy?
  /// Nil: one attempt at a time.
  package var hedging: HedgingPolicy?
  /// Nil: clients have no sessions with endpoints.
  package var session: SessionPolicy?
  /// Taken from by each request that the rule is chosen for, in this order.
  package var rateLimits: [RateLimit]
  /// Kept by all proxies together, after those. Nil: none.
  package var globalRateLimit: GlobalRateLimit?
  /// Nil: content passes as it comes, whatever its length.
  package var requestBody: RequestBodyPolicy?
  /// Nil: no request changes what the rule says.
  package var overrides: OverridePolicy?
  /// Injected before a backend is chosen, in this order.
  package var faults: [FaultPolicy]
  /// Set when the rule cannot serve, with the status to answer (Gateway API: no or invalid backends answer 500).
  package var failureStatus: UInt16?

  package init(
    name: String, matches: [RouteMatch] = [], serverNames: [String] = [], filters: [RouteFilter] = [],
    backends: [WeightedBackend], timeouts: RouteTimeouts = RouteTimeouts(), retry: RetryPolicy? = nil,
    hedging: HedgingPolicy? = nil, session: SessionPolicy? = nil, rateLimits: [RateLimit] = [],
    globalRateLimit: GlobalRateLimit? = nil, requestBody: RequestBodyPolicy? = nil,
    overrides: OverridePolicy? = nil, faults: [FaultPolicy] = [],
    failureStatus: UInt16? = nil
  ) {
    self.name = name
    self.matches = matches
    self.serverNames = serverNames
    self.filters = filters
    self.backends = backends
    self.timeouts = timeouts
    self.retry = retry
    self.hedging = hedging
    self.session = session
    self.rateLimits = rateLimits
    self.globalRateLimit = globalRateLimit
    self.requestBody = requestBody
    self.overrides = overrides
    self.faults = faults
    self.failureStatus = failureStatus
  }
}

/// A share of a rule's requests. Weight 0 gets none.
package struct WeightedBackend: Hashable, Sendable {
  /// The service port whose endpoints serve; its `EndpointSet` is a resource of its own.
  package var backend: ServicePort
  package var weight: UInt32
  /// Apply to the requests of this share only, after those of the rule.
  package var filters: [RouteFilter]
  /// Set when this share must be answered by the proxy with that status: 500 for a reference that names nothing.
  package var failureStatus: UInt16?

  package init(backend: ServicePort, weight: UInt32, filters: [RouteFilter] = [], failureStatus: UInt16? = nil) {
    self.backend = backend
    self.weight = weight
    self.filters = filters
    self.failureStatus = failureStatus
  }
}

/// How long a request, or a tunnel, may take. Nil: without limit, but for `idle`.
package struct RouteTimeouts: Hashable, Sendable {
  /// From the request's first byte to the end of the answer, repeats included. Passing it answers 504.
  package var request: TimeSpan?
  /// Each attempt, from choosing its endpoint to the end of its answer. Passing it counts as a failure that may be repeated.
  package var backendRequest: TimeSpan?
  /// Without a byte in either direction. Nil: as long as the proxy has it for streams of that kind; zero: for ever.
  package var idle: TimeSpan?
  /// From the first byte to the last of whatever it becomes: an answer, a subscription, a WebSocket, a tunnel.
  package var stream: TimeSpan?

  package init(
    request: TimeSpan? = nil, backendRequest: TimeSpan? = nil, idle: TimeSpan? = nil, stream: TimeSpan? = nil
  ) {
    self.request = request
    self.backendRequest = backendRequest
    self.idle = idle
    self.stream = stream
  }
}

/// Which failed attempts are repeated. Every repeat, whatever asks for it, takes from the retry budget of its service.
package struct RetryPolicy: Hashable, Sendable {
  /// Repeats after the first attempt.
  package var attempts: UInt32
  /// Statuses of an answer that are repeated, ascending.
  package var statusCodes: [UInt16]
  /// Statuses of a call of gRPC that are repeated, where the call ended without a message.
  package var grpcStatuses: GRPCStatusSet
  /// What is repeated of attempts that ended without an answer.
  package var failures: RetryFailures
  /// The shortest wait before a repeat. Grows exponentially, with jitter.
  package var backoff: TimeSpan
  /// An answer that asks for a longer wait (`Retry-After`) is not repeated. Zero: nobody looks what answers ask for.
  package var maximumRetryAfter: TimeSpan

  package static let retryAfter = TimeSpan.seconds(5)

  package init(
    attempts: UInt32, statusCodes: [UInt16], grpcStatuses: GRPCStatusSet = [], failures: RetryFailures = .all,
    backoff: TimeSpan = .milliseconds(25), maximumRetryAfter: TimeSpan = retryAfter
  ) {
    self.attempts = attempts
    self.statusCodes = statusCodes
    self.grpcStatuses = grpcStatuses
    self.failures = failures
    self.backoff = backoff
    self.maximumRetryAfter = maximumRetryAfter
  }
}

/// Ways in which an attempt ends without an answer.
package struct RetryFailures: OptionSet, Hashable, Sendable {
  package let rawValue: UInt8
  package init(rawValue: UInt8) { self.rawValue = rawValue }

  /// Nobody took the connection, so nothing was sent.
  package static let connectFailure = RetryFailures(rawValue: 1)
  /// The endpoint said that it has not looked at the request.
  package static let refusedStream = RetryFailures(rawValue: 2)
  /// The stream or its connection ended.
  package static let reset = RetryFailures(rawValue: 4)
  /// The attempt took longer than `RouteTimeouts.backendRequest`.
  package static let timeout = RetryFailures(rawValue: 8)
  package static let all: RetryFailures = [.connectFailure, .refusedStream, .reset, .timeout]
}
