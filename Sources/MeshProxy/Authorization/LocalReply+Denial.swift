import MeshCore
import MeshHTTP
import MeshPolicy
import MeshTelemetry

extension Exchange {
  /// Answers as an external authorizer wants a denied request to be answered.
  func deny(_ verdict: AuthorizationVerdict) {
    guard phase != .done, phase != .idle else { return }
    flag = .unauthorized
    beginOwnAnswer(status: isGRPC ? 200 : verdict.status)
    LocalReply.send(verdict, to: self)
  }
}

extension LocalReply {
  fileprivate static func send(_ verdict: AuthorizationVerdict, to exchange: Exchange) {
    let head = exchange.worker.replyHead
    head.reset()
    head.status = verdict.status
    head.append(.server, "apus")
    exchange.markOrigin(head)
    if case .raw = exchange.downstream {
      exchange.downstream.abort()
      return exchange.complete()
    }
    if case .http2(let connection, _) = exchange.downstream, connection.isMeshPeer {
      head.append(.xApusResponseFlag, exchange.flag.code)
    }
    verdict.apply(toResponse: head)
    if exchange.isGRPC { return sendTrailersOnly(verdict, head, to: exchange) }
    let mayHaveBody = verdict.status != 204 && verdict.status != 205 && verdict.status != 304
    let length = mayHaveBody ? verdict.body.count : 0
    if mayHaveBody { head.append(.contentLength, number: length) }
    let hasBody = length > 0 && exchange.request.method != .head
    if hasBody { exchange.responseBuffer.append(verdict.body) } else { exchange.responseEndSent = true }
    exchange.downstream.sendHead(
      head, framing: mayHaveBody ? .length(UInt64(length)) : .none, last: !hasBody, exchange)
    if hasBody { exchange.pumpResponse() } else { exchange.finishIfComplete() }
  }

  /// As gRPC clients are told of any failure; the text of the denial becomes the status' message.
  private static func sendTrailersOnly(_ verdict: AuthorizationVerdict, _ head: MessageHead, to exchange: Exchange) {
    let status = GRPCStatus(httpStatus: verdict.status)
    head.status = 200
    for token in [HeaderToken.contentType, .grpcStatus, .grpcMessage] { head.remove(token) }
    head.append(.contentType, "application/grpc")
    let message = verdict.body.prefix(ExternalCheck.maximumMessageBytes)
    message.withUnsafeBytes { head.appendGRPCStatus(status, message: $0) }
    exchange.grpcOutcome = .status(status)
    exchange.responseEndSent = true
    exchange.downstream.sendHead(head, framing: .none, last: true, exchange)
    exchange.finishIfComplete()
  }
}
