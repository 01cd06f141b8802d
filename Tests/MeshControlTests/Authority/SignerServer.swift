import NIOCore
import NIOPosix
import NIOSSL
import Synchronization

/// A server on loopback that answers each request with the bytes of the test, and keeps what it was sent.
final class SignerServer: Sendable {
  private final class Requests: Sendable {
    let texts = Mutex<[String]>([])
  }

  let port: Int
  private let channel: any Channel
  private let received = Requests()

  /// `answer` nil: silence. `closes`: after the answer. `waits`: for a whole request.
  init(_ answer: String?, closes: Bool = true, waits: Bool = true, tls: NIOSSLContext? = nil) async throws {
    let received = received
    channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          if let tls { try channel.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: tls)) }
          let handler = AnsweringHandler(answer, closes: closes, waits: waits) { text in
            received.texts.withLock { $0.append(text) }
          }
          try channel.pipeline.syncOperations.addHandler(handler)
        }
      }
      .bind(host: "127.0.0.1", port: 0).get()
    port = channel.localAddress?.port ?? 0
  }

  /// Without it the server listens until the tests end.
  func close() async throws { try await channel.close().get() }

  var requests: [String] { received.texts.withLock { $0 } }
}

/// Waits for a whole request, then answers. Confined to its event loop.
private final class AnsweringHandler: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer
  typealias OutboundOut = ByteBuffer

  private let answer: String?
  private let closes: Bool
  private let waits: Bool
  private let hear: (String) -> Void
  private var text = ""

  init(_ answer: String?, closes: Bool, waits: Bool, hear: @escaping (String) -> Void) {
    (self.answer, self.closes, self.waits, self.hear) = (answer, closes, waits, hear)
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    text += String(buffer: unwrapInboundIn(data))
    guard !waits || isWhole else { return }
    hear(text)
    text = ""
    guard let answer else { return }
    context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: answer)), promise: nil)
    if closes { context.close(promise: nil) }
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

  private var isWhole: Bool {
    guard let end = text.firstRange(of: "\r\n\r\n") else { return false }
    let head = text[..<end.lowerBound].lowercased()
    let length = head.split(separator: "content-length: ").last.flatMap { Int($0.prefix { $0.isNumber }) } ?? 0
    return text[end.upperBound...].utf8.count >= length
  }
}
