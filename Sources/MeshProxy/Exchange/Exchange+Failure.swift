import MeshCore
import MeshHTTP
import MeshPolicy
import MeshRuntime
import MeshTelemetry

// What ends an exchange: success, an answer of the proxy's own, a retry, or an abort.
extension Exchange {
  /// The upstream side failed. Retries if nothing can have been processed, answers if nothing was answered yet, aborts otherwise.
  func upstreamFailed(_ error: ProxyError, onReusedConnection: Bool = false) {
    guard phase == .connecting || phase == .open else { return }
    upstream = .none
    stopWaiting()
    if isTwin { return twinFailed(error) }
    // The answer is complete already, only not yet with a slow reader: it goes on, and what is left of the request has
    // nowhere to go (RFC 9113, section 8.1: a server may reset with NO_ERROR after its answer).
    if responseEnded, !isTunnel { return discardRequest() }
    settleTicket(after: error)
    if leavesToTwin() { return }
    if repeats(after: error, onReusedConnection: onReusedConnection) { return }
    fail(error)
  }

  /// Ends the exchange with an answer of the proxy's own, or by breaking off a response that has begun.
  func fail(_ error: ProxyError) {
    guard phase != .done, phase != .idle else { return }
    if isTwin { return twinFailed(error) }
    flag = error.flag
    guard !responseStarted else {
      breakOff(error)
      return complete()
    }
    answer(error)
  }

  /// Answers in the upstream's place. The exchange stays until the downstream, however slow, has taken the answer whole.
  private func answer(_ error: ProxyError) {
    beginOwnAnswer(status: isGRPC ? 200 : error.status)
    LocalReply.send(error, to: self)
  }

  /// Answers in a backend's place because a rule says so: no failure, so there is neither flag nor text.
  func answer(with head: MessageHead) {
    guard phase != .done, phase != .idle else { return }
    beginOwnAnswer(status: head.status)
    LocalReply.send(head, to: self)
  }

  func beginOwnAnswer(status: UInt16) {
    if hedge != nil { endTwin(.hedgeLost) }
    settleTicket(after: nil)
    if place != nil { leavePlace(.unanswered) }
    stopWaiting()
    // What the proxy says itself is said whole.
    fault?.endShaping()
    upstream.release(self, complete: false)
    upstream = .none
    phase = .open
    self.status = status
    responseStarted = true
    responseEnded = true
    responseTime = worker.loop.now
    lastActivity = responseTime
    // Whatever was asked for, what follows is an ordinary answer.
    isTunnel = false
    discardRequest()
  }

  /// The upstream will not be asked for the upgrade: what remains is an ordinary request without a body. Bytes that came
  /// early belong to the protocol that will not be spoken.
  func declineUpgrade() {
    isUpgrade = false
    requestEnded = true
    requestBuffer.removeAll()
    settleRequestCredit()
  }

  /// Without an upstream, what waits of the request is dropped, and so is what still comes (`Upstream.none`).
  private func discardRequest() {
    requestBuffer.removeAll()
    settleRequestCredit()
    downstream.resumeRequest()
  }

  /// A message that could not be parsed: there is no route, only an answer.
  func rejectRequest(direction: TrafficDirection, _ error: ProxyError) {
    self.direction = direction
    startTime = worker.loop.now
    phase = .resolving
    worker.exchangeStarted(self)
    fail(error)
  }

  /// The downstream is gone: nobody is left to answer.
  func downstreamGone() {
    downstreamLeft()
    complete()
  }

  /// The first half of `downstreamGone`: nothing more goes to the client. `complete` must follow.
  func downstreamLeft() {
    guard phase != .done, phase != .idle else { return }
    if !responseEndSent { flag = .downstreamTermination }
    downstream = .none
  }

  /// Accounting, release of the upstream, and back to the free list.
  func complete() {
    guard phase != .done, phase != .idle else { return }
    phase = .done
    if hedge != nil { endTwin(.hedgeLost) }
    settleTicket(after: nil)
    if place != nil { leavePlace(.unanswered) }
    leaveBackend()
    if let timer { worker.loop.cancel(timer) }
    if compression != nil { endCompression() }
    if !mirrors.isEmpty { endMirrors() }
    returnCredit()
    uncountHead()
    forgetBody()
    // Taken by exchange, not by copy: a copy would count references.
    var upstream = Upstream.none
    var downstream = Downstream.none
    swap(&upstream, &self.upstream)
    let isWhole = responseEndSent && responseEnded && requestEndSent
    upstream.release(self, complete: isWhole && (flag == .none || flag == .upstreamRetryLimit))
    worker.exchangeFinished(self)
    swap(&downstream, &self.downstream)
    downstream.exchangeFinished(self)
  }

  /// Flow control credit that was held back because the far side was slow goes back: the connection's window outlives this stream.
  private func returnCredit() {
    if uncreditedResponseBytes > 0 { upstream.creditResponse(uncreditedResponseBytes) }
    if uncreditedRequestBytes > 0 { downstream.creditRequest(uncreditedRequestBytes) }
    uncreditedResponseBytes = 0
    uncreditedRequestBytes = 0
    if creditedRequestBytes > 0 { creditedRequestBytes = 0 }
  }

  /// A peer proxy that could not reach its application, or would not for its sake, says so; the request was not processed and may go elsewhere.
  func retryAfterPeerFailure(_ head: MessageHead) -> Bool {
    guard direction == .outbound, endpoint?.isMeshed == true,
      let text = head.value(.xApusResponseFlag)
    else { return false }
    flag = ResponseFlag(text) ?? .none
    let error: ProxyError
    switch flag {
    case .upstreamConnectionFailure: error = .peerCouldNotConnect
    case .concurrencyLimited:
      // Once, and only elsewhere: the same endpoint would say the same, and all of them are busy if two are.
      guard attempts < 2, let backend, backend.balancer.endpointCount > 1 else { return false }
      error = .peerRefusedLoad
    default: return false
    }
    guard mayRepeat(after: error) else { return false }
    flag = .none
    upstream.release(self, complete: false)
    upstreamFailed(error)
    return true
  }
}
