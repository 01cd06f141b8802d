import NIOCore
import NIOHTTP1
import NIOPosix

/// A small HTTP/1.1 client with keep-alive. Belongs to one event loop, which guards everything in it.
final class ShopClient: Sendable {
  struct Answer: Sendable {
    var status: Int
    var version: String?
    var body: String
  }

  /// Idle connections kept for each address.
  static let maximumIdle = 64
  static let timeout = TimeAmount.seconds(10)

  private struct Pools {
    var idle: [String: [any Channel]] = [:]
  }

  private let loop: any EventLoop
  private let pools: NIOLoopBoundBox<Pools>

  /// Call on the loop.
  init(loop: any EventLoop) {
    self.loop = loop
    pools = NIOLoopBoundBox(Pools(), eventLoop: loop)
  }

  func get(_ target: ShopTarget, path: String) -> EventLoopFuture<Answer> {
    loop.preconditionInEventLoop()
    let reused = takeIdle(target)
    let attempt = send(target, path: path, on: reused)
    guard reused != nil else { return attempt }
    // The other side may have closed an idle connection just now; these requests are safe to send again.
    return attempt.flatMapError { [self] error in
      error is ChannelError || error is Dropped ? send(target, path: path, on: nil) : loop.makeFailedFuture(error)
    }
  }

  private func takeIdle(_ target: ShopTarget) -> (any Channel)? {
    let key = "\(target.host):\(target.port)"
    while let channel = pools.value.idle[key]?.popLast() {
      if channel.isActive { return channel }
    }
    return nil
  }

  private func send(_ target: ShopTarget, path: String, on reused: (any Channel)?) -> EventLoopFuture<Answer> {
    let connected = reused.map(loop.makeSucceededFuture) ?? connect(target)
    return connected.flatMap { [self] channel in
      let promise = loop.makePromise(of: (Answer, Bool).self)
      let deadline = loop.scheduleTask(in: Self.timeout) {
        promise.fail(ShopFailure(message: "no answer in time from \(target.authority)"))
        channel.close(promise: nil)
      }
      do {
        try channel.pipeline.syncOperations.handler(type: ExchangeHandler.self).current = promise
      } catch {
        promise.fail(error)
      }
      var head = HTTPRequestHead(version: .http1_1, method: .GET, uri: target.prefix + path)
      head.headers.add(name: "Host", value: target.authority)
      channel.write(HTTPClientRequestPart.head(head), promise: nil)
      channel.writeAndFlush(HTTPClientRequestPart.end(nil)).cascadeFailure(to: promise)
      return promise.futureResult.map { [self] answer, keepAlive in
        deadline.cancel()
        if keepAlive { giveBack(channel, target) } else { channel.close(promise: nil) }
        return answer
      }.flatMapErrorThrowing { error in
        deadline.cancel()
        channel.close(promise: nil)
        throw error
      }
    }
  }

  private func giveBack(_ channel: any Channel, _ target: ShopTarget) {
    let key = "\(target.host):\(target.port)"
    if channel.isActive, pools.value.idle[key, default: []].count < Self.maximumIdle {
      pools.value.idle[key, default: []].append(channel)
    } else {
      channel.close(promise: nil)
    }
  }

  private func connect(_ target: ShopTarget) -> EventLoopFuture<any Channel> {
    ClientBootstrap(group: loop)
      .channelOption(.tcpOption(.tcp_nodelay), value: 1)
      .connectTimeout(.seconds(3))
      .channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHTTPClientHandlers()
          try channel.pipeline.syncOperations.addHandler(ExchangeHandler())
        }
      }
      .connect(host: target.host, port: target.port)
  }
}

/// The connection ended before the answer did.
struct Dropped: Error {}

/// Collects one answer at a time on its channel's loop.
final class ExchangeHandler: ChannelInboundHandler {
  typealias InboundIn = HTTPClientResponsePart

  var current: EventLoopPromise<(ShopClient.Answer, Bool)>?
  private var head: HTTPResponseHead?
  private var body = ""

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    switch unwrapInboundIn(data) {
    case .head(let head):
      self.head = head
      body = ""
    case .body(let buffer): body += String(buffer: buffer)
    case .end:
      guard let head else { return }
      let answer = ShopClient.Answer(
        status: Int(head.status.code), version: head.headers.first(name: "x-shop-version"), body: body)
      self.head = nil
      let promise = current
      current = nil
      promise?.succeed((answer, head.isKeepAlive))
    }
  }

  func channelInactive(context: ChannelHandlerContext) { fail(Dropped()) }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    fail(error)
    context.close(promise: nil)
  }

  private func fail(_ error: any Error) {
    let promise = current
    current = nil
    promise?.fail(error)
  }
}
