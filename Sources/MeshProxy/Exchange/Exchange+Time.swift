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
    if rule.retry != nil, !isTunnel, !isUpgrade { beginKeepingBody() }
  }

  /// An attempt begins.
  func limitAttempt() {
    attemptEnd = worker.loop.now + attemptLimit
    armTimer()
  }

  /// A tunnel stands: it lasts as long as its ends like.
  func endTimeLimits() {
    deadline = nil
    attemptEnd = nil
    if let timer { worker.loop.cancel(timer) }
  }

  /// Arms the timer for what comes first.
  func armTimer() {
    guard let first = deadline.map({ min($0, attemptEnd ?? $0) }) ?? attemptEnd else { return }
    let timer = timer ?? LoopTimer(owner: self)
    self.timer = timer
    worker.loop.schedule(timer, at: first)
  }

  func timerFired(_ timer: LoopTimer) {
    let now = worker.loop.now
    if let deadline, now >= deadline { return fail(isRouteDeadline ? .requestTimeout : .deadlineExceeded) }
    if let attemptEnd, now >= attemptEnd {
      self.attemptEnd = nil
      switch phase {
      case .backingOff: worker.router.retry(self)
      case .greeting: greetingTimedOut()
      case .delaying: endDelay()
      default: attemptTimedOut()
      }
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
