import MeshCore

// Who is left out, and until when.
extension EndpointBalancer {
  func judge(_ slot: Int, _ outcome: EndpointOutcome, _ latency: TimeSpan, now: Instant) {
    switch states[slot].phase {
    case .ejected: break
    case .probation: judgeProbation(slot, outcome, now: now)
    case .ready:
      states[slot].sample.note(outcome, latency, localCounts: !outliers.countsLocalFailuresApart)
      // Nearly always: there is nothing to count.
      if outcome == .success, states[slot].rows.isClean { return }
      if let reason = states[slot].rows.note(outcome, outliers) { eject(slot, for: reason, now: now) }
    }
  }

  private func judgeProbation(_ slot: Int, _ outcome: EndpointOutcome, now: Instant) {
    isStale = true
    switch outcome {
    case .cancelled: states[slot].isProbing = false
    case .success:
      states[slot].comeBack(now: now)
      unavailable &-= 1
      startSlowly(slot, now: now)
      note(.returned)
    case .serverError, .gatewayError, .transportFailure, .connectFailure: failProbation(slot, outcome, now: now)
    }
  }

  private func failProbation(_ slot: Int, _ outcome: EndpointOutcome, now: Instant) {
    let reason: EjectionReason =
      switch outcome {
      case .connectFailure: .connectFailures
      case .transportFailure: .transportFailures
      case .gatewayError: .gatewayErrors
      default: .serverErrors
      }
    putOut(slot, for: reason, now: now)
  }

  /// Unless as many as may be are out.
  private func eject(_ slot: Int, for reason: EjectionReason, now: Instant) {
    guard unavailable < outliers.maximumEjected(of: live.count) else {
      if live.count > 1 { note(.ejectionWithheld) }
      return
    }
    unavailable &+= 1
    states[slot].forgive(now: now, interval: outliers.interval)
    putOut(slot, for: reason, now: now)
  }

  private func putOut(_ slot: Int, for reason: EjectionReason, now: Instant) {
    isStale = true
    let time = outliers.ejectionTime(after: states[slot].ejections, jitter: jitter.unit())
    states[slot].eject(until: now + time, for: reason)
    note(.ejected(reason))
  }

  // MARK: - Against the others

  /// Compares what the endpoints did, and begins the next interval.
  func endInterval(now: Instant) {
    intervalEnd = now + outliers.interval
    guard outliers.successRate != nil || outliers.latency != nil else { return }
    let judged = live.filter { states[$0].phase == .ready && !states[$0].sample.isEmpty }
    let samples = judged.map { states[$0].sample }
    for slot in live { states[slot].sample = EndpointSample() }
    if let policy = outliers.successRate {
      for i in OutlierStatistics.bySuccessRate(samples, policy) { eject(judged[i], for: .successRate, now: now) }
    }
    if let policy = outliers.latency {
      for i in OutlierStatistics.byLatency(samples, policy) where states[judged[i]].phase == .ready {
        eject(judged[i], for: .latency, now: now)
      }
    }
  }
}
