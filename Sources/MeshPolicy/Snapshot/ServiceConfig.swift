package import MeshCore

/// Everything a proxy needs to route requests to one port of one service. Compiled by the control plane, immutable.
///
/// Rules stand in order of precedence: the first whose match succeeds decides. A service without routes has one rule
/// that matches everything and sends it to the service itself.
package struct ServiceConfig: Hashable, Sendable {
  package var key: ServicePort
  package var appProtocol: AppProtocol
  package var rules: [RouteRule]

  package init(key: ServicePort, appProtocol: AppProtocol, rules: [RouteRule]) {
    self.key = key
    self.appProtocol = appProtocol
    self.rules = rules
  }
}

/// What a service port speaks.
package enum AppProtocol: String, Hashable, Sendable {
  case http, http2, grpc, tcp

  /// Spoken with HTTP/2 in cleartext, prior knowledge assumed.
  package var isHTTP2: Bool { self == .http2 || self == .grpc }
}

/// One rule of a route: any of `matches`, then filters, then a backend by weight.
package struct RouteRule: Hashable, Sendable {
  /// Where the rule comes from, for metrics, logs and `apus why`: `httproute/shop/orders#0`, `trafficsplit/shop/orders`, `service/shop/orders`.
  package var name: String
  /// Alternatives; empty matches everything.
  package var matches: [RouteMatch]
  package var filters: [HeaderFilter]
  package var backends: [WeightedBackend]
  /// Set when the rule cannot serve, with the status to answer (Gateway API: no or invalid backends answer 500).
  package var failureStatus: UInt16?

  package init(
    name: String, matches: [RouteMatch] = [], filters: [HeaderFilter] = [], backends: [WeightedBackend],
    failureStatus: UInt16? = nil
  ) {
    self.name = name
    self.matches = matches
    self.filters = filters
    self.backends = backends
    self.failureStatus = failureStatus
  }
}

/// Conditions that must all hold.
package struct RouteMatch: Hashable, Sendable {
  package var path: PathMatch?
  package var method: String?
  package var headers: [HeaderMatch]

  package init(path: PathMatch? = nil, method: String? = nil, headers: [HeaderMatch] = []) {
    self.path = path
    self.method = method
    self.headers = headers
  }
}

/// A condition on the path, query excluded.
package enum PathMatch: Hashable, Sendable {
  case exact(String)
  /// Element-wise: `/abc` matches `/abc` and `/abc/d`, not `/abcd`.
  case prefix(String)
  /// POSIX extended syntax, anchored at both ends.
  case regularExpression(String)
}

package struct HeaderMatch: Hashable, Sendable {
  /// In lower case.
  package var name: String
  package var value: HeaderValueMatch

  package init(name: String, value: HeaderValueMatch) {
    self.name = name
    self.value = value
  }
}

package enum HeaderValueMatch: Hashable, Sendable {
  case exact(String)
  case regularExpression(String)
}

/// A change to the fields of a request or response.
package struct HeaderFilter: Hashable, Sendable {
  package enum Direction: UInt8, Hashable, Sendable { case request, response }

  package var direction: Direction
  package var set: [HeaderPair]
  package var add: [HeaderPair]
  package var remove: [String]

  package init(direction: Direction, set: [HeaderPair] = [], add: [HeaderPair] = [], remove: [String] = []) {
    self.direction = direction
    self.set = set
    self.add = add
    self.remove = remove
  }
}

package struct HeaderPair: Hashable, Sendable {
  package var name: String
  package var value: String

  package init(name: String, value: String) {
    self.name = name
    self.value = value
  }
}

/// A share of a rule's requests. Weight 0 gets none.
package struct WeightedBackend: Hashable, Sendable {
  /// The service port whose endpoints serve; its `EndpointSet` is a resource of its own.
  package var backend: ServicePort
  package var weight: UInt32
  /// Set when this share must be answered by the proxy with that status: 500 for a reference that names nothing.
  package var failureStatus: UInt16?

  package init(backend: ServicePort, weight: UInt32, failureStatus: UInt16? = nil) {
    self.backend = backend
    self.weight = weight
    self.failureStatus = failureStatus
  }
}

/// The endpoints behind one port of one service. Changes much more often than `ServiceConfig`, so it travels alone.
package struct EndpointSet: Hashable, Sendable {
  package var key: ServicePort
  package var endpoints: [Endpoint]
  /// What the port speaks: how endpoints without a proxy of the mesh are spoken to.
  package var appProtocol: AppProtocol

  package init(key: ServicePort, endpoints: [Endpoint], appProtocol: AppProtocol = .http) {
    self.key = key
    self.endpoints = endpoints
    self.appProtocol = appProtocol
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

  package init(
    address: SocketAddress, workload: String, identity: SPIFFEID?, meshPort: UInt16 = 15008,
    labels: [String: String] = [:]
  ) {
    self.address = address
    self.workload = workload
    self.identity = identity
    self.meshPort = meshPort
    self.labels = labels
  }
}
