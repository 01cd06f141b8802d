import MeshCore
import MeshHTTP
import MeshPolicy
import MeshRuntime
import MeshTelemetry

// What policies say of the content of a request: how long it may be, and whether it goes on before all of it is there
// (docs/design/0017-requests.md).
extension Exchange {
  /// Takes what the rule, or the port, says. True: the exchange was answered, as its content is too long already.
  func refuses(under body: RequestBodyPolicy) -> Bool {
    guard !isTunnel, !isUpgrade else { return false }
    if body.refuses(declared: declaredLength, received: requestBytes) {
      fail(.requestTooLarge)
      return true
    }
    maximumRequestBytes = body.maximumBytes ?? .max
    let received = UInt64(requestBuffer.count)
    if body.holds(declared: declaredLength, received: received, hasEnded: requestEnded, isGRPC: isGRPC) {
      holdableBytes = Int(body.bufferBytes ?? 0)
    }
    return false
  }

  private var declaredLength: UInt64? { if case .length(let length) = requestFraming { length } else { nil } }

  /// More came than may: what a head that says no length could not tell.
  func refuseContent(_ count: Int) {
    maximumRequestBytes = .max
    // The bytes go nowhere; the connection's window outlives this stream.
    downstream.creditRequest(count)
    fail(.requestTooLarge)
  }

  // MARK: - Holding

  /// Whether the request waits for the rest of its content.
  func holdsContent() -> Bool {
    guard !requestEnded, requestBuffer.count <= holdableBytes else { return false }
    phase = .holding
    // The application, which would say it, does not hear of the request before its content is here (RFC 9110, section 10.1.1).
    if let expected = request.value(.expect), expected.equalsIgnoringCase("100-continue") {
      request.remove(.expect)
      let head = worker.replyHead
      head.reset()
      head.status = 100
      downstream.sendInformational(head)
    }
    creditHeld()
    return true
  }

  /// A piece of the content came, or its end.
  func contentCame() {
    if let externalCheck, externalCheck.awaitsContent { return externalCheck.contentCame(self) }
    if !requestEnded {
      guard requestBuffer.count > holdableBytes else { return }
      // Without a length nobody could know that it would not fit.
      worker.metrics.limitHit("request_buffer_bytes")
    }
    phase = .resolving
    worker.router.goOn(self)
  }

  /// What is held takes nothing of the client's window: otherwise no more than a window could be held.
  func creditHeld() {
    let count = uncreditedRequestBytes
    guard count > 0 else { return }
    creditedRequestBytes += count
    uncreditedRequestBytes = 0
    downstream.creditRequest(count)
  }
}
