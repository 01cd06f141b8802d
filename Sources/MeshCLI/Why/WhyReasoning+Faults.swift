internal import MeshCore
internal import MeshHTTP
internal import MeshPolicy

extension WhyReasoning {
  /// Those that are for the caller and for such a request. What keeps a request from its backend is a failure like any other.
  mutating func addFaults(_ rule: RouteRule) {
    let plan = FaultPlan(rule.faults, client: SPIFFEID(answer.caller.identity))
    for fault in plan?.policies(for: head) ?? [] {
      let effects = RuleText.effects(fault, isGRPC: request.isGRPC)
      guard !effects.isEmpty else { continue }
      let state = fault.schedule.state(at: now)
      let share = Double(fault.millionths) / 1e6
      answer.rule?.faults.append(.init(name: fault.name, share: share, effects: effects, state: state.text))
      guard state == .active, share > 0, let status = fault.answer(isGRPC: request.isGRPC) else { continue }
      answer.failures.append(
        .init(
          share: share, status: status.http, grpcStatus: status.grpc?.rawValue,
          reason: "the FaultInjection \(fault.name) makes such requests fail on purpose",
          fix: "remove it, or stop all faults: apus chaos stop"))
    }
  }
}

extension FaultPolicy {
  /// What a request gets that never reaches its backend; status 0: a reset.
  fileprivate func answer(isGRPC: Bool) -> (http: UInt16, grpc: GRPCStatus?)? {
    if isReset { return (0, nil) }
    guard let abort, abort.applies(toGRPC: isGRPC) else { return nil }
    let status = abort.status ?? 200
    return (status, isGRPC ? abort.grpcStatus ?? GRPCStatus(httpStatus: status) : nil)
  }
}

extension FaultSchedule.State {
  fileprivate var text: String {
    switch self {
    case .active: "active"
    case .notStarted: "not started"
    case .betweenWindows: "between windows"
    case .ended: "ended"
    }
  }
}
