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
    if case .limit = exchange.downstream { return false }
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
  fileprivate var callerText: String? {
    if direction == .outbound { return worker.client?.description }
    let text = worker.metrics.labels.string(peerLabel)
    return text.isEmpty ? nil : text
  }

  fileprivate func countLimit(_ event: BackendEvent) {
    let names = service.map { ($0.nameLabel, $0.namespaceLabel) }
    let own = inboundPort.map { ($0.serviceLabel, $0.namespaceLabel) }
    guard let (name, namespace) = names ?? own else { return }
    worker.metrics.countBackend(BackendSeriesKey(backend: name, namespace: namespace, event: event))
  }
}

/// One question to the service that counts: an exchange of the proxy's own, which takes the way of requests to a service of the mesh.
///
/// Lives as long as its exchange. Confined to one worker loop. Limits: the policy's timeout; `RateLimitMessages.maximumAnswerBytes`.
final class RateLimitCall {
  private let limiter: GlobalLimiter
  /// The request that waits, which may have ended meanwhile, and its object serve another one.
  private let waiting: Exchange
  private let generation: UInt32
  private var answer: [UInt8] = []

  init(_ limiter: GlobalLimiter, for exchange: Exchange) {
    self.limiter = limiter
    waiting = exchange
    generation = exchange.generation
  }

  func start(_ message: [UInt8]) {
    let worker = waiting.worker
    worker.rateLimitCalls += 1
    let exchange = worker.takeExchange()
    let head = exchange.request
    head.method = .post
    head.path = head.intern(RateLimitMessages.path)
    head.scheme = head.intern("http")
    let service = limiter.limit.service
    head.authority = head.intern(string: "\(service.service.name).\(service.service.namespace):\(service.port)")
    head.append(.contentType, "application/grpc")
    head.append(.te, "trailers")
    head.append(.userAgent, "apus-rate-limit")
    exchange.requestFraming = .length(UInt64(message.count))
    exchange.requestBuffer.append(message)
    exchange.requestEnded = true
    exchange.begin(limitCall: self, to: worker.service(service), timeout: limiter.limit.timeout)
  }

  func receive(_ bytes: UnsafeRawBufferPointer) {
    answer.append(contentsOf: bytes.prefix(max(0, RateLimitMessages.maximumAnswerBytes + 1 - answer.count)))
  }

  func finished(_ exchange: Exchange) {
    let worker = exchange.worker
    worker.rateLimitCalls -= 1
    let isGood =
      exchange.status == 200 && exchange.grpcOutcome == .status(.ok)
      && answer.count <= RateLimitMessages.maximumAnswerBytes
    worker.recycle(exchange)
    guard waiting.generation == generation, waiting.phase == .limiting else { return }
    waiting.phase = .resolving
    guard limiter.passes(waiting, isGood ? RateLimitMessages.answer(answer) : nil) else { return }
    worker.router.passedLimits(waiting)
  }
}

extension Exchange {
  /// Asks the service. The request is written.
  func begin(limitCall: RateLimitCall, to service: ServiceEntry, timeout: TimeSpan) {
    downstream = .limit(limitCall)
    direction = .outbound
    startTime = worker.loop.now
    lastActivity = startTime
    phase = .resolving
    worker.exchangeStarted(self)
    beginGRPC()
    deadline = startTime + timeout
    isRouteDeadline = true
    armTimer()
    worker.router.route(self, to: service)
  }
}
