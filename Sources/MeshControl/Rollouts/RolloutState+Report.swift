import MeshResources

extension RolloutState {
  /// Why the phase is what it is: one word, and a sentence.
  func report(_ plan: CompiledRollout) -> (reason: String, message: String) {
    switch phase {
    case .waiting: return waiting(plan)
    case .promoted, .rolledBack: return (phase.rawValue, lastMessage(phase.rawValue))
    case .paused:
      guard let pause else { return (phase.rawValue, "") }
      let hint = pause == .step ? "; go on with: apus rollout resume \(plan.name)" : ""
      return (pause.rawValue, lastMessage(pause == .step ? "StepBegan" : pause.rawValue) + hint)
    case .progressing: return ("StepBegan", lastMessage("StepBegan"))
    }
  }

  private func waiting(_ plan: CompiledRollout) -> (reason: String, message: String) {
    if !plan.obstacle.isEmpty { return ("NotResolved", plan.obstacle) }
    let message = plan.canaryEndpoints == 0 ? "\(versions.canary) has no ready endpoint" : "begins at once"
    return ("NoEndpoint", message)
  }

  private func lastMessage(_ reason: String) -> String { events.last { $0.reason == reason }?.message ?? "" }
}

// MARK: - Conditions

extension PolicyStatus {
  /// What a rollout adds to the conditions of its policy.
  func with(_ plan: CompiledRollout?, _ state: RolloutState?) -> PolicyStatus {
    guard let plan, let state else { return self }
    let (reason, message) = state.report(plan)
    let isUnderWay = state.phase == .waiting || state.phase == .progressing
    var conditions = [
      RouteCondition(
        kind: .progressing, isTrue: isUnderWay, reason: reason, message: message, since: state.changed)
    ]
    if state.needsSomebody {
      conditions.append(
        RouteCondition(kind: .degraded, isTrue: true, reason: reason, message: message, since: state.changed))
    }
    var status = self
    for index in ancestors.indices { status.ancestors[index].conditions += conditions }
    return status
  }
}

extension RolloutState {
  /// It went wrong, or does not get on.
  fileprivate var needsSomebody: Bool {
    switch pause {
    case nil: phase == .rolledBack
    case .step, .byHand: false
    case .gateFailed, .tooFewRequests, .stableUnavailable: true
    }
  }
}
