import MeshCore
package import MeshResources

/// What a rollout is told at one moment.
package struct RolloutInput: Hashable, Sendable {
  /// Unix milliseconds.
  package var now: Int64
  /// Why nothing can go to the canary at all, such as a Service that does not exist; else empty.
  package var obstacle: String
  /// Endpoints that are ready.
  package var stableEndpoints: Int
  package var canaryEndpoints: Int
  /// What clients' proxies saw since the last time; nil when they were not asked.
  package var samples: RolloutSamples?

  package init(
    now: Int64, obstacle: String = "", stableEndpoints: Int, canaryEndpoints: Int, samples: RolloutSamples? = nil
  ) {
    self.now = now
    self.obstacle = obstacle
    self.stableEndpoints = stableEndpoints
    self.canaryEndpoints = canaryEndpoints
    self.samples = samples
  }
}

extension RolloutState {
  /// Takes in how things are. Called often; every decision that is not a person's is here.
  package mutating func advance(_ rollout: Rollout, _ input: RolloutInput) {
    if isAnother(than: rollout) {
      restart(rollout, now: input.now, because: changeText(rollout))
    } else if steps != rollout.stepsText {
      // Nothing is left to step through.
      steps = rollout.stepsText
    }
    switch phase {
    case .promoted, .rolledBack: return
    case .waiting: begin(rollout, input)
    case .progressing, .paused:
      judge(rollout, input)
      retryRollback(input)
      if phase == .progressing { proceed(rollout, input) }
    }
  }

  // MARK: - Beginning

  private func isAnother(than rollout: Rollout) -> Bool {
    versions != rollout.versions || (!phase.isFinal && steps != rollout.stepsText)
  }

  private func changeText(_ rollout: Rollout) -> String {
    versions == rollout.versions ? "the steps were changed" : "the versions were changed"
  }

  mutating func restart(_ rollout: Rollout, now: Int64, because reason: String) {
    var fresh = RolloutState(rollout, now: now)
    fresh.events = events
    fresh.note("Restarted", reason, now: now)
    self = fresh
  }

  /// A canary without endpoints would only answer 503.
  private mutating func begin(_ rollout: Rollout, _ input: RolloutInput) {
    guard input.obstacle.isEmpty, input.canaryEndpoints > 0 || rollout.steps[0].weight == 0 else { return }
    enterStep(0, rollout, input.now)
  }

  private mutating func enterStep(_ index: Int, _ rollout: Rollout, _ now: Int64) {
    let target = rollout.steps[index]
    step = index
    weight = target.weight
    stepStarted = now
    waitStarted = now
    isResumed = false
    hasPassed = false
    failures = 0
    lastJudgement = nil
    forgetSamples(now: now)
    enter(target.pause == nil ? .paused : .progressing, target.pause == nil ? .step : nil, now: now)
    let asks = target.pause == nil ? ", until somebody resumes it" : ""
    note(
      "StepBegan", "step \(index + 1) of \(rollout.steps.count): \(weight) % to \(versions.canary)\(asks)", now: now)
  }

  // MARK: - Judging

  private mutating func judge(_ rollout: Rollout, _ input: RolloutInput) {
    guard weight > 0 else { return }
    if !input.obstacle.isEmpty { return fail(input.obstacle, rollout, input) }
    if input.canaryEndpoints == 0 {
      return fail("\(versions.canary) has no ready endpoint", rollout, input)
    }
    guard let gates = rollout.gates, let fresh = input.samples else { return }
    samples += fresh
    guard input.now - samplesSince >= gates.interval.nanoseconds / 1_000_000 else { return }
    let judgement = gates.judge(samples, comparing: weight < 100)
    lastJudgement = judgement
    guard judgement.missing.isEmpty else { return }
    forgetSamples(now: input.now)
    hasPassed = judgement.passed
    guard judgement.failed else { return }
    failures += 1
    if failures > gates.toleratedFailures { return fail(judgement.text, rollout, input) }
    note(
      "GateFailed", "\(judgement.text); \(failures) of \(gates.toleratedFailures) that are tolerated", now: input.now)
  }

  private mutating func fail(_ reason: String, _ rollout: Rollout, _ input: RolloutInput) {
    let now = input.now
    // Somebody knows already, or nobody can help.
    if pause == .gateFailed || pause == .stableUnavailable { return }
    if rollout.onFailure == .pause {
      enter(.paused, .gateFailed, now: now)
      return note("GateFailed", "paused at \(weight) %: \(reason)", now: now)
    }
    guard input.stableEndpoints > 0 else {
      enter(.paused, .stableUnavailable, now: now)
      pendingFailure = reason
      return note(
        "StableUnavailable", "\(reason), but \(versions.stable) has no ready endpoint to roll back to", now: now)
    }
    rollBack(reason, now: now)
  }

  private mutating func retryRollback(_ input: RolloutInput) {
    guard let pendingFailure, pause == .stableUnavailable, input.stableEndpoints > 0 else { return }
    rollBack(pendingFailure, now: input.now)
  }

  mutating func rollBack(_ reason: String, now: Int64) {
    note("RolledBack", "every request goes to \(versions.stable) again: \(reason)", now: now)
    weight = 0
    pendingFailure = nil
    enter(.rolledBack, now: now)
  }

  // MARK: - Going on

  private mutating func proceed(_ rollout: Rollout, _ input: RolloutInput) {
    let now = input.now
    let current = rollout.steps[min(step, rollout.steps.count - 1)]
    let pauseEnd = stepStarted + (current.pause?.nanoseconds ?? 0) / 1_000_000
    guard current.pause == nil ? isResumed : now >= pauseEnd else { return }
    if let gates = rollout.gates, weight > 0, !hasPassed { return wait(gates, since: max(pauseEnd, waitStarted), now) }
    // In a step with weight 0 it may still be missing.
    guard input.obstacle.isEmpty, input.canaryEndpoints > 0 else { return }
    if let judgement = lastJudgement, hasPassed { note("StepPassed", judgement.text, now: now) }
    if step + 1 < rollout.steps.count {
      enterStep(step + 1, rollout, now)
    } else {
      promote("the last step is over", now: now)
    }
  }

  private mutating func wait(_ gates: RolloutGates, since: Int64, _ now: Int64) {
    let limit = gates.maximumWait.nanoseconds / 1_000_000
    guard limit > 0, now - since >= limit else { return }
    enter(.paused, .tooFewRequests, now: now)
    let missing = lastJudgement.map(\.missing).flatMap { $0.isEmpty ? nil : $0 } ?? "no judgement passed"
    note("TooFewRequests", "waited \(GatewayDuration.text(gates.maximumWait)) for a judgement: \(missing)", now: now)
  }

  mutating func promote(_ reason: String, now: Int64) {
    note("Promoted", "every request goes to \(versions.canary): \(reason)", now: now)
    weight = 100
    enter(.promoted, now: now)
  }
}
