import MeshCore
import MeshHTTP
import MeshPolicy
import MeshRuntime
import MeshTelemetry

/// What one external authorizer is asked for one request, and what it said. Kept with the request.
///
/// Waits for the content, where the authorizer is to see it; asks; follows the answer, or the failure mode. Confined to one worker loop.
final class ExternalCheck {
  /// Longer messages of denials are cut for clients of gRPC, which get them in a field.
  static let maximumMessageBytes = 4 * 1024

  let authorizer: ExternalAuthorizer
  /// Of an answer that changes the client's, with what those of the policies before it change. Nil: nothing is changed.
  private(set) var verdict: AuthorizationVerdict?
  /// The question waits for what it has to tell.
  private(set) var awaitsContent = false

  init(_ authorizer: ExternalAuthorizer) { self.authorizer = authorizer }

  /// Asks for a request, or a connection, that waits from now on: `Router.authorized` goes on with it, or it is answered.
  func begin(_ exchange: Exchange) {
    verdict = exchange.externalCheck?.verdict
    exchange.externalCheck = self
    if exchange.isTunnel, case .http = authorizer.wire {
      // There is nothing that plain HTTP could tell of a connection.
      return failed(exchange)
    }
    // Of a call of gRPC nobody can tell a message from a conversation whose client waits for answers.
    guard let content = authorizer.content, !exchange.isTunnel, !exchange.isUpgrade, !exchange.isGRPC else {
      return ask(exchange)
    }
    if !content.allowsPart, case .length(let length) = exchange.requestFraming, length > content.maximumBytes {
      return exchange.fail(.contentTooLargeToAuthorize)
    }
    exchange.holdableBytes = Int(content.maximumBytes)
    awaitsContent = true
    if !exchange.holdsContent() { contentCame(exchange) }
  }

  /// A piece of the content came, or its end.
  func contentCame(_ exchange: Exchange) {
    guard let content = authorizer.content else { return }
    let isPartial = exchange.requestBuffer.count > Int(content.maximumBytes)
    guard exchange.requestEnded || isPartial else { return }
    awaitsContent = false
    if isPartial, !content.allowsPart { return exchange.fail(.contentTooLargeToAuthorize) }
    exchange.holdableBytes = 0
    ask(exchange)
  }

  private func ask(_ exchange: Exchange) {
    let worker = exchange.worker
    guard worker.authorizationCalls < worker.limits.maximumAuthorizationCalls else {
      worker.metrics.limitHit("authorization_calls")
      return failed(exchange)
    }
    exchange.phase = .authorizing
    exchange.isLimitedGlobally = true
    CheckCall(self, for: exchange).start()
  }

  /// The service has answered, or has not (nil).
  func answered(_ exchange: Exchange, _ verdict: AuthorizationVerdict?) {
    guard let verdict else { return failed(exchange) }
    exchange.countLimit(verdict.isAllowed ? .externallyAllowed : .externallyDenied)
    guard verdict.isAllowed else {
      exchange.inboundPort?.authorizer?.noteRefusal(exchange, .providerDenied, "\(authorizer.service) said no")
      return exchange.deny(verdict)
    }
    if !exchange.isTunnel {
      verdict.apply(toRequest: exchange.request)
      if !verdict.responseChanges.isEmpty {
        var changes = verdict
        changes.responseChanges = (self.verdict?.responseChanges ?? []) + verdict.responseChanges
        self.verdict = changes
        exchange.isFiltered = true
      }
    }
    exchange.worker.router.authorized(exchange)
  }

  private func failed(_ exchange: Exchange) {
    exchange.holdableBytes = 0
    switch authorizer.failure {
    case .allow:
      exchange.countLimit(.authorizerFailedOpen)
      exchange.inboundPort?.authorizer?.noteUnanswered(exchange, "no answer of \(authorizer.service)")
      removeUntold(exchange)
      exchange.worker.router.authorized(exchange)
    case .deny(let status):
      exchange.countLimit(.authorizerFailed)
      exchange.inboundPort?.authorizer?.noteRefusal(exchange, .providerFailed, "no answer of \(authorizer.service)")
      exchange.fail(.authorizerFailed(status: status))
    }
  }

  /// Nobody has vouched for fields that the application has from the authorizer.
  private func removeUntold(_ exchange: Exchange) {
    guard case .http(let http) = authorizer.wire else { return }
    for var name in http.requestFields { name.withUTF8 { exchange.request.remove(named: UnsafeRawBufferPointer($0)) } }
  }
}

/// One question to an external authorizer.
final class CheckCall: ServiceCall {
  private let check: ExternalCheck
  /// What the answer says of a request that was asked for by plain HTTP. A copy, as the head is gone when the body has come.
  private var answerHead: MessageHead?

  init(_ check: ExternalCheck, for exchange: Exchange) {
    self.check = check
    super.init(for: exchange, maximumAnswerBytes: CheckMessages.maximumAnswerBytes)
  }

  func start() {
    let worker = waiting.worker
    worker.authorizationCalls += 1
    let exchange = worker.takeExchange()
    let authorizer = check.authorizer
    let body = waiting.isTunnel ? [] : Array(waiting.requestBuffer.readable.prefix(maximumContent))
    switch authorizer.wire {
    case .grpc:
      let message = CheckMessages.request(
        question(body), head: waiting.isTunnel ? nil : waiting.request, authorizer)
      exchange.write(message, path: CheckMessages.path, to: authorizer.service, userAgent: "apus-authorization")
    case .http:
      CheckHTTP.write(waiting.request, authorizer, bodyLength: body.count, to: exchange.request)
      exchange.requestFraming = body.isEmpty ? .none : .length(UInt64(body.count))
      exchange.requestBuffer.append(body)
      exchange.requestEnded = true
    }
    exchange.begin(call: self, to: worker.service(authorizer.service), timeout: authorizer.timeout)
  }

  private var maximumContent: Int { check.authorizer.content.map { Int($0.maximumBytes) } ?? 0 }

  private func question(_ body: [UInt8]) -> AuthorizationQuestion {
    let port = waiting.inboundPort?.config
    var question = AuthorizationQuestion(
      source: .init(address: waiting.downstream.peerAddress, principal: waiting.callerText ?? ""),
      destination: .init(
        address: port?.application, principal: waiting.worker.client?.description ?? "",
        service: port.map { "\($0.service.service.name).\($0.service.service.namespace)" } ?? ""),
      unixMilliseconds: WallClock.now)
    if case .length(let length) = waiting.requestFraming { question.contentLength = length }
    if waiting.requestEnded { question.contentLength = UInt64(waiting.requestBuffer.count) }
    question.body = body
    question.isPartial = body.count < waiting.requestBuffer.count || !waiting.requestEnded
    return question
  }

  override func received(_ head: MessageHead) {
    guard case .http = check.authorizer.wire else { return }
    let copy = MessageHead()
    copy.copy(from: head)
    answerHead = copy
  }

  override func finished(_ exchange: Exchange) {
    let worker = exchange.worker
    worker.authorizationCalls -= 1
    let verdict = verdict(exchange)
    worker.recycle(exchange)
    guard isAwaited(in: .authorizing) else { return }
    waiting.phase = .resolving
    check.answered(waiting, verdict)
  }

  private func verdict(_ exchange: Exchange) -> AuthorizationVerdict? {
    switch check.authorizer.wire {
    case .grpc:
      guard exchange.status == 200, exchange.grpcOutcome == .status(.ok), isAnswerWhole else { return nil }
      return CheckMessages.verdict(answer)
    case .http:
      // Any other flag tells that the proxy answered itself, in the service's place, or that the answer was broken off.
      guard exchange.flag == .none || exchange.flag == .upstreamRetryLimit, let answerHead else { return nil }
      return CheckHTTP.verdict(answerHead, body: answer, check.authorizer)
    }
  }
}
