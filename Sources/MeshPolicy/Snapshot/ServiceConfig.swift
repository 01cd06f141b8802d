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
