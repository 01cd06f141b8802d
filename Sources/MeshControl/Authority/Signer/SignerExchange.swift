import MeshCore
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL

/// One POST and its answer. Bounded in time, from the first packet to the last byte, and in size.
///
/// NIO's HTTP/1 and TLS, which the controller's gRPC stands on, and not AsyncHTTPClient: one request every few weeks needs no pool, and that
/// would bring four packages.
struct SignerExchange: Sendable {
  struct Answer: Hashable, Sendable {
    var status: Int
    var retryAfter: TimeSpan?
    var body: [UInt8]
  }

  let url: SignerURL
  let message: SignerDialect.Message
  /// Nil: plaintext.
  let tls: NIOSSLContext?
  let timeout: TimeSpan

  func perform() async throws -> Answer {
    let loop = MultiThreadedEventLoopGroup.singleton.next()
    let answer = loop.makePromise(of: Answer.self)
    let limit = TimeAmount.nanoseconds(timeout.nanoseconds)
    let late = SignerError(
      .timeout,
      "the signer at \(url) has not answered within \(Int(timeout.inSeconds)) s: is it up, and does a firewall let us through?"
    )
    let deadline = loop.scheduleTask(in: limit) { answer.fail(late) }
    answer.futureResult.whenComplete { _ in deadline.cancel() }
    ClientBootstrap(group: loop).connectTimeout(limit)
      .channelInitializer { channel in
        // Whoever settles the answer, the deadline among them, ends the connection.
        answer.futureResult.whenComplete { _ in channel.close(promise: nil) }
        return channel.eventLoop.makeCompletedFuture { try prepare(channel, answer) }
      }
      .connect(host: url.host, port: url.port).whenFailure { answer.fail($0) }
    do {
      return try await withTaskCancellationHandler {
        try await answer.futureResult.get()
      } onCancel: {
        answer.fail(CancellationError())
      }
    } catch let error as CancellationError {
      throw error
    } catch {
      throw failure(error, late: late)
    }
  }

  private func prepare(_ channel: any Channel, _ answer: EventLoopPromise<Answer>) throws {
    let pipeline = channel.pipeline.syncOperations
    if let tls {
      // An address is no name for SNI; the certificate is then compared with the address itself.
      try pipeline.addHandler(NIOSSLClientHandler(context: tls, serverHostname: url.isAddress ? nil : url.host))
    }
    var limits = NIOHTTPDecoderLimitConfiguration()
    limits.maxHeaderFieldSize = SignerLimits.headBytes
    limits.maxHeaderListSize = SignerLimits.headBytes
    limits.maxHeaderFieldCount = SignerLimits.headFields
    try pipeline.addHTTPClientHandlers(decoderLimitConfiguration: limits)
    try pipeline.addHandler(SignerHandler(url: url, message: message, answer: answer))
  }

  // MARK: - Errors, for people

  private func failure(_ error: any Error, late: SignerError) -> SignerError {
    switch error {
    case let known as SignerError: known
    case ChannelError.connectTimeout: late
    case let error as NIOConnectionError:
      SignerError(.unreachable, "no connection to the signer at \(url): \(reason(error))")
    case is HTTPParserError:
      SignerError(.malformed, "what listens at \(url) does not speak HTTP/1.1 as it should (\(error))")
    case is NIOSSLExtraError: untrusted("\(error)")
    case NIOSSLError.handshakeFailed(let cause) where "\(cause)".contains("CERTIFICATE_VERIFY_FAILED"):
      untrusted("\(cause)")
    case NIOSSLError.unableToValidateCertificate, NIOSSLError.noCertificateToValidate: untrusted("\(error)")
    case NIOSSLError.handshakeFailed(let cause):
      SignerError(.unreachable, "no TLS with the signer at \(url) (\(cause)): does it speak TLS 1.2 or newer there?")
    default: SignerError(.unreachable, "the connection to the signer at \(url) ended before its answer (\(error))")
    }
  }

  private func untrusted(_ cause: String) -> SignerError {
    SignerError(
      .untrusted,
      "the certificate of the signer at \(url) does not prove that it is \(url.host): give its authority with --signer-ca (\(cause))"
    )
  }

  private func reason(_ error: NIOConnectionError) -> String {
    guard let first = error.connectionErrors.first else { return "its name cannot be looked up" }
    return (first.error as? IOError).map { String(describing: $0) } ?? "\(first.error)"
  }
}

/// Sends the request and takes the answer in. Confined to the connection's event loop.
private final class SignerHandler: ChannelInboundHandler {
  typealias InboundIn = HTTPClientResponsePart
  typealias OutboundOut = HTTPClientRequestPart

  private let url: SignerURL
  private let message: SignerDialect.Message
  private let answer: EventLoopPromise<SignerExchange.Answer>
  private var head: HTTPResponseHead?
  private var body: [UInt8] = []

  init(url: SignerURL, message: SignerDialect.Message, answer: EventLoopPromise<SignerExchange.Answer>) {
    self.url = url
    self.message = message
    self.answer = answer
  }

  func channelActive(context: ChannelHandlerContext) {
    var fields = HTTPHeaders([
      ("host", url.authority), ("user-agent", "apus-controller"), ("content-length", "\(message.body.count)"),
      ("connection", "close"),
    ])
    fields.add(contentsOf: message.fields.map { ($0.name, $0.value) })
    let head = HTTPRequestHead(version: .http1_1, method: .POST, uri: url.target, headers: fields)
    context.write(wrapOutboundOut(.head(head)), promise: nil)
    context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: message.body)))), promise: nil)
    context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
    context.fireChannelActive()
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    switch unwrapInboundIn(data) {
    case .head(let head): self.head = head
    case .body(let part):
      guard body.count + part.readableBytes <= SignerLimits.answerBytes else {
        return answer.fail(
          SignerError(
            .malformed, "the signer's answer has more than \(SignerLimits.answerBytes) bytes: is \(url) the signer?"))
      }
      body += part.readableBytesView
    case .end:
      guard let head else { return }
      answer.succeed(
        SignerExchange.Answer(status: Int(head.status.code), retryAfter: Self.retryAfter(head.headers), body: body))
    }
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    answer.fail(error)
    context.close(promise: nil)
  }

  func channelInactive(context: ChannelHandlerContext) {
    answer.fail(ChannelError.eof)
    context.fireChannelInactive()
  }

  /// RFC 9110 section 10.2.3, the form in seconds; a date is left to our own back-off.
  private static func retryAfter(_ fields: HTTPHeaders) -> TimeSpan? {
    fields.first(name: "retry-after").flatMap { Int64($0) }.flatMap { seconds in
      seconds < 0 ? nil : min(.seconds(min(seconds, 86_400)), SignerLimits.longestRetryAfter)
    }
  }
}
