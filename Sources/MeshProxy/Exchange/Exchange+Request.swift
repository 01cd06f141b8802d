import MeshCore
import MeshHTTP
import MeshRuntime
import MeshTelemetry

// The request's way: downstream -> buffer -> upstream.
extension Exchange {
  /// The request head is in `request`. Chooses where it goes and starts going there.
  func begin(direction: TrafficDirection, framing: BodyFraming, isUpgrade: Bool, ended: Bool) {
    self.direction = direction
    requestFraming = framing
    self.isUpgrade = isUpgrade
    isTunnel = request.method == .connect && request.connectProtocol.isEmpty
    requestEnded = ended
    startTime = worker.loop.now
    lastActivity = startTime
    phase = .resolving
    worker.exchangeStarted(self)
    countHead()
    if request.isGRPCRequest { beginGRPC() }
    if let deadline, deadline <= startTime { return fail(.deadlineExceeded) }
    switch direction {
    case .outbound: worker.router.routeOutbound(self)
    case .inbound: worker.router.routeInbound(self)
    }
  }

  /// Body bytes from the downstream. `last` when they are known to complete the body.
  func requestBody(_ bytes: UnsafeRawBufferPointer, last: Bool) {
    guard phase != .done, phase != .idle else {
      downstream.creditRequest(bytes.count)
      return
    }
    lastActivity = worker.loop.now
    requestBytes &+= UInt64(bytes.count)
    if requestBytes > maximumRequestBytes { return refuseContent(bytes.count) }
    uncreditedRequestBytes += bytes.count
    if last {
      requestEnded = true
      if place != nil { requestIsWhole() }
    }
    if keepsBody { keepBody(bytes) }
    if !mirrors.isEmpty { mirrorBody(bytes, last: last) }
    guard phase == .open, requestBuffer.isEmpty, !holdsRequestBytes, fault?.limitsRequest != true else {
      requestBuffer.append(bytes)
      settleRequestCredit()
      if watchesServerName { return judgeServerName() }
      if phase == .greeting { readServerName() }
      if phase == .holding { return contentCame() }
      if fault?.limitsRequest == true { upstreamWritable() }
      return
    }
    requestBodySent = true
    let accepted = upstream.send(bytes, last: last)
    if accepted < bytes.count {
      requestBuffer.append(bytes.slice(accepted, bytes.count - accepted))
    } else if last {
      requestEndSent = true
    }
    settleRequestCredit()
    finishIfComplete()
  }

  /// The downstream's message, or its half of a tunnel, is complete.
  func requestFinished(trailers: MessageHead?) {
    guard phase != .done, phase != .idle, !requestEndSent else { return }
    if place != nil, !requestEnded { requestIsWhole() }
    requestEnded = true
    if let trailers, !trailers.fields.isEmpty {
      if trailers !== requestTrailers { requestTrailers.copy(from: trailers) }
      hasRequestTrailers = true
      if let gate = inboundPort?.tokenGate { gate.removeOwnFields(requestTrailers) }
    }
    if !mirrors.isEmpty { mirrorEnd() }
    if watchesServerName { return judgeServerName() }
    if phase == .greeting { return readServerName() }
    if phase == .holding { return contentCame() }
    pumpRequest()
  }

  /// The upstream is connected and ready for the request head.
  func upstreamReady(_ upstream: Upstream) {
    guard phase == .connecting else { return }
    stopWaiting()
    self.upstream = upstream
    phase = .open
    let endsHere = requestEnded && requestBuffer.isEmpty && !hasRequestTrailers && !isTunnel && !isUpgrade
    if endsHere { requestEndSent = true }
    if isGRPC, deadline != nil { writeTimeLeft() }
    upstream.sendHead(self, last: endsHere)
    if endsHere { return }
    pumpRequest()
    // An upstream before this one may have been too slow for the client.
    if attempts > 1 || fault != nil || holdableBytes > 0 || isLimitedGlobally, phase == .open {
      downstream.resumeRequest()
    }
  }

  /// Hands the upstream what waits for it.
  func pumpRequest() {
    guard phase == .open, !holdsRequestBytes else { return }
    if !requestBuffer.isEmpty {
      requestBodySent = true
      let waiting = requestBuffer.count
      let ready = fault?.admitRequest(requestBuffer.readable) ?? requestBuffer.readable
      if ready.isEmpty { return settleRequestCredit() }
      let last = requestEnded && !hasRequestTrailers && ready.count == waiting
      let accepted = upstream.send(ready, last: last)
      requestBuffer.consume(accepted)
      fault?.tookRequest(accepted, of: ready.count)
      settleRequestCredit()
      if accepted < waiting { return }
      if last { requestEndSent = true }
    }
    if requestEnded, !requestEndSent {
      requestEndSent = true
      upstream.finish(trailers: hasRequestTrailers ? requestTrailers : nil)
    }
    finishIfComplete()
  }

  /// An upgrade's bytes wait until the upstream has agreed: a refused upgrade must not deliver them as a request. The client
  /// of a request is slowed down where its upstream is slow; it must not be for a mirror.
  private var holdsRequestBytes: Bool {
    (isUpgrade || isTunnel) && !responseStarted || isMirror && upstream.isCongested || watchesServerName
  }

  /// Gives the downstream credit for what the upstream took, unless the upstream is congested.
  func settleRequestCredit() {
    if phase == .holding { return creditHeld() }
    if creditedRequestBytes > 0 { creditedRequestBytes = min(creditedRequestBytes, requestBuffer.count) }
    let credit = uncreditedRequestBytes - (requestBuffer.count - creditedRequestBytes)
    guard phase != .open || !upstream.isCongested else {
      downstream.pauseRequest()
      return
    }
    if !requestBuffer.isEmpty, requestBuffer.count >= ByteQueue.pauseThreshold { downstream.pauseRequest() }
    if credit > 0 {
      uncreditedRequestBytes -= credit
      downstream.creditRequest(credit)
    }
  }

  /// The upstream can take more again.
  func upstreamWritable() {
    guard phase == .open else { return }
    pumpRequest()
    guard phase == .open, requestBuffer.isEmpty, !upstream.isCongested else { return }
    settleRequestCredit()
    downstream.resumeRequest()
  }
}

extension ByteQueue {
  /// Bytes waiting for a slow reader at which its sender is paused.
  static let pauseThreshold = 64 * 1024
}
