/// What was done to a request on purpose.
package enum InjectedFaultKind: UInt8, Sendable, CaseIterable {
  case delay, abort, reset, bandwidth, truncate, corrupt

  package var text: StaticString {
    switch self {
    case .delay: "delay"
    case .abort: "abort"
    case .reset: "reset"
    case .bandwidth: "bandwidth"
    case .truncate: "truncate"
    case .corrupt: "corrupt"
    }
  }
}

/// The labels of a count of injected faults. Strings are ids of the shard's `LabelInterner`.
package struct FaultSeriesKey: Hashable, Sendable {
  package var service: Int32
  package var namespace: Int32
  package var route: Int32
  /// The FaultInjection, as `shop/slow-payments`.
  package var policy: Int32
  package var kind: InjectedFaultKind

  package init(service: Int32, namespace: Int32, route: Int32, policy: Int32, kind: InjectedFaultKind) {
    self.service = service
    self.namespace = namespace
    self.route = route
    self.policy = policy
    self.kind = kind
  }

  static func overflow(_ kind: InjectedFaultKind) -> FaultSeriesKey {
    let id = LabelInterner.overflow
    return FaultSeriesKey(service: id, namespace: id, route: id, policy: id, kind: kind)
  }

  func labels(_ strings: [String]) -> String {
    LabelText.join([
      ("direction", "\(TrafficDirection.outbound.text)"), ("dst_service", strings[Int(service)]),
      ("dst_namespace", strings[Int(namespace)]), ("route_name", strings[Int(route)]),
      ("fault_injection", strings[Int(policy)]), ("fault", "\(kind.text)"),
    ])
  }
}
