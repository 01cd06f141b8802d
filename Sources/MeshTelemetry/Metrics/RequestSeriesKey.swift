/// Which way a request or connection goes, as seen by the workload this proxy serves.
package enum TrafficDirection: UInt8, Sendable, CaseIterable {
  case inbound, outbound

  package var text: StaticString { self == .inbound ? "inbound" : "outbound" }
}

/// The far side of a connection: who opened it or who was opened to.
package enum TrafficPeer: UInt8, Sendable, CaseIterable {
  case source, destination

  package var text: StaticString { self == .source ? "src" : "dst" }
}

/// What protects a connection; Linkerd's values of the label `tls`.
package enum TrafficSecurity: UInt8, Sendable, CaseIterable {
  /// Mutual TLS with a mesh identity on both sides.
  case mutual
  /// Plaintext: the peer has no mesh identity.
  case none

  package var text: StaticString { self == .mutual ? "true" : "no_identity" }
}

/// The labels of a series of requests. Strings are ids of the shard's `LabelInterner`.
package struct RequestSeriesKey: Hashable, Sendable {
  package var direction: TrafficDirection
  package var security: TrafficSecurity
  /// The service asked for; for inbound traffic the own service.
  package var service: Int32
  package var namespace: Int32
  /// `RouteRule.name`.
  package var route: Int32
  /// The backend service chosen.
  package var backend: Int32
  /// The endpoint's workload.
  package var workload: Int32
  /// SPIFFE id of the peer: `server_id` outbound, `client_id` inbound.
  package var peer: Int32
  /// The requests are gRPC calls.
  package var isGRPC: Bool

  package init(
    direction: TrafficDirection, security: TrafficSecurity = .none, service: Int32 = LabelInterner.empty,
    namespace: Int32 = LabelInterner.empty, route: Int32 = LabelInterner.empty, backend: Int32 = LabelInterner.empty,
    workload: Int32 = LabelInterner.empty, peer: Int32 = LabelInterner.empty, isGRPC: Bool = false
  ) {
    self.direction = direction
    self.security = security
    self.service = service
    self.namespace = namespace
    self.route = route
    self.backend = backend
    self.workload = workload
    self.peer = peer
    self.isGRPC = isGRPC
  }

  static func overflow(_ direction: TrafficDirection) -> RequestSeriesKey {
    let id = LabelInterner.overflow
    return RequestSeriesKey(
      direction: direction, security: .none, service: id, namespace: id, route: id, backend: id, workload: id,
      peer: id)
  }

  /// The part that the latency histograms tell apart.
  var latencyKey: LatencySeriesKey {
    LatencySeriesKey(
      direction: direction, service: service, namespace: namespace, backend: backend, workload: workload,
      isGRPC: isGRPC)
  }
}

struct LatencySeriesKey: Hashable, Sendable {
  var direction: TrafficDirection
  var service: Int32
  var namespace: Int32
  var backend: Int32
  var workload: Int32
  var isGRPC: Bool
}
