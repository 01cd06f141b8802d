package import MeshCore

/// The endpoints behind one port of one service. Changes much more often than `ServiceConfig`, so it travels alone.
package struct EndpointSet: Hashable, Sendable {
  package var key: ServicePort
  package var endpoints: [Endpoint]
  /// What the port speaks: how endpoints without a proxy of the mesh are spoken to.
  package var appProtocol: AppProtocol
  package var policy: BackendPolicy
  /// How connections to endpoints without a proxy of the mesh are secured. Nil: not at all.
  package var tls: TLSOrigination?
  /// The DNS says where the endpoints are. Nil: `endpoints` does.
  package var names: NameResolution?

  package init(
    key: ServicePort, endpoints: [Endpoint], appProtocol: AppProtocol = .http, policy: BackendPolicy = BackendPolicy(),
    tls: TLSOrigination? = nil, names: NameResolution? = nil
  ) {
    self.key = key
    self.endpoints = endpoints
    self.appProtocol = appProtocol
    self.policy = policy
    self.tls = tls
    self.names = names
  }
}

/// One place that serves a backend.
package struct Endpoint: Hashable, Sendable {
  /// Where the application listens, as its EndpointSlice says.
  package var address: SocketAddress
  /// Name of the workload, for metrics and logs.
  package var workload: String
  /// The identity that the peer must prove. Nil: not meshed, plaintext to `address`.
  package var identity: SPIFFEID?
  /// The peer proxy's mesh port; meaningful when `identity` is set.
  package var meshPort: UInt16
  /// Labels such as `version`.
  package var labels: [String: String]
  /// Its share of the requests, relative to the others'. At least 1: what should get none is not in the set.
  package var weight: UInt32
  package var locality: Locality
  /// How it is asked whether it is well. Nil: as the policy of the set says.
  package var healthCheck: HealthCheckPolicy?

  package init(
    address: SocketAddress, workload: String, identity: SPIFFEID?, meshPort: UInt16 = 15008,
    labels: [String: String] = [:], weight: UInt32 = 1, locality: Locality = Locality(),
    healthCheck: HealthCheckPolicy? = nil
  ) {
    self.healthCheck = healthCheck
    self.locality = locality
    self.address = address
    self.workload = workload
    self.identity = identity
    self.meshPort = meshPort
    self.labels = labels
    self.weight = weight
  }
}
