import MeshCore
import MeshHTTP
import MeshPolicy
import MeshRuntime
import MeshTelemetry

/// The global rate limit of one rule, or of one port of the workload. Confined to one worker loop.
final class GlobalLimiter {
  let limit: GlobalRateLimit
  /// Kept while the service that counts does not answer; nil unless the policy has one.
  let fallback: RateLimiter?

  /// Nil without a limit, so that whoever has none pays for one look.
  init?(_ limit: GlobalRateLimit?, of owner: String, worker: ProxyWorker) {
    guard let limit else { return nil }
    self.limit = limit
    // Asked for now, so that the first request need not wait for the service's configuration.
    _ = worker.service(limit.service)
    if case .local(let own) = limit.failure {
      fallback = RateLimiter([own], of: "\(owner) without a global one", worker.shared.buckets)
    } else {
      fallback = nil
    }
  }

  /// Asks for a request. False: there is nothing to ask, and it goes on at once.
  func asks(for exchange: Exchange) -> Bool {
    // Who asks is not asked about: that would have no end.
    if case .call = exchange.downstream { return false }
    let descriptors = limit.descriptors.compactMap { descriptor(of: exchange, $0) }
    if descriptors.isEmpty { return false }
    let worker = exchange.worker
    guard worker.rateLimitCalls < worker.limits.maximumRateLimitCalls else {
      worker.metrics.limitHit("rate_limit_calls")
      return !passes(exchange, nil)
    }
    exchange.phase = .limiting
    exchange.isLimitedGlobally = true
    let message = RateLimitMessages.request(domain: limit.domain, descriptors: descriptors, hits: limit.hits)
    RateLimitCall(self, for: exchange).start(message)
    return true
  }

  /// The service has answered, or has not (nil). False: the request was answered.
  func passes(_ exchange: Exchange, _ answer: RateLimitMessages.Answer?) -> Bool {
    switch answer {
    case .allowed:
      exchange.countLimit(.globallyAllowed)
      return true
    case .refused(let quota, let wait):
      exchange.countLimit(.globallyLimited)
      exchange.countLimit(.limitedGlobally)
      exchange.fail(.rateLimited(RateLimitRefusal(quota: quota ?? 0, wait: wait ?? .seconds(1))))
      return false
    case nil: break
    }
    exchange.countLimit(.globalLimitFailed)
    switch limit.failure {
    case .allow: return true
    case .deny:
      exchange.fail(.rateLimitServiceFailed)
      return false
    case .local: return fallback?.refuses(exchange) != true
    }
  }

  // MARK: - Descriptors

  /// Nil where a part of it is missing.
  private func descriptor(of exchange: Exchange, _ entries: [GlobalRateLimit.Entry]) -> [RateLimitMessages.Pair]? {
    var pairs: [RateLimitMessages.Pair] = []
    for entry in entries {
      guard let value = value(of: exchange, entry.value) else { return nil }
      pairs.append(.init(key: entry.key, value: value))
    }
    return pairs
  }

  private func value(of exchange: Exchange, _ value: GlobalRateLimit.Entry.Value) -> [UInt8]? {
    let request = exchange.request
    switch value {
    case .constant(let text): return Array(text.utf8)
    case .header(let name):
      var name = name
      return name.withUTF8 { request.value(named: UnsafeRawBufferPointer($0)).map { Array($0) } }
    case .caller: return exchange.callerText.map { Array($0.utf8) }
    case .remoteAddress: return exchange.downstream.peerAddress.map { Array($0.host.utf8) }
    case .service:
      let service = exchange.service?.key ?? exchange.inboundPort?.config.service
      return service.map { Array("\($0.service.name).\($0.service.namespace)".utf8) }
    case .route: return exchange.rule.map { Array($0.name.utf8) }
    case .method:
      if request.method == .other { return Array(request.bytes(request.methodBytes)) }
      return Array("\(request.method.name)".utf8)
    case .path:
      let path = request.bytes(request.path)
      return Array(path.prefix { $0 != UInt8(ascii: "?") })
    }
  }
}

extension Exchange {
  /// The SPIFFE id of who asks: outbound it is the own workload.
  var callerText: String? {
    if direction == .outbound { return worker.client?.description }
    let text = worker.metrics.labels.string(peerLabel)
    return text.isEmpty ? nil : text
  }

  func countLimit(_ event: BackendEvent) {
    let names = service.map { ($0.nameLabel, $0.namespaceLabel) }
    let own = inboundPort.map { ($0.serviceLabel, $0.namespaceLabel) }
    guard let (name, namespace) = names ?? own else { return }
    worker.metrics.countBackend(BackendSeriesKey(backend: name, namespace: namespace, event: event))
  }
}

/// One question to the service that counts.
final class RateLimitCall: ServiceCall {
  private let limiter: GlobalLimiter

  init(_ limiter: GlobalLimiter, for exchange: Exchange) {
    self.limiter = limiter
    super.init(for: exchange, maximumAnswerBytes: RateLimitMessages.maximumAnswerBytes)
  }

  func start(_ message: [UInt8]) {
    let worker = waiting.worker
    worker.rateLimitCalls += 1
    let exchange = worker.takeExchange()
    let service = limiter.limit.service
    exchange.write(message, path: RateLimitMessages.path, to: service, userAgent: "apus-rate-limit")
    exchange.begin(call: self, to: worker.service(service), timeout: limiter.limit.timeout)
  }

  override func finished(_ exchange: Exchange) {
    let worker = exchange.worker
    worker.rateLimitCalls -= 1
    let isGood = exchange.status == 200 && exchange.grpcOutcome == .status(.ok) && isAnswerWhole
    worker.recycle(exchange)
    guard isAwaited(in: .limiting) else { return }
    waiting.phase = .resolving
    guard limiter.passes(waiting, isGood ? RateLimitMessages.answer(answer) : nil) else { return }
    worker.router.passedLimits(waiting)
  }
}
