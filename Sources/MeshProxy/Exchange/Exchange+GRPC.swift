import MeshCore
import MeshHTTP
import MeshRuntime
import MeshTelemetry

// What an exchange does for a gRPC call: its deadline, its status, and failures after the response has begun.
extension Exchange {
  /// Notes the deadline. A `grpc-timeout` that cannot be read goes on as it is and sets none: what a server makes of it is its
  /// own affair, as it would be without a proxy.
  func beginGRPC() {
    isGRPC = true
    grpcOutcome = .noStatus
    guard let text = request.value(.grpcTimeout), let timeout = GRPCTimeout.parse(text) else { return }
    deadline = startTime + timeout
    armTimer()
  }

  /// The next hop gets the time that is left: waiting for configuration and for a connection has used some of it, and the
  /// rule may allow less than the client.
  func writeTimeLeft() {
    guard let deadline else { return }
    request.remove(.grpcTimeout)
    GRPCTimeout.withText(deadline - worker.loop.now) { request.append(.grpcTimeout, $0) }
  }

  // MARK: - Status

  func noteGRPCHead(_ head: MessageHead, ended: Bool) {
    noteGRPCStatus(head)
    // Trailers after a declared length that was not reached would break the message instead of ending it.
    mayEndWithTrailers = !ended && head.hasGRPCContentType && !head.contains(.contentLength)
  }

  /// Reads the status from trailers, or from a head that is all there is.
  func noteGRPCStatus(_ head: MessageHead) {
    guard let text = head.value(.grpcStatus) else { return }
    grpcOutcome = GRPCStatus(text).map { .status($0) } ?? .unrecognized
  }

  /// Ends a response that has begun. Over HTTP/2 a gRPC client still learns the reason, from trailers: a reset would read as
  /// INTERNAL, as if its own request had broken something. Every other client sees the message cut off.
  func breakOff(_ error: ProxyError) {
    guard mayEndWithTrailers, case .http2 = downstream else { return downstream.abort() }
    let trailers = worker.replyHead
    trailers.reset()
    trailers.appendGRPCStatus(error.grpcStatus, message: error.reason)
    grpcOutcome = .status(error.grpcStatus)
    downstream.finish(trailers: trailers)
  }
}
