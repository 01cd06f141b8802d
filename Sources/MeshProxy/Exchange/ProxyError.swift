import MeshCore
import MeshHTTP
import MeshPolicy
import MeshTelemetry

/// Why a request could not be served, and everything that follows from it: status, response flag, metric label,
/// the text for the caller and the log. The one place where a failed stage becomes an answer.
struct ProxyError: Error {
  /// Whose fault it is.
  enum Origin: UInt8 { case downstream, upstream, `internal` }

  /// Whether another endpoint may be tried. `notSent`: no byte of the request reached an application. `ifAsked`: it may have;
  /// only a rule can say that a second time does no harm.
  enum Retry: UInt8 { case no, notSent, reusedConnection, ifAsked }

  var status: UInt16
  var flag: ResponseFlag
  var origin: Origin
  var retry: Retry
  /// The code with which an upstream reset the stream, if that is what happened.
  var resetCode: HTTP2ErrorCode?
  /// What a client past a rate limit is told besides.
  var refusal: RateLimitRefusal?
  /// What a client whose token is refused is told besides.
  var tokenRefusal: TokenRefusal?
  /// What a gRPC client is told, where that does not follow from the rest.
  var chosenGRPCStatus: GRPCStatus?
  /// One sentence for the caller; says what to check next.
  var reason: StaticString

  static let noRoute = ProxyError(
    status: 404, flag: .noRoute, origin: .downstream, retry: .no,
    reason: "no route: no rule of the service's HTTPRoutes matches this request")
  static let unknownService = ProxyError(
    status: 404, flag: .noRoute, origin: .downstream, retry: .no,
    reason: "no route: the mesh knows no service of this name and port; `apus status` lists them")
  static let unknownInboundPort = ProxyError(
    status: 404, flag: .noRoute, origin: .downstream, retry: .no,
    reason: "no route: this workload does not serve the port asked for")
  static let noServerName = ProxyError(
    status: 404, flag: .noRoute, origin: .downstream, retry: .no,
    reason: "no route: no TLSRoute of the service has the server name that the client asks for")
  static let serverNameBehindConnect = ProxyError(
    status: 501, flag: .noRoute, origin: .downstream, retry: .no,
    reason: "not implemented: a service with TLSRoutes is reached by CONNECT over HTTP/1.1 only")
  static let notTLS = ProxyError(
    status: 400, flag: .downstreamProtocolError, origin: .downstream, retry: .no,
    reason: "not TLS: the service has TLSRoutes, and what the client sent does not begin a TLS connection")
  static let malformedGreeting = ProxyError(
    status: 400, flag: .downstreamProtocolError, origin: .downstream, retry: .no,
    reason: "not TLS: the client's greeting is broken or too long; see limit_hits_total")
  static let noGreeting = ProxyError(
    status: 408, flag: .streamIdleTimeout, origin: .downstream, retry: .no,
    reason: "timeout: the client of a service with TLSRoutes did not begin a TLS connection")
  static let noEndpoint = ProxyError(
    status: 503, flag: .noHealthyUpstream, origin: .upstream, retry: .no,
    reason: "no endpoint: the service has no ready workload")
  static let unresolved = ProxyError(
    status: 503, flag: .dnsFailure, origin: .upstream, retry: .no,
    reason: "no endpoint: the DNS has no address for the host; the proxy's log says why")
  static let uncoveredHost = ProxyError(
    status: 404, flag: .noRoute, origin: .downstream, retry: .no,
    reason: "no route: the request's host is none of the external service's; does its route need a URLRewrite?")
  static let invalidBackend = ProxyError(
    status: 500, flag: .noCluster, origin: .internal, retry: .no,
    reason: "invalid backend: the route names a service or port that does not exist; see `apus check`")
  static let noBackendWeight = ProxyError(
    status: 503, flag: .noHealthyUpstream, origin: .internal, retry: .no,
    reason: "no backend: every backend of the matched rule has weight 0 or cannot be used")
  static let connectRefused = ProxyError(
    status: 503, flag: .upstreamConnectionFailure, origin: .upstream, retry: .notSent,
    reason: "connect failure: the endpoint refused the connection; is its process running and listening on that port?")
  static let applicationRefused = ProxyError(
    status: 502, flag: .upstreamConnectionFailure, origin: .upstream, retry: .notSent,
    reason: "connect failure: the application refused the connection; is it listening on the port given to `apus run`?")
  static let connectTimeout = ProxyError(
    status: 504, flag: .upstreamConnectionFailure, origin: .upstream, retry: .notSent,
    reason: "connect timeout: no answer from the endpoint; is a firewall blocking its port?")
  static let tlsFailure = ProxyError(
    status: 503, flag: .upstreamConnectionFailure, origin: .upstream, retry: .notSent,
    reason: "TLS failure: the endpoint did not prove the identity it should have; see tls_handshake_failures_total")
  static let tlsUnusable = ProxyError(
    status: 502, flag: .upstreamConnectionFailure, origin: .internal, retry: .no,
    reason: "TLS failure: the authorities to verify the server with cannot be used; see `apus get backendtlspolicy`")
  static let clientCertificateUnusable = ProxyError(
    status: 502, flag: .upstreamConnectionFailure, origin: .internal, retry: .no,
    reason: "TLS failure: the certificate to show to the server cannot be used; see this proxy's log")
  static let upstreamClosed = ProxyError(
    status: 503, flag: .upstreamConnectionTermination, origin: .upstream, retry: .reusedConnection,
    reason: "upstream closed the connection before it answered")
  static let upstreamSilent = ProxyError(
    status: 503, flag: .upstreamConnectionTermination, origin: .upstream, retry: .reusedConnection,
    reason: "no sign of life from the endpoint's host within the keepalive timeout; is it down, or the network to it?")
  static let upstreamReset = ProxyError(
    status: 502, flag: .upstreamReset, origin: .upstream, retry: .ifAsked,
    reason: "upstream reset the stream before it answered")
  static let upstreamRefusedStream = ProxyError(
    status: 503, flag: .upstreamReset, origin: .upstream, retry: .notSent,
    reason: "upstream refused the stream")
  static let upstreamProtocol = ProxyError(
    status: 502, flag: .upstreamProtocolError, origin: .upstream, retry: .no,
    reason: "upstream sent a message that is not valid HTTP")
  static let upstreamNotHTTP2 = ProxyError(
    status: 502, flag: .upstreamProtocolError, origin: .upstream, retry: .no,
    reason:
      "upstream does not answer in HTTP/2: does that port speak it without TLS, as its Service's appProtocol says?")
  static let upstreamUnasked = ProxyError(
    status: 502, flag: .upstreamProtocolError, origin: .upstream, retry: .notSent,
    reason: "upstream sent bytes before the request")
  static let upstreamOverflow = ProxyError(
    status: 503, flag: .upstreamOverflow, origin: .internal, retry: .no,
    reason: "overflow: too many requests are waiting for this endpoint")
  static let backendOverflow = ProxyError(
    status: 503, flag: .upstreamOverflow, origin: .internal, retry: .no,
    reason: "overflow: a limit of the backend's policy is reached; see backend_overflow_total")
  static let overloaded = ProxyError(
    status: 503, flag: .overloadManager, origin: .downstream, retry: .no,
    reason: "overload: too many bytes wait for receivers that do not take them; see limit_hits_total")
  /// RESOURCE_EXHAUSTED is what gRPC's own size limits say.
  static let requestTooLarge = ProxyError(
    status: 413, flag: .requestTooLarge, origin: .downstream, retry: .no, chosenGRPCStatus: .resourceExhausted,
    reason: "content too large: the request is longer than the policy allows; see requests.maximumBodyBytes")
  static let concurrencyLimited = ProxyError(
    status: 503, flag: .concurrencyLimited, origin: .internal, retry: .no,
    reason: "overload: the application has as many requests as it does at a time; see adaptive_concurrency_limit")
  static let responseTimeout = ProxyError(
    status: 504, flag: .upstreamTimeout, origin: .upstream, retry: .no,
    reason: "timeout: the upstream sent nothing within the stream idle timeout")
  static let discoveryTimeout = ProxyError(
    status: 504, flag: .noCluster, origin: .internal, retry: .no,
    reason: "timeout: no configuration for this service; is the controller running? `apus check` tells")
  static let noIdentity = ProxyError(
    status: 503, flag: .noCluster, origin: .internal, retry: .no,
    reason: "no identity: this proxy holds no valid certificate yet and never falls back to plaintext")
  static let badAuthority = ProxyError(
    status: 400, flag: .downstreamProtocolError, origin: .downstream, retry: .no,
    reason: "bad request: the request names no host")
  static let rateLimitServiceFailed = ProxyError(
    status: 503, flag: .rateLimitServiceFailed, origin: .internal, retry: .no,
    reason: "rate limit unknown: the service that counts did not answer in time; see global_rate_limit_calls_total")
  static let contentTooLargeToAuthorize = ProxyError(
    status: 413, flag: .requestTooLarge, origin: .downstream, retry: .no, chosenGRPCStatus: .resourceExhausted,
    reason:
      "content too large: the request is longer than its external authorizer may be told; see content.maximumBytes")
  static let badOverride = ProxyError(
    status: 400, flag: .invalidHeader, origin: .downstream, retry: .no, chosenGRPCStatus: .invalidArgument,
    reason: "bad override: x-apus-timeout and x-apus-attempt-timeout are such as 250ms, x-apus-retries is 0 to 100")
  static let connectNotAllowed = ProxyError(
    status: 405, flag: .noRoute, origin: .downstream, retry: .no,
    reason: "method not allowed: this listener stands for one service; send CONNECT to the outbound proxy port instead")
  static let loop = ProxyError(
    status: 508, flag: .noRoute, origin: .downstream, retry: .no,
    reason: "loop detected: the address asked for is a listener of this proxy")
  static let streamIdle = ProxyError(
    status: 408, flag: .streamIdleTimeout, origin: .downstream, retry: .no,
    reason: "timeout: the client sent nothing within the stream idle timeout")

  static let deadlineExceeded = ProxyError(
    status: 504, flag: .requestTimeout, origin: .downstream, retry: .no,
    reason: "deadline exceeded: the time given in grpc-timeout is over")

  static let requestTimeout = ProxyError(
    status: 504, flag: .requestTimeout, origin: .upstream, retry: .no,
    reason: "timeout: the request took longer than its route allows; see timeouts.request of the rule")
  static let streamTimeout = ProxyError(
    status: 504, flag: .requestTimeout, origin: .upstream, retry: .no,
    reason: "timeout: the stream lasted longer than its policy allows; see timeouts.stream of the TrafficPolicy")
  static let attemptTimeout = ProxyError(
    status: 504, flag: .upstreamTimeout, origin: .upstream, retry: .ifAsked,
    reason: "timeout: the endpoint took longer than the route allows; see timeouts.backendRequest of the rule")

  /// A failure that the proxy on the other side reported in `x-apus-response-flag`: its application was never reached.
  static let peerCouldNotConnect = ProxyError(
    status: 502, flag: .upstreamConnectionFailure, origin: .upstream, retry: .notSent,
    reason: "connect failure: the peer proxy could not reach its application")

  /// The same from the endpoint's proxy: its application has not heard of the request.
  static let peerRefusedLoad = ProxyError(
    status: 503, flag: .concurrencyLimited, origin: .internal, retry: .notSent,
    reason: "overload: the endpoint's application has as many requests as it does at a time")

  /// Whose policy it was is for the operator's log and metrics, not for the caller.
  static let denied = ProxyError(
    status: 403, flag: .unauthorized, origin: .downstream, retry: .no,
    reason: "forbidden: no authorization policy lets this caller do this; `apus why` tells which one decides")
  static let ambiguousPath = ProxyError(
    status: 400, flag: .unauthorized, origin: .downstream, retry: .no, chosenGRPCStatus: .invalidArgument,
    reason: "bad request: who may call here depends on the path, and this path can be read in more than one way")

  static func rateLimited(_ refusal: RateLimitRefusal) -> ProxyError {
    ProxyError(
      status: 429, flag: .rateLimited, origin: .downstream, retry: .no, refusal: refusal,
      reason: "rate limited: more requests than the policy allows; Retry-After says when to come back")
  }

  static func authorizerFailed(status: UInt16) -> ProxyError {
    ProxyError(
      status: status, flag: .unauthorized, origin: .internal, retry: .no,
      reason: "not authorized: the external authorizer did not answer in time; see external_authorization_total")
  }

  static func malformed(_ error: HTTP1Error) -> ProxyError {
    ProxyError(
      status: error.status, flag: .downstreamProtocolError, origin: .downstream, retry: .no, reason: error.reason)
  }

  static func upstreamReset(by code: HTTP2ErrorCode) -> ProxyError {
    var error = upstreamReset
    error.resetCode = code
    return error
  }

  static func injected(_ abort: FaultAbort) -> ProxyError {
    ProxyError(
      status: abort.status ?? 200, flag: .faultInjected, origin: .internal, retry: .no,
      chosenGRPCStatus: abort.grpcStatus,
      reason: "fault injected: this failure was asked for; see `apus get faultinjection`")
  }

  static func rule(status: UInt16) -> ProxyError {
    var error = status == 503 ? noBackendWeight : invalidBackend
    error.status = status
    return error
  }
}

// MARK: - gRPC

extension ProxyError {
  /// The same failure for a gRPC client.
  ///
  /// What the client would have made of the HTTP status or of the upstream's RST_STREAM (so 404 is UNIMPLEMENTED, and a
  /// rate limit's 429 is UNAVAILABLE, which clients may repeat, rather than RESOURCE_EXHAUSTED, which they may not), except:
  /// a time limit that ran out is DEADLINE_EXCEEDED, and what the proxy could not find a way for is UNAVAILABLE.
  var grpcStatus: GRPCStatus {
    if let chosenGRPCStatus { return chosenGRPCStatus }
    if let resetCode { return GRPCStatus(reset: resetCode) }
    switch flag {
    case .requestTimeout, .upstreamTimeout, .streamIdleTimeout: return .deadlineExceeded
    case .noCluster: return .unavailable
    default: return GRPCStatus(httpStatus: status)
    }
  }
}

// MARK: - Repeats

extension ProxyError {
  /// Why a request is repeated after this failure, for metrics.
  var retryReason: RetryReason {
    switch flag {
    case .upstreamConnectionFailure: .connectFailure
    case .upstreamTimeout: .timeout
    case .concurrencyLimited: .overload
    case .upstreamReset: retry == .notSent ? .refusedStream : .reset
    default: .connectionClosed
    }
  }

  /// The same, as rules name it.
  var retryFailure: RetryFailures {
    switch retryReason {
    case .connectFailure: .connectFailure
    case .refusedStream, .overload: .refusedStream
    case .timeout: .timeout
    case .connectionClosed, .reset, .status, .grpcStatus: .reset
    }
  }
}
