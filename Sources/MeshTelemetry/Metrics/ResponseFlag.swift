/// Why a response is what it is, when the proxy had a part in it. Codes are Envoy's, so that existing queries read
/// them.
package enum ResponseFlag: UInt8, Sendable, CaseIterable {
  case none
  case noHealthyUpstream
  case dnsFailure
  case upstreamConnectionFailure
  case upstreamConnectionTermination
  case upstreamTimeout
  case upstreamReset
  case upstreamProtocolError
  case upstreamOverflow
  case upstreamRetryLimit
  case noRoute
  case noCluster
  case downstreamTermination
  case downstreamProtocolError
  case delayInjected
  case faultInjected
  case rateLimited
  case unauthorized
  case streamIdleTimeout
  case requestTimeout
  case invalidHeader
  case failedHealthCheck
  case localReset
  case overloadManager
  case requestTooLarge
  case concurrencyLimited
  case rateLimitServiceFailed

  /// The short code of metrics and logs.
  package var code: StaticString {
    switch self {
    case .none: "-"
    case .noHealthyUpstream: "UH"
    case .dnsFailure: "DF"
    case .upstreamConnectionFailure: "UF"
    case .upstreamConnectionTermination: "UC"
    case .upstreamTimeout: "UT"
    case .upstreamReset: "UR"
    case .upstreamProtocolError: "UPE"
    case .upstreamOverflow: "UO"
    case .upstreamRetryLimit: "URX"
    case .noRoute: "NR"
    case .noCluster: "NC"
    case .downstreamTermination: "DC"
    case .downstreamProtocolError: "DPE"
    case .delayInjected: "DI"
    case .faultInjected: "FI"
    case .rateLimited: "RL"
    case .unauthorized: "UAEX"
    case .streamIdleTimeout: "SI"
    case .requestTimeout: "DT"
    case .invalidHeader: "IH"
    case .failedHealthCheck: "LH"
    case .localReset: "LR"
    case .overloadManager: "OM"
    case .requestTooLarge: "TL"
    case .concurrencyLimited: "CL"
    case .rateLimitServiceFailed: "RLSE"
    }
  }

  /// One line for people.
  package var text: StaticString {
    switch self {
    case .none: "nothing to report"
    case .noHealthyUpstream: "no endpoint is available"
    case .dnsFailure: "the DNS has no address for the host"
    case .upstreamConnectionFailure: "the connection to the endpoint could not be made"
    case .upstreamConnectionTermination: "the endpoint closed the connection before it answered in full"
    case .upstreamTimeout: "the endpoint did not answer in time"
    case .upstreamReset: "the endpoint reset the stream"
    case .upstreamProtocolError: "the endpoint's answer broke the protocol"
    case .upstreamOverflow: "too many requests are waiting for the endpoint"
    case .upstreamRetryLimit: "the retries are used up"
    case .noRoute: "no route rule matches the request"
    case .noCluster: "the service or backend does not exist"
    case .downstreamTermination: "the client went away before the end"
    case .downstreamProtocolError: "the client's request broke the protocol"
    case .delayInjected: "a delay was injected"
    case .faultInjected: "a fault was injected"
    case .rateLimited: "a rate limit was reached"
    case .unauthorized: "the client is not allowed to do this"
    case .streamIdleTimeout: "the stream was idle for too long"
    case .requestTimeout: "the request as a whole took too long"
    case .invalidHeader: "a header field is not valid"
    case .failedHealthCheck: "the local service failed its health check"
    case .localReset: "the proxy reset the stream"
    case .overloadManager: "the proxy is overloaded"
    case .rateLimitServiceFailed: "the service that counts for rate limits did not answer"
    case .concurrencyLimited: "the application has as many requests as it does at a time"
    case .requestTooLarge: "the request's content is longer than the policy allows"
    }
  }
}
