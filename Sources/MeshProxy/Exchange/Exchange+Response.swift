import MeshCore
import MeshHTTP
import MeshPolicy
import MeshRuntime
import MeshTelemetry

// The response's way: upstream -> buffer -> downstream.
extension Exchange {
  /// A 1xx response other than 101; goes through at once.
  func informationalResponse(_ head: MessageHead) {
    guard phase == .open, !responseStarted, !isTwin else { return }
    lastActivity = worker.loop.now
    hasInterimResponse = true
    downstream.sendInformational(head)
  }

  /// The final response head. `head` belongs to the upstream and is valid during the call only.
  func responseHead(_ head: MessageHead, framing: BodyFraming, ended: Bool) {
    guard phase == .open, !responseStarted else { return }
    if isTwin { return twinAnswered(head, framing: framing, ended: ended) }
    if hedge != nil {
      if leavesToTwin(after: head, ended: ended) { return }
      endTwin(.hedgeLost)
    }
    if head.status >= 500 || head.status == 429 || head.status == 413 || isGRPC || isCheck,
      retryAfterPeerFailure(head)
    {
      return
    }
    if rule?.retry != nil, repeats(after: head, ended: ended) { return }
    let now = worker.loop.now
    responseTime = now
    lastActivity = now
    status = head.status
    if isGRPC { noteGRPCHead(head, ended: ended) }
    settleTicket(status: head.status)
    if place != nil { leavePlace(head.status < 500 ? .answered : .failed) }
    if isTunnel || isUpgrade {
      isTunnel = isTunnel && head.status < 300 || isUpgrade && head.status == 101
      if isTunnel {
        endTimeLimits()
        // The bytes of another protocol are no body.
        fault?.endShaping()
      } else {
        declineUpgrade()
      }
    }
    head.remove(.xApusResponseFlag)
    head.remove(.xApusUpgrade)
    if isFiltered { filterResponse(head) }
    var framing = framing
    if let compression = inboundPort?.compression {
      framing = beginCompression(compression, head, framing, ended: ended)
    }
    responseStarted = true
    if keepsBody { forgetBody() }
    if ended { responseEnded = true }
    let endsHere = ended && !isTunnel
    if endsHere { responseEndSent = true }
    downstream.sendHead(head, framing: framing, last: endsHere, self)
    if !requestEndSent { pumpRequest() }
    // A tunnel whose far end has nothing to say is half closed at once.
    if ended, isTunnel { return pumpResponse() }
    finishIfComplete()
  }

  func responseBody(_ bytes: UnsafeRawBufferPointer, last: Bool) {
    guard phase == .open, responseStarted else {
      upstream.creditResponse(bytes.count)
      return
    }
    lastActivity = worker.loop.now
    responseBytes &+= UInt64(bytes.count)
    uncreditedResponseBytes += bytes.count
    if last { responseEnded = true }
    if let compression {
      compression.encode(bytes, last: last, into: responseBuffer)
      return pumpResponse()
    }
    if let fault, !isTunnel {
      fault.shape(bytes, into: responseBuffer)
      return pumpResponse()
    }
    guard responseBuffer.isEmpty else {
      responseBuffer.append(bytes)
      settleResponseCredit()
      return
    }
    let accepted = downstream.send(bytes, last: last)
    if accepted < bytes.count {
      responseBuffer.append(bytes.slice(accepted, bytes.count - accepted))
    } else if last {
      responseEndSent = true
    }
    settleResponseCredit()
    finishIfComplete()
  }

  /// The upstream's message, or its half of a tunnel, is complete.
  func responseFinished(trailers: MessageHead?) {
    guard phase == .open, responseStarted, !responseEndSent else { return }
    responseEnded = true
    if let trailers, !trailers.fields.isEmpty {
      if isGRPC { noteGRPCStatus(trailers) }
      if trailers !== responseTrailers { responseTrailers.copy(from: trailers) }
      hasResponseTrailers = true
    }
    compression?.finish(into: responseBuffer)
    pumpResponse()
  }

  func pumpResponse() {
    guard phase == .open, responseStarted else { return }
    if !responseBuffer.isEmpty {
      let waiting = responseBuffer.count
      let ready = fault?.admitResponse(responseBuffer.readable) ?? responseBuffer.readable
      if ready.isEmpty { return settleResponseCredit() }
      let last = responseEnded && !hasResponseTrailers && ready.count == waiting && fault?.cutsResponse != true
      let accepted = downstream.send(ready, last: last)
      responseBuffer.consume(accepted)
      fault?.tookResponse(accepted, of: ready.count)
      settleResponseCredit()
      if accepted < waiting { return }
      if last { responseEndSent = true }
    }
    if fault?.cutsResponse == true { return cutResponse() }
    if responseEnded, !responseEndSent {
      responseEndSent = true
      downstream.finish(trailers: hasResponseTrailers ? responseTrailers : nil)
    }
    finishIfComplete()
  }

  func settleResponseCredit() {
    let credit = uncreditedResponseBytes - responseBuffer.count
    guard !downstream.isCongested else {
      upstream.pauseResponse()
      return
    }
    if !responseBuffer.isEmpty, responseBuffer.count >= ByteQueue.pauseThreshold { upstream.pauseResponse() }
    if credit > 0 {
      uncreditedResponseBytes -= credit
      upstream.creditResponse(credit)
    }
  }

  /// The downstream can take more again.
  func downstreamWritable() {
    guard phase == .open else { return }
    pumpResponse()
    guard phase == .open, responseBuffer.isEmpty, !downstream.isCongested else { return }
    settleResponseCredit()
    upstream.resumeResponse()
  }

  /// Ends the exchange when both directions are through.
  ///
  /// A response that is complete ends it even when the request is not: the upstream has said all it will say.
  func finishIfComplete() {
    guard phase == .open, responseEndSent else { return }
    if isTunnel, !requestEndSent { return }
    complete()
  }
}
