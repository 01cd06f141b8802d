import MeshCore
import MeshHTTP
import MeshTelemetry

/// Answers that the proxy gives itself.
///
/// A short `text/plain` body, `server: apus`, and on the mesh hop the response flag for the proxy on the other side.
enum LocalReply {
  /// The exchange is open, without an upstream, and its response is marked as ended: the body takes the way of any other,
  /// through the exchange's buffer, so a reader that is slow or gives no window gets it whole when it reads on.
  static func send(_ error: ProxyError, to exchange: Exchange) {
    let head = exchange.worker.replyHead
    head.reset()
    head.status = error.status
    head.append(.server, "apus")
    exchange.markOrigin(head)
    error.refusal?.write(to: head)
    error.tokenRefusal?.write(to: head, for: exchange)
    if exchange.request.method == .connect, case .raw = exchange.downstream {
      exchange.downstream.abort()
      return exchange.complete()
    }
    if case .http2(let connection, _) = exchange.downstream, connection.isMeshPeer {
      head.append(.xApusResponseFlag, error.flag.code)
    }
    if exchange.isGRPC { return sendTrailersOnly(error, head, to: exchange) }
    head.append(.contentType, "text/plain; charset=utf-8")
    let length = error.reason.utf8CodeUnitCount + 1
    head.append(.contentLength, number: length)
    let hasBody = exchange.request.method != .head
    if hasBody {
      exchange.responseBuffer.append(error.reason)
      exchange.responseBuffer.append("\n")
    } else {
      exchange.responseEndSent = true
    }
    exchange.downstream.sendHead(head, framing: .length(UInt64(length)), last: !hasBody, exchange)
    exchange.pumpResponse()
  }

  /// What a rule answers itself: a head without content.
  static func send(_ head: MessageHead, to exchange: Exchange) {
    head.append(.server, "apus")
    exchange.responseEndSent = true
    exchange.downstream.sendHead(head, framing: .none, last: true, exchange)
    exchange.finishIfComplete()
  }

  /// gRPC's short form: one head that carries the status and ends the stream ("Trailers-Only"). The same over HTTP/1, for
  /// bridges that speak it.
  private static func sendTrailersOnly(_ error: ProxyError, _ head: MessageHead, to exchange: Exchange) {
    head.status = 200
    head.append(.contentType, "application/grpc")
    head.appendGRPCStatus(error.grpcStatus, message: error.reason)
    exchange.grpcOutcome = .status(error.grpcStatus)
    exchange.responseEndSent = true
    exchange.downstream.sendHead(head, framing: .none, last: true, exchange)
    exchange.finishIfComplete()
  }
}
