package import MeshCore

/// What a proxy needs to know about the workload beside it: who it is and what it serves. Compiled by the control
/// plane, immutable.
package struct WorkloadConfig: Hashable, Sendable {
  package var name: String
  package var namespace: String
  package var identity: SPIFFEID
  package var ports: [InboundPort]
  /// Where it runs: what its own requests prefer.
  package var locality: Locality
  /// Where its requests may go outside the mesh.
  package var egress = EgressPolicy()

  package init(
    name: String, namespace: String, identity: SPIFFEID, ports: [InboundPort], locality: Locality = Locality()
  ) {
    self.locality = locality
    self.name = name
    self.namespace = namespace
    self.identity = identity
    self.ports = ports
  }
}

/// One port that a workload serves.
package struct InboundPort: Hashable, Sendable {
  /// The endpoint port, as EndpointSlices name it.
  package var port: UInt16
  package var appProtocol: AppProtocol
  /// The service that names this port, for metrics. Nil: none does.
  package var service: ServicePort?
  /// Taken from by each request that comes for this port, in this order.
  package var rateLimits: [RateLimit]
  /// The longest silence that a rule for the port's requests allows, which their clients' proxies see to; zero: any. Nil: no rule says
  /// anything of it.
  package var longestIdle: TimeSpan?
  /// Kept by all proxies together, after those. Nil: none.
  package var globalRateLimit: GlobalRateLimit?
  /// Nil: content passes as it comes, whatever its length.
  package var requestBody: RequestBodyPolicy?
  /// Nil: the application gets whatever comes.
  package var adaptiveConcurrency: AdaptiveConcurrency?
  /// Nil: answers go out as they are.
  package var compression: CompressionPolicy?
  /// Nil: everybody may call.
  package var authorization: Authorization?
  /// Nil: tokens are not looked at.
  package var tokens: TokenPolicy?
  /// Of callers that come without a certificate of the mesh.
  package var meshTLS = MeshTLSMode.standard

  package init(
    port: UInt16, appProtocol: AppProtocol, service: ServicePort?, rateLimits: [RateLimit] = [],
    globalRateLimit: GlobalRateLimit? = nil, requestBody: RequestBodyPolicy? = nil,
    adaptiveConcurrency: AdaptiveConcurrency? = nil,
    compression: CompressionPolicy? = nil, longestIdle: TimeSpan? = nil, authorization: Authorization? = nil
  ) {
    self.port = port
    self.appProtocol = appProtocol
    self.service = service
    self.rateLimits = rateLimits
    self.longestIdle = longestIdle
    self.globalRateLimit = globalRateLimit
    self.requestBody = requestBody
    self.adaptiveConcurrency = adaptiveConcurrency
    self.compression = compression
    self.authorization = authorization
  }
}
