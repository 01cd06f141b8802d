/// Why a request is sent again.
package enum RetryReason: UInt8, Sendable, CaseIterable {
  case connectFailure, refusedStream, connectionClosed, reset, timeout, status, grpcStatus, overload

  package var text: StaticString {
    switch self {
    case .connectFailure: "connect_failure"
    case .refusedStream: "refused_stream"
    case .connectionClosed: "connection_closed"
    case .reset: "reset"
    case .timeout: "timeout"
    case .status: "status"
    case .grpcStatus: "grpc_status"
    case .overload: "overload"
    }
  }
}

/// The labels of a count of repeats, those of `RequestSeriesKey` without the endpoint's. Strings are ids of the shard's
/// `LabelInterner`.
package struct RetrySeriesKey: Hashable, Sendable {
  package var direction: TrafficDirection
  package var service: Int32
  package var namespace: Int32
  package var route: Int32
  package var backend: Int32
  /// Nil: the repeat did not take place, since the budget was spent.
  package var reason: RetryReason?

  package init(
    direction: TrafficDirection, service: Int32, namespace: Int32, route: Int32, backend: Int32, reason: RetryReason?
  ) {
    self.direction = direction
    self.service = service
    self.namespace = namespace
    self.route = route
    self.backend = backend
    self.reason = reason
  }

  static func overflow(_ direction: TrafficDirection, _ reason: RetryReason?) -> RetrySeriesKey {
    let id = LabelInterner.overflow
    return RetrySeriesKey(direction: direction, service: id, namespace: id, route: id, backend: id, reason: reason)
  }

  func labels(_ strings: [String]) -> String {
    var labels = [
      ("direction", "\(direction.text)"), ("dst_service", strings[Int(service)]),
      ("dst_namespace", strings[Int(namespace)]), ("route_name", strings[Int(route)]),
      ("backend", strings[Int(backend)]),
    ]
    if let reason { labels.append(("reason", "\(reason.text)")) }
    return LabelText.join(labels)
  }
}
