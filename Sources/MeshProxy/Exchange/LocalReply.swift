import MeshCore
import MeshHTTP
import MeshTelemetry

/// Answers that the proxy gives itself.
///
/// A short `text/plain` body, `server: apus`, and on the mesh hop the response flag for the proxy on the other side.
enum LocalReply {
  static func send(_ error: ProxyError, to exchange: Exchange) {
    let head = exchange.worker.replyHead
    head.reset()
    head.status = error.status
    head.append(.server, "apus")
    if exchange.request.method == .connect, case .raw = exchange.downstream {
      exchange.downstream.abort(exchange, error)
      return
    }
    if case .http2(let connection, _) = exchange.downstream, connection.isMeshPeer {
      head.append(.xApusResponseFlag, error.flag.code)
    }
    if exchange.isGRPC { return sendTrailersOnly(error, head, to: exchange) }
    head.append(.contentType, "text/plain; charset=utf-8")
    let length = error.reason.utf8CodeUnitCount + 1
    if case .http2(let connection, let stream) = exchange.downstream,
      exchange.downstream.isCongested || !connection.hasRoom(for: length, on: stream)
    {
      // A slow reader, or a window too small for the text: the status and the flag say enough, and nothing waits.
      exchange.downstream.sendHead(head, framing: .none, last: true, exchange)
      return
    }
    head.append(.contentLength, number: length)
    let hasBody = exchange.request.method != .head
    exchange.downstream.sendHead(head, framing: .length(UInt64(length)), last: !hasBody, exchange)
    guard hasBody else { return }
    withUnsafeTemporaryAllocation(byteCount: length, alignment: 1) { body in
      let text = UnsafeRawBufferPointer(start: error.reason.utf8Start, count: length - 1)
      body.copyMemory(from: text)
      body[length - 1] = 0x0A
      if exchange.downstream.send(UnsafeRawBufferPointer(body), last: true) < length {
        exchange.downstream.abort(exchange, error)
      }
    }
  }

  /// gRPC's short form: one head that carries the status and ends the stream ("Trailers-Only"). The same over HTTP/1, for
  /// bridges that speak it.
  private static func sendTrailersOnly(_ error: ProxyError, _ head: MessageHead, to exchange: Exchange) {
    head.status = 200
    head.append(.contentType, "application/grpc")
    head.appendGRPCStatus(error.grpcStatus, message: error.reason)
    exchange.grpcOutcome = .status(error.grpcStatus)
    exchange.downstream.sendHead(head, framing: .none, last: true, exchange)
  }
}
