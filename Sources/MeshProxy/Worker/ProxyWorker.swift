import MeshCore
import MeshHTTP
import MeshPolicy
import MeshRuntime
import MeshTelemetry

/// The data plane of one worker: everything that requests touch, on one event loop.
///
/// Owns services, backends, pools, exchanges and counters. Nothing here is shared with another worker; the control thread
/// reaches it through the loop's inbox with `Sendable` values only.
final class ProxyWorker: TimerHandler {
  let loop: Worker
  let limits: ProxyLimits
  /// Which of the proxy's workers this is.
  let part: WorkerPart
  let namespace: String
  /// Of the proxy's own workload; nil for one without a control plane.
  let client: SPIFFEID?
  let metrics = MetricsShard()
  let accessLog: AccessLogWriter
  let log: ProxyLog?
  var nextLimitLog = Instant(nanoseconds: 0)
  var tlsLog = TLSFailureLog()
  var protocolLines = LogLines()
  var reservedLines = LogLines()
  private(set) lazy var trustWatch = TrustWatch(self)
  private(set) lazy var bufferBudget = BufferBudget(self)
  private(set) lazy var tokens = WorkerTokens(&loop.random) { [refreshKeys] in refreshKeys($0) }
  /// Tells the control thread that a token names a key that is not known. Set before the first use.
  var refreshKeys: @Sendable (TokenKeySource) -> Void = { _ in }
  private(set) lazy var departures = Departures(self)
  /// Asks the control thread to subscribe to a service.
  let subscribe: @Sendable (ServicePort) -> Void
  let shared: SharedLimits
  /// Tells the control thread of hosts outside the mesh.
  let names: @Sendable (HostNotice) -> Void
  /// Tells the proxy's other workers.
  private let share: @Sendable (HealthReport) -> Void

  // Heads that live for one call.
  let responseHead = MessageHead()
  let replyHead = MessageHead(capacity: 256)
  let trailersHead = MessageHead(capacity: 256)
  /// Into which every HTTP/2 connection decodes.
  let receivedHead = MessageHead()

  var router: Router { Router(worker: self) }
  var counters = ProxyCounters()
  var compressors = CompressorPool()
  private(set) var isDraining = false

  // Settings of the hop between proxies.
  let serverHTTP2Settings: HTTP2Settings
  let clientHTTP2Settings: HTTP2Settings
  let connectionWindow = 16 << 20

  // Identity
  private(set) var identity: WorkerIdentity?
  private(set) var identityGeneration = 0
  /// Without the copy that a look at `identity` makes.
  var hasIdentity: Bool { identityGeneration > 0 }

  // Configuration
  private(set) var services: [ServicePort: ServiceEntry] = [:]
  private(set) var backends: [ServicePort: BackendEntry] = [:]
  private var authorities: AuthorityTable
  private(set) lazy var egress = EgressGate(self)
  let plaintext: PlaintextLedger
  /// Names outside the mesh that are services of it.
  private(set) var externalHosts = ExternalHostTable()
  private var inboundPorts: [InboundPortEntry] = []
  /// Where the proxy's own workload runs.
  private var locality = Locality()

  private(set) lazy var upstreams = UpstreamTable(self)

  // Exchanges
  private var exchanges = ExchangeList()
  /// Questions to services that count for global rate limits.
  var rateLimitCalls = 0
  /// Questions to external authorizers.
  var authorizationCalls = 0

  // Connections
  var downstreams = DownstreamConnections()
  var listeners: [Listener] = []
  /// TLS of listeners for clients outside the mesh.
  var clientFacing: [TLSContext] = []
  private var memory = MemoryTide()
  private lazy var sweepTimer = LoopTimer(owner: self, tag: 0)
  private var onDrained: (@Sendable () -> Void)?

  init(
    loop: Worker, limits: ProxyLimits, part: WorkerPart = WorkerPart(), namespace: String, client: SPIFFEID? = nil,
    accessLog: AccessLogWriter, log: ProxyLog? = nil, shared: SharedLimits? = nil,
    share: @escaping @Sendable (HealthReport) -> Void = { _ in },
    names: @escaping @Sendable (HostNotice) -> Void = { _ in }, subscribe: @escaping @Sendable (ServicePort) -> Void
  ) {
    self.loop = loop
    self.limits = limits
    self.part = part
    self.namespace = namespace
    self.client = client
    self.accessLog = accessLog
    self.log = log
    self.shared = shared ?? SharedLimits(limits)
    self.share = share
    self.names = names
    self.subscribe = subscribe
    authorities = AuthorityTable(maximumCount: limits.maximumAuthorities)
    plaintext = PlaintextLedger(limits)
    var settings = HTTP2Settings()
    settings.enableConnectProtocol = true
    // What one stream may make us hold. 256 KiB fill 2 Gbit/s at a round trip of 1 ms.
    settings.initialWindowSize = 256 * 1024
    settings.maximumConcurrentStreams = 1_000
    serverHTTP2Settings = settings
    clientHTTP2Settings = settings
    loop.handshakes.limit = limits.maximumHandshakes
    loop.handshakes.waitingLimit = limits.maximumWaitingHandshakes
    loop.schedule(sweepTimer, after: .seconds(1))
  }

  // MARK: - Exchanges

  func takeExchange() -> Exchange { exchanges.reuse() ?? Exchange(worker: self) }

  func recycle(_ exchange: Exchange) {
    exchange.reset()
    exchanges.keep(exchange)
  }

  func exchangeStarted(_ exchange: Exchange) { exchanges.add(exchange) }

  /// An exchange of the proxy's own, which copies another. False when there are too many.
  func admitMirror() -> Bool {
    guard exchanges.admitMirror(most: limits.maximumMirrors) else {
      metrics.limitHit("mirrors")
      return false
    }
    return true
  }

  /// An exchange meets faults. False when there are too many that do.
  func admitFault() -> Bool {
    guard exchanges.admitFault(most: limits.maximumFaults) else {
      metrics.limitHit("faults")
      return false
    }
    return true
  }

  func exchangeFinished(_ exchange: Exchange) {
    exchanges.release(exchange)
    forget(exchange)
    if !exchange.isCheck { ExchangeReport.record(exchange, self) }
    if isDraining { checkDrained() }
  }

  /// A CONNECT whose tunnel ends in this proxy: what counts are the requests inside.
  func discard(_ exchange: Exchange) {
    forget(exchange)
    recycle(exchange)
  }

  private func forget(_ exchange: Exchange) {
    exchanges.remove(exchange)
    if let service = exchange.service, !service.waiting.isEmpty { service.waiting.removeAll { $0 === exchange } }
  }

  func forEachExchange(_ body: (Exchange) -> Void) {
    for exchange in exchanges.underway { body(exchange) }
  }

  var exchangeCount: Int { exchanges.underway.count }
  var mirrorCount: Int { exchanges.mirrorCount }
  /// Exchanges that meet faults.
  var faultCount: Int { exchanges.faultCount }

  // MARK: - Services and backends

  /// What `authority` means to a client of this workload.
  func target(of authority: UnsafeRawBufferPointer, defaultPort: UInt16) -> AuthorityTarget {
    if let known = authorities.find(authority, variant: defaultPort) { return known }
    let target = resolve(authority.string, defaultPort: defaultPort)
    authorities.insert(authority, variant: defaultPort, target)
    return target
  }

  /// The entry of a service, made and subscribed to when it is new.
  func service(_ key: ServicePort) -> ServiceEntry {
    if let known = services[key] { return known }
    if services.count >= limits.maximumServices { evictService() }
    let entry = ServiceEntry(key: key, labels: metrics.labels)
    entry.lastUsed = loop.now
    services[key] = entry
    subscribe(key)
    return entry
  }

  private func evictService() {
    metrics.limitHit("services")
    guard let oldest = services.values.filter({ $0.waiting.isEmpty }).min(by: { $0.lastUsed < $1.lastUsed }) else {
      return
    }
    services[oldest.key] = nil
    oldest.isEvicted = true
    authorities.removeAll()
  }

  func backend(_ key: ServicePort) -> BackendEntry {
    if let known = backends[key] { return known }
    let entry = makeBackend(key, isRoot: true)
    backends[key] = entry
    return entry
  }

  func forgetBackend(_ key: ServicePort) {
    backends[key] = nil
    authorities.removeAll()
  }

  /// Spellings are given their meanings anew.
  func forgetAuthorities() { authorities.removeAll() }

  func remember(_ authority: UnsafeRawBufferPointer, defaultPort: UInt16, _ target: AuthorityTarget) {
    authorities.insert(authority, variant: defaultPort, target)
  }

  /// `isRoot`: of the whole service, not of one host of it.
  func makeBackend(_ key: ServicePort, isRoot: Bool) -> BackendEntry {
    BackendEntry(
      key: key, isRoot: isRoot, labels: metrics.labels, home: locality, workerCount: part.count,
      seed: loop.random.next(), now: loop.now)
  }

  func apply(_ update: ConfigUpdate) {
    if let hosts = update.hosts {
      externalHosts = ExternalHostTable(hosts)
      authorities.removeAll()
    }
    for (key, set) in update.endpoints {
      backend(key).update(set ?? EndpointSet(key: key, endpoints: []), worker: self)
    }
    for (key, config) in update.services {
      // Resources of other proxies' interest are not sent; a service evicted meanwhile is ignored.
      services[key]?.update(config, worker: self, isOutside: update.outside.contains(key))
    }
    for named in update.named { backends[named.set.key]?.hosts?.take(named.set, of: named.host) }
    if let workload = update.workload { setWorkload(workload) }
  }

  /// One of this worker's checks has changed what is known about an endpoint.
  func found(_ report: HealthReport) {
    take(report)
    share(report)
  }

  func take(_ report: HealthReport) { backends[report.backend]?.take(report, now: loop.now) }

  private func setWorkload(_ workload: WorkloadUpdate) {
    if workload.locality != locality {
      locality = workload.locality
      for backend in backends.values { backend.balancer.move(to: locality) }
    }
    if egress.take(workload.egress) { authorities.removeAll() }
    inboundPorts = workload.ports.map { port in
      inboundPorts.first { $0.config == port } ?? InboundPortEntry(port, worker: self, workload: workload.name)
    }
    judgeAgain()
  }

  func inboundPort(_ number: UInt16) -> InboundPortEntry? { inboundPorts.first { $0.config.port == number } }
  var firstInboundPort: InboundPortEntry? { inboundPorts.first }

  // MARK: - Identity

  func setIdentity(_ identity: WorkerIdentity) {
    self.identity = identity
    identityGeneration += 1
  }

  /// Every server context of this worker seals tickets with `key` from now on.
  func rotateTicketKey(to key: TLSTicketKey) {
    identity?.serverContext.rotateTicketKey(to: key)
    for context in clientFacing { context.rotateTicketKey(to: key) }
  }

  // MARK: - Time

  func timerFired(_ timer: LoopTimer) {
    let now = loop.now
    upstreams.sweep(now)
    for backend in backends.values { backend.hosts?.sweep(now) }
    sweepExchanges(now)
    sweepServices(now)
    accessLog.flush()
    if memory.hasFallen(to: downstreams.count) { returnMemory() }
    loop.schedule(sweepTimer, after: .seconds(1))
  }

  /// Many connections have gone: what they and their requests leave in free lists and in the allocator goes back to the
  /// system, which costs some milliseconds once instead of their memory for good.
  private func returnMemory() {
    exchanges.trim()
    loop.pool.trim()
    ProcessMemory.returnFree()
  }

  private func sweepExchanges(_ now: Instant) {
    for exchange in exchanges.idle(at: now) {
      metrics.limitHit("stream_idle_timeout")
      exchange.fail(exchange.requestEnded ? .responseTimeout : .streamIdle)
    }
  }

  private func sweepServices(_ now: Instant) {
    for service in services.values where !service.waiting.isEmpty {
      guard now - service.waitingSince >= limits.discoveryTimeout else { continue }
      let waiting = service.waiting
      service.waiting = []
      for exchange in waiting where exchange.phase == .resolving { exchange.fail(.discoveryTimeout) }
    }
  }

  // MARK: - Drain

  /// Stops accepting, lets every request in flight finish, closes what is idle. `done` is called on the loop.
  func drain(done: @escaping @Sendable () -> Void) {
    isDraining = true
    onDrained = done
    for listener in listeners { listener.close() }
    for drainable in downstreams.toDrain { drainable.drain() }
    upstreams.closeIdle()
    for backend in backends.values { backend.stopChecks() }
    checkDrained()
  }

  func checkDrained() {
    // A finished exchange may still have bytes in its connection's output: the connections must have closed, too.
    guard exchangeCount == 0, downstreams.count == 0, let onDrained else { return }
    self.onDrained = nil
    upstreams.retirePeers()
    onDrained()
  }
}

/// Counts that are shown on the admin page only.
struct ProxyCounters: Sendable {
  var retries: UInt64 = 0
  var connectFailures: UInt64 = 0
}
