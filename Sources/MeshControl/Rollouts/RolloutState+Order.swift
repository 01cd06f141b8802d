package import MeshResources

/// What people tell a rollout.
package enum RolloutOrder: String, Hashable, Sendable, CaseIterable {
  case pause, resume, promote, abort, restart
}

/// Why a rollout does not do what somebody told it.
package struct RolloutRefusal: Error, Hashable, CustomStringConvertible {
  package var description: String
}

extension RolloutState {
  package mutating func obey(
    _ order: RolloutOrder, _ rollout: Rollout, _ input: RolloutInput
  ) throws(RolloutRefusal) {
    let now = input.now
    switch order {
    case .pause: try hold(now)
    case .resume: try resume(now)
    case .promote:
      try checkUnfinished("restart it first")
      if !input.obstacle.isEmpty { throw RolloutRefusal(description: input.obstacle) }
      try check(input.canaryEndpoints, of: versions.canary)
      promote("by hand", now: now)
    case .abort:
      if phase == .rolledBack { throw RolloutRefusal(description: "it is rolled back already") }
      try check(input.stableEndpoints, of: versions.stable)
      rollBack("by hand", now: now)
    case .restart: restart(rollout, now: now, because: "by hand")
    }
  }

  private mutating func hold(_ now: Int64) throws(RolloutRefusal) {
    try checkUnfinished("nothing is left to pause")
    if phase == .waiting { throw RolloutRefusal(description: "it has not begun: nothing goes to the canary yet") }
    if phase == .paused { throw RolloutRefusal(description: "it is paused already") }
    enter(.paused, .byHand, now: now)
    note("PausedByHand", "the weights stay at \(weight) %", now: now)
  }

  private mutating func resume(_ now: Int64) throws(RolloutRefusal) {
    guard phase == .paused, let pause else {
      throw RolloutRefusal(description: "it is not paused, but \(phase.rawValue)")
    }
    if pause == .step { isResumed = true }
    failures = 0
    pendingFailure = nil
    waitStarted = now
    // What was judged before is what somebody has decided to pass over.
    if pause != .step && pause != .byHand { forgetSamples(now: now) }
    enter(.progressing, now: now)
    note("Resumed", "by hand, at \(weight) %", now: now)
  }

  private func checkUnfinished(_ hint: String) throws(RolloutRefusal) {
    guard phase.isFinal else { return }
    let word = phase == .promoted ? "promoted" : "rolled back"
    throw RolloutRefusal(description: "it is \(word) already; \(hint)")
  }

  private func check(_ endpoints: Int, of service: String) throws(RolloutRefusal) {
    if endpoints == 0 { throw RolloutRefusal(description: "\(service) has no ready endpoint") }
  }
}
