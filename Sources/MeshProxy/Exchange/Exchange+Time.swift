import MeshCore
import MeshPolicy
import MeshRuntime

// How long an exchange may take, as a whole and in each attempt, and the waits between attempts. One timer serves all of
// them; an exchange without limits has none.
extension Exchange {
  /// Takes the time limits and the retries of its rule.
  func begin(under rule: CompiledRule) {
    attemptLimit = rule.timeouts.backendRequest ?? .zero
    if let limit = rule.timeouts.request {
      let end = startTime + limit
      if deadline.map({ end < $0 }) ?? true {
        deadline = end
        isRouteDeadline = true
      }
      armTimer()
    }
    if let limit = rule.timeouts.stream {
      streamEnd = startTime + limit
      armTimer()
    }
    if isTunnel || isUpgrade { return }
    mayHedge = rule.hedging != nil
    if mayHedge || rule.retry != nil { beginKeepingBody() }
  }

  /// An attempt begins.
  func limitAttempt() {
    attemptEnd = worker.loop.now + attemptLimit
    armTimer()
  }

  /// A tunnel stands: it lasts as long as its ends like, and as its rule allows.
  func endTimeLimits() {
    deadline = nil
    endWait()
  }

  /// What the timer was armed for has come about; the other limits stay.
  func endWait() {
    attemptEnd = nil
    if let timer { worker.loop.cancel(timer) }
    armTimer()
  }

  /// How long the exchange may go on without a byte in either direction; zero: for ever.
  var idleLimit: TimeSpan {
    if let own = rule?.timeouts.idle { return own }
    let limits = worker.limits
    let usual = isTunnel ? limits.tunnelIdleTimeout : isGRPC ? limits.grpcIdleTimeout : limits.streamIdleTimeout
    guard let longest = inboundPort?.config.longestIdle else { return usual }
    return longest == .zero ? .zero : max(usual, longest)
  }

  /// Arms the timer for what comes first.
  func armTimer() {
    var first = ConnectionLifetime.never
    if let deadline { first = deadline }
    if let attemptEnd, attemptEnd < first { first = attemptEnd }
    if let streamEnd, streamEnd < first { first = streamEnd }
    if let hedgeStart, hedgeStart < first { first = hedgeStart }
    if first == ConnectionLifetime.never { return }
    let timer = timer ?? LoopTimer(owner: self)
    self.timer = timer
    worker.loop.schedule(timer, at: first)
  }

  func timerFired(_ timer: LoopTimer) {
    let now = worker.loop.now
    if let deadline, now >= deadline { return fail(isRouteDeadline ? .requestTimeout : .deadlineExceeded) }
    if let streamEnd, now >= streamEnd { return fail(.streamTimeout) }
    if let attemptEnd, now >= attemptEnd {
      self.attemptEnd = nil
      switch phase {
      case .backingOff: worker.router.retry(self)
      case .greeting: greetingTimedOut()
      case .delaying: endDelay()
      default: attemptTimedOut()
      }
    }
    if let hedgeStart, now >= hedgeStart {
      self.hedgeStart = nil
      beginHedge()
    }
    // What is left to wait for. The wheel reaches a year; a client may wait longer.
    armTimer()
  }

  private func attemptTimedOut() {
    // The endpoint has done its part once its answer is here, however slow the reader is.
    guard phase == .connecting || phase == .open, !responseEnded else { return }
    upstream.release(self, complete: false)
    upstreamFailed(.attemptTimeout)
  }
}
