import NIOCore
import NIOPosix
import Synchronization

/// `GET /metrics` of the controller, in HTTP/1 with one request for a connection. Reads and numbers only: nothing here changes anything or is
/// secret.
///
/// Limits: `maximumConnections`, a request of `maximumRequest` bytes that arrives within `timeout`.
package struct MetricsServer: Sendable {
  package static let port: UInt16 = 15_020
  static let maximumConnections = 64
  static let maximumRequest = 8_192
  static let timeout: TimeAmount = .seconds(5)

  let metrics: ControllerMetrics

  /// Serves until the task is cancelled. Takes the socket over.
  func serve(socket: Int32) async throws {
    let metrics = metrics
    let connections = ConnectionCount()
    let channel = try await ServerBootstrap(group: .singletonMultiThreadedEventLoopGroup)
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          guard connections.enter(limit: Self.maximumConnections) else { throw ChannelError.ioOnClosedChannel }
          channel.closeFuture.whenComplete { _ in connections.leave() }
          try channel.pipeline.syncOperations.addHandler(MetricsHandler(metrics: metrics))
        }
      }
      .withBoundSocket(socket).get()
    await withTaskCancellationHandler {
      try? await channel.closeFuture.get()
    } onCancel: {
      channel.close(promise: nil)
    }
  }
}

/// One connection. Confined to its event loop.
private final class MetricsHandler: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer
  typealias OutboundOut = ByteBuffer

  private let metrics: ControllerMetrics
  private var request: [UInt8] = []
  private var isAnswered = false
  private var timeout: Scheduled<Void>?

  init(metrics: ControllerMetrics) { self.metrics = metrics }

  func channelActive(context: ChannelHandlerContext) {
    let channel = context.channel
    timeout = context.eventLoop.scheduleTask(in: MetricsServer.timeout) { channel.close(promise: nil) }
    context.fireChannelActive()
  }

  func channelInactive(context: ChannelHandlerContext) {
    timeout?.cancel()
    context.fireChannelInactive()
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    guard !isAnswered else { return }
    request += unwrapInboundIn(data).readableBytesView
    if request.count > MetricsServer.maximumRequest { return answer(431, "request too large\n", context) }
    guard request.firstRange(of: Array("\r\n\r\n".utf8)) != nil else { return }
    let words = request.prefix { $0 != 0x0D }.split(separator: 0x20).map { String(decoding: $0, as: UTF8.self) }
    switch (words.first, words.dropFirst().first) {
    case ("GET", "/metrics"): answer(200, metrics.text(), context)
    case ("GET", "/live"): answer(200, "live\n", context)
    case ("GET", _): answer(404, "Not found: /metrics and /live are here.\n", context)
    default: answer(405, "Method not allowed: use GET.\n", context)
    }
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

  private func answer(_ status: Int, _ body: String, _ context: ChannelHandlerContext) {
    isAnswered = true
    let head =
      "HTTP/1.1 \(status) \(status == 200 ? "OK" : "Refused")\r\ncontent-type: text/plain; version=0.0.4; charset=utf-8\r\n"
      + "content-length: \(body.utf8.count)\r\nconnection: close\r\n\r\n"
    let channel = context.channel
    context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: head + body))).whenComplete { _ in
      channel.close(promise: nil)
    }
  }
}

/// Connections that are open. Counted on the event loops of all of them.
private final class ConnectionCount: Sendable {
  private let count = Mutex(0)

  func enter(limit: Int) -> Bool {
    count.withLock { count in
      guard count < limit else { return false }
      count += 1
      return true
    }
  }

  func leave() { count.withLock { $0 -= 1 } }
}
