import MeshCore
import MeshHTTP
import MeshPolicy
import MeshRuntime
import MeshTelemetry

/// Decides where an exchange goes: authority -> service -> rule -> backend -> endpoint.
///
/// Each stage either goes on or calls `Exchange.fail` with a `ProxyError`. Confined to one worker loop.
struct Router {
  /// Outlives everything on its loop. Counted, the reference would cost two atomic operations at each use.
  unowned(unsafe) let worker: ProxyWorker

  // MARK: - Outbound

  func routeOutbound(_ exchange: Exchange) {
    // No field of ours is believed when it comes from an application.
    if exchange.request.removeFields(.mesh) { worker.tookReservedFields(from: exchange, .outbound) }
    exchange.asksForOverrides = exchange.request.containsFields(.overrides)
    // Meant for this proxy, which asks for none (RFC 9110, section 11.7.1): credentials go no further.
    exchange.request.remove(.proxyAuthorization)
    if let service = exchange.service { return route(exchange, to: service) }
    if let endpoint = exchange.endpoint { return send(exchange, to: endpoint) }
    let authority = exchange.request.bytes(exchange.request.authority)
    guard !authority.isEmpty else { return exchange.fail(.badAuthority) }
    let defaultPort: UInt16 = exchange.request.bytes(exchange.request.scheme).equals("https") ? 443 : 80
    switch worker.target(of: authority, defaultPort: defaultPort) {
    case .service(let service): route(exchange, to: service)
    case .address(let host), .outside(let host): leave(exchange, to: host)
    case .itself: exchange.fail(.loop)
    case .unknown: exchange.fail(.notAHost)
    }
  }

  func route(_ exchange: Exchange, to service: ServiceEntry) {
    exchange.service = service
    service.lastUsed = worker.loop.now
    switch service.state {
    case .ready:
      if exchange.isTunnel, service.looksIntoTunnels, exchange.downstream.endTunnelHere(service.key) { return }
      chooseRule(exchange, service)
    case .missing: service.isOutside ? leaveByName(exchange, service) : exchange.fail(.unknownService)
    case .pending:
      guard service.waiting.count < worker.limits.maximumWaitingForService else {
        worker.metrics.limitHit("waiting_for_service")
        return exchange.fail(.upstreamOverflow)
      }
      if service.waiting.isEmpty { service.waitingSince = worker.loop.now }
      service.waiting.append(exchange)
    }
  }

  private func chooseRule(_ exchange: Exchange, _ service: ServiceEntry) {
    guard exchange.isTunnel else {
      guard let index = service.table.match(exchange.request) else { return exchange.fail(.noRoute) }
      return follow(exchange, service, index)
    }
    if service.serverNames != nil { return exchange.awaitServerName() }
    guard let index = service.tunnelRule else { return exchange.fail(.noRoute) }
    follow(exchange, service, index)
  }

  /// Goes on with a tunnel whose client has said which server it wants. The rules may be others than when it came.
  func route(_ exchange: Exchange, toServer name: String?) {
    guard let service = exchange.service else { return exchange.fail(.noServerName) }
    let index = service.serverNames.map { $0.rule(for: name) } ?? service.tunnelRule
    guard let index else { return exchange.fail(.noServerName) }
    follow(exchange, service, index)
  }

  private func follow(_ exchange: Exchange, _ service: ServiceEntry, _ index: Int) {
    var rule = service.rules[index]
    exchange.rule = rule
    if exchange.asksForOverrides {
      guard let own = exchange.ownRule(rule) else { return }
      rule = own
      exchange.rule = own
    }
    if let status = rule.failureStatus { return exchange.fail(.rule(status: status)) }
    if let limiter = rule.rateLimiter, limiter.refuses(exchange) { return }
    if let limiter = rule.globalLimiter, limiter.asks(for: exchange) { return }
    admit(exchange, rule, service)
  }

  /// What the service that counts for a global rate limit lets through goes on.
  func passedLimits(_ exchange: Exchange) {
    if let port = exchange.inboundPort { return admit(exchange, to: port) }
    guard let rule = exchange.rule, let service = exchange.service else { return exchange.fail(.noRoute) }
    admit(exchange, rule, service)
  }

  private func admit(_ exchange: Exchange, _ rule: CompiledRule, _ service: ServiceEntry) {
    if let body = rule.requestBody, exchange.refuses(under: body) { return }
    if rule.governsAttempts { exchange.begin(under: rule) }
    // Of a tunnel there is nothing to filter.
    let filters = exchange.isTunnel ? nil : rule.filters
    if let filters, filters.answers(exchange, service.key) { return }
    if let faults = rule.faults, !exchange.isTunnel, exchange.meets(faults) { return }
    chooseBackend(exchange, rule, service)
  }

  /// What the rule's faults left of the request goes on, and what waited for its content.
  func goOn(_ exchange: Exchange) {
    if let port = exchange.inboundPort { return deliver(exchange, to: port) }
    guard let rule = exchange.rule, let service = exchange.service else { return exchange.fail(.noRoute) }
    chooseBackend(exchange, rule, service)
  }

  private func chooseBackend(_ exchange: Exchange, _ rule: CompiledRule, _ service: ServiceEntry) {
    if exchange.holdableBytes > 0, exchange.holdsContent() { return }
    // Of a tunnel there is no field to look at.
    let kept = exchange.isTunnel ? nil : rule.sessions.flatMap { $0.begin(exchange) }
    guard let backend = kept ?? rule.pickBackend() else { return exchange.fail(.noBackendWeight) }
    exchange.backend = backend.entry
    if let status = backend.failureStatus { return exchange.fail(.rule(status: status)) }
    // Of a tunnel there is nothing to filter.
    if !exchange.isTunnel { rule.filters?.apply(to: exchange) }
    if let own = backend.filters, !exchange.isTunnel {
      if own.answers(exchange, service.key) { return }
      own.apply(to: exchange)
    }
    enter(backend.entry, exchange)
  }

  /// The copy of a request that a rule mirrors.
  func routeMirror(_ exchange: Exchange) {
    guard let backend = exchange.backend else { return exchange.fail(.noEndpoint) }
    enter(backend, exchange)
  }

  func enter(_ backend: BackendEntry, _ exchange: Exchange) {
    if let hosts = backend.hosts { return hosts.serve(exchange) }
    guard exchange.enter(backend) else { return exchange.fail(.backendOverflow) }
    backend.retryBudget.requestStarted(now: worker.loop.now)
    if let source = backend.hashSource { exchange.findHashKey(source.key) }
    if let source = backend.subsetSource { exchange.subset = source.key.find(in: exchange.request, client: nil) }
    if let session = exchange.session {
      backend.count(session.event, worker)
      if let endpoint = session.endpoint { return send(exchange, to: endpoint, of: backend) }
    }
    chooseEndpoint(exchange, of: backend)
  }

  private func chooseEndpoint(_ exchange: Exchange, of backend: BackendEntry) {
    var ref = pick(exchange, of: backend, excluding: exchange.tried)
    if ref == nil, let latest = exchange.tried.last {
      ref = pick(exchange, of: backend, excluding: [latest]) ?? pick(exchange, of: backend, excluding: [])
    }
    guard let ref else { return exchange.fail(backend.isUnresolved ? .unresolved : .noEndpoint) }
    send(exchange, to: ref, of: backend)
  }

  func send(_ exchange: Exchange, to ref: EndpointRef, of backend: BackendEntry) {
    guard let endpoint = backend.entry(ref) else { return exchange.fail(.noEndpoint) }
    backend.balancer.started(ref)
    exchange.ticket = ref
    exchange.lastTicket = ref
    exchange.endpoint = endpoint
    send(exchange, to: endpoint)
  }

  func pick(_ exchange: Exchange, of backend: BackendEntry, excluding: [EndpointRef]) -> EndpointRef? {
    backend.balancer.pick(
      now: worker.loop.now, &worker.loop.random, key: exchange.hashKey, subset: exchange.subset, excluding: excluding)
  }

  private func send(_ exchange: Exchange, to endpoint: EndpointEntry) {
    if exchange.leavesMesh, worker.isListening(endpoint.address) { return exchange.fail(.loop) }
    exchange.attempts += 1
    exchange.attemptTime = worker.loop.now
    exchange.phase = .connecting
    if exchange.attemptLimit.nanoseconds > 0 { exchange.limitAttempt() }
    if exchange.mayHedge { exchange.planHedge() }
    endpoint.serve(exchange)
  }

  /// Another attempt. Endpoints that the request was not at before go first.
  func retry(_ exchange: Exchange) {
    if let backend = exchange.backend {
      exchange.noteTried()
      chooseEndpoint(exchange, of: backend)
    } else if let endpoint = exchange.endpoint {
      send(exchange, to: endpoint)
    } else {
      exchange.fail(.noEndpoint)
    }
  }

  /// An IP address given by the client: a workload of the mesh is reached as one elsewhere; the rest as it is.
  func passThrough(_ exchange: Exchange, to address: SocketAddress) {
    if exchange.asksForOverrides { exchange.request.removeFields(.overrides) }
    let endpoint = worker.upstreams.passThroughEndpoint(address)
    exchange.endpoint = endpoint
    send(exchange, to: endpoint)
  }

  // MARK: - Inbound

  func routeInbound(_ exchange: Exchange) {
    guard let port = inboundPort(exchange) else { return exchange.fail(.unknownInboundPort) }
    let hadReserved = exchange.request.removeFields(.mesh)
    exchange.request.removeFields(.overrides)
    exchange.inboundPort = port
    if exchange.peerLabel == LabelInterner.empty {
      if hadReserved { worker.tookReservedFields(from: exchange, .inbound) }
      guard admitsPlaintext(exchange, to: port) else { return }
    } else {
      exchange.tellClientCertificate()
    }
    // Who sends it is settled before anybody asks what they may do, and what they may do before they use up what others may ask for.
    if let gate = port.tokenGate, gate.refuses(exchange) { return }
    if let authorizer = port.authorizer, !authorizer.admits(exchange) { return }
    limit(exchange, port)
  }

  /// The provider of the latest `custom` policy lets the request pass: the policies behind it are next.
  func authorized(_ exchange: Exchange) {
    guard let port = exchange.inboundPort else { return exchange.fail(.unknownInboundPort) }
    exchange.phase = .resolving
    if let authorizer = port.authorizer, !authorizer.admits(exchange, after: exchange.askedPolicy) { return }
    limit(exchange, port)
  }

  private func limit(_ exchange: Exchange, _ port: InboundPortEntry) {
    if let limiter = port.rateLimiter, limiter.refuses(exchange) { return }
    exchange.endpoint = port.endpoint
    if let limiter = port.globalLimiter, limiter.asks(for: exchange) { return }
    admit(exchange, to: port)
  }

  private func admit(_ exchange: Exchange, to port: InboundPortEntry) {
    if let body = port.config.requestBody {
      if exchange.refuses(under: body) { return }
      if exchange.holdableBytes > 0, exchange.holdsContent() { return }
    }
    deliver(exchange, to: port)
  }

  private func deliver(_ exchange: Exchange, to port: InboundPortEntry) {
    if let limiter = port.concurrency, !exchange.isTunnel, !exchange.enters(limiter) { return }
    send(exchange, to: port.endpoint)
  }

  /// The port is named by the peer proxy (a field, or the authority of a tunnel), else by the port in `Host`, else it is the first.
  private func inboundPort(_ exchange: Exchange) -> InboundPortEntry? {
    let head = exchange.request
    if case .http2(let connection, _) = exchange.downstream, connection.isMeshPeer {
      if exchange.isTunnel {
        return Self.port(ofAuthority: head.bytes(head.authority)).flatMap(worker.inboundPort)
      }
      return head.value(.xApusTargetPort).flatMap(Self.decimalPort).flatMap(worker.inboundPort)
    }
    if let named = Self.port(ofAuthority: head.bytes(head.authority)), let port = worker.inboundPort(named) {
      return port
    }
    return exchange.isTunnel ? nil : worker.firstInboundPort
  }

  static func port(ofAuthority authority: UnsafeRawBufferPointer) -> UInt16? {
    guard let colon = authority.lastIndex(of: 0x3A) else { return nil }
    return decimalPort(authority.slice(colon + 1, authority.count - colon - 1))
  }

  static func decimalPort(_ digits: UnsafeRawBufferPointer) -> UInt16? {
    guard (1...5).contains(digits.count) else { return nil }
    var value: UInt32 = 0
    for digit in digits {
      guard digit &- 0x30 < 10 else { return nil }
      value = value * 10 + UInt32(digit &- 0x30)
    }
    return value > 0 ? UInt16(exactly: value) : nil
  }
}
