import MeshCore
import MeshHTTP
import MeshPolicy
import MeshRuntime
import MeshTelemetry

// Sending a request again: at once where it cannot have been acted on, after a wait where its rule asks for it. Every repeat
// takes from the budget of its backend.
extension Exchange {
  /// Repeats after a failed attempt. False: the failure stands.
  func repeats(after error: ProxyError, onReusedConnection: Bool) -> Bool {
    guard !responseStarted, canSendBodyAgain else { return false }
    if isSafe(error, onReusedConnection: onReusedConnection) {
      guard takeFromBudget() else { return false }
      if error.retry == .reusedConnection { uncertainRepeats += 1 }
      beginRepeat(error.retryReason)
      worker.router.retry(self)
      return true
    }
    guard isAskedFor(error), let wait = waitBeforeRepeat(), takeFromBudget() else { return false }
    beginRepeat(error.retryReason)
    backOff(wait)
    return true
  }

  /// Repeats after an answer with a status that the rule lists, and drops that answer. False: the answer is the client's.
  func repeats(after head: MessageHead, ended: Bool) -> Bool {
    guard let retry = rule?.retry else { return false }
    let isOfCall = isGRPC && ended && retry.repeats(call: head)
    guard isOfCall || retry.repeats(head.status) else { return false }
    guard retry.allowsAnother(after: attempts - 1) else {
      if retry.attempts > 0, flag == .none { flag = .upstreamRetryLimit }
      return false
    }
    let asked = RetryAfter(head, isGRPC: isGRPC, now: WallClock.now)
    guard canSendBodyAgain, let wait = waitBeforeRepeat(asked: asked), takeFromBudget() else { return false }
    if isGRPC { noteGRPCStatus(head) }
    settleTicket(status: head.status)
    upstream.release(self, complete: ended && requestEndSent)
    upstream = .none
    flag = .none
    grpcOutcome = isGRPC ? .noStatus : .notGRPC
    beginRepeat(isOfCall ? .grpcStatus : .status)
    backOff(wait)
    return true
  }

  /// Whether `error` would be followed by a repeat, budget left aside.
  func mayRepeat(after error: ProxyError) -> Bool {
    guard !responseStarted, canSendBodyAgain else { return false }
    return isSafe(error, onReusedConnection: false) || isAskedFor(error) && waitBeforeRepeat() != nil
  }

  /// The rule wants failures of this kind repeated.
  private func isAskedFor(_ error: ProxyError) -> Bool {
    guard error.retry != .no, let retry = rule?.retry else { return false }
    return retry.failures.contains(error.retryFailure)
  }

  /// Nothing can have been done twice (docs/design/0002-request-path.md, "Retries").
  private func isSafe(_ error: ProxyError, onReusedConnection: Bool) -> Bool {
    guard !hasInterimResponse, attempts < worker.limits.maximumConnectAttempts else { return false }
    switch error.retry {
    case .no, .ifAsked: return false
    case .notSent: return true
    case .reusedConnection:
      return ReuseRetry(
        retriesSoFar: uncertainRepeats, connectionWasReused: onReusedConnection, responseBytesSeen: responseStarted,
        requestBodyBytesTaken: requestBytes, method: request.method
      ).isAllowed
    }
  }

  /// Nil when the rule allows no further repeat, or the time left does not.
  private func waitBeforeRepeat(asked: RetryAfter? = nil) -> TimeSpan? {
    guard let retry = rule?.retry, retry.allowsAnother(after: attempts - 1),
      let wait = retry.wait(before: attempts, &worker.loop.random, asked: asked)
    else { return nil }
    if let deadline, worker.loop.now + wait >= deadline { return nil }
    return wait
  }

  func takeFromBudget() -> Bool {
    guard let backend, !backend.retryBudget.takeRepeat(now: worker.loop.now) else { return true }
    worker.metrics.countRetry(ExchangeReport.retryKey(self, nil))
    return false
  }

  private func beginRepeat(_ reason: RetryReason) {
    phase = .resolving
    attemptEnd = nil
    requestEndSent = false
    restoreBody()
    if isCheck { return }
    worker.counters.retries &+= 1
    worker.metrics.countRetry(ExchangeReport.retryKey(self, reason))
  }

  private func backOff(_ wait: TimeSpan) {
    phase = .backingOff
    attemptEnd = worker.loop.now + wait
    armTimer()
  }

  // MARK: - The body

  private var canSendBodyAgain: Bool { !requestBodySent || keepsBody }

  func beginKeepingBody() {
    keepsBody = true
    keepBody(requestBuffer.readable)
  }

  func keepBody(_ bytes: UnsafeRawBufferPointer) {
    guard keptBytes + bytes.count <= max(worker.limits.maximumReplayBytes, holdableBytes) else {
      return giveUpRepeats()
    }
    guard !bytes.isEmpty else { return }
    let kept = keptBody ?? ByteQueue(pool: worker.loop.pool)
    keptBody = kept
    kept.append(bytes)
    keptBytes = kept.count
  }

  /// The body does not fit: once a part of it is sent, the request has one chance.
  func giveUpRepeats() {
    worker.metrics.limitHit("replay_bytes")
    forgetBody()
  }

  func forgetBody() {
    keepsBody = false
    guard keptBytes > 0 else { return }
    keptBytes = 0
    keptBody?.removeAll()
  }

  /// Puts all that came of the body back in line. From here on the buffer alone has it whole, whatever becomes of the copy.
  private func restoreBody() {
    guard requestBodySent else { return }
    requestBodySent = false
    requestBuffer.removeAll()
    if let keptBody { requestBuffer.append(keptBody.readable) }
  }
}
