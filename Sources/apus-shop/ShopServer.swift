import NIOCore
import NIOHTTP1
import NIOPosix

/// What a service answers.
struct ShopAnswer: Sendable {
  var status = HTTPResponseStatus.ok
  var version: String?
  var json: String
}

/// One HTTP/1.1 connection: a request, its answer, the next. Confined to its channel's loop.
final class ShopServerHandler: ChannelInboundHandler {
  typealias InboundIn = HTTPServerRequestPart
  typealias OutboundOut = HTTPServerResponsePart

  private let respond: @Sendable (String) -> EventLoopFuture<ShopAnswer>
  private var head: HTTPRequestHead?

  init(respond: @escaping @Sendable (String) -> EventLoopFuture<ShopAnswer>) { self.respond = respond }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    switch unwrapInboundIn(data) {
    case .head(let head): self.head = head
    case .body: break
    case .end:
      guard let head else { return }
      self.head = nil
      let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
      respond(head.uri).hop(to: context.eventLoop).whenComplete { result in
        let answer: ShopAnswer
        switch result {
        case .success(let value): answer = value
        case .failure(let error):
          answer = ShopAnswer(status: .badGateway, json: #"{"error":"\#(Shop.escape("\(error)"))"}"#)
        }
        let (handler, context) = bound.value
        handler.write(answer, to: head, context)
      }
    }
  }

  private func write(_ answer: ShopAnswer, to request: HTTPRequestHead, _ context: ChannelHandlerContext) {
    let body = context.channel.allocator.buffer(string: answer.json + "\n")
    var head = HTTPResponseHead(version: request.version, status: answer.status)
    head.headers.add(name: "content-type", value: "application/json")
    head.headers.add(name: "content-length", value: String(body.readableBytes))
    if let version = answer.version { head.headers.add(name: "x-shop-version", value: version) }
    if request.version == .http1_0, request.isKeepAlive { head.headers.add(name: "connection", value: "keep-alive") }
    context.write(wrapOutboundOut(.head(head)), promise: nil)
    if request.method != .HEAD { context.write(wrapOutboundOut(.body(.byteBuffer(body))), promise: nil) }
    let end = context.writeAndFlush(wrapOutboundOut(.end(nil)))
    if !request.isKeepAlive {
      let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
      end.whenComplete { _ in bound.value.close(promise: nil) }
    }
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
