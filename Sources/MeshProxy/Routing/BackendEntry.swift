import MeshCore
import MeshPolicy
import MeshRuntime
import MeshTelemetry

/// One backend as a worker uses it: its balancer, and an `EndpointEntry` for each slot of it.
///
/// Shared by every service whose rules name the backend. Confined to one worker loop.
final class BackendEntry {
  let key: ServicePort
  let balancer: EndpointBalancer
  /// Repeats of any rule's requests to this backend.
  var retryBudget = RetryBudget()
  /// What is used of the backend now.
  var use = BackendUse()
  /// Nil: as the proxy has it for everyone.
  private(set) var connectTimeout: TimeSpan?
  /// Nil unless the balancer goes by keys.
  private(set) var hashSource: HashKeySource?
  /// Where requests name the subset of the endpoints that they want; nil where there are no subsets.
  private(set) var subsetSource: HashKeySource?
  /// Nil unless requests say which of several hosts they are for; then this one has no endpoints itself.
  private(set) var hosts: HostBackends?
  /// The DNS has no address for it.
  private(set) var isUnresolved = false
  /// False until the control plane has sent the endpoint set.
  private(set) var isKnown = false
  /// Grows with each update.
  private(set) var revision = 0
  private var entries: [EndpointEntry?] = []
  /// Made when a rule first goes by them.
  private var latencies: LatencyQuantiles?
  /// Nil unless the policy asks for checks.
  private var checker: HealthChecker?

  /// Ids of the metric labels.
  let nameLabel: Int32
  let namespaceLabel: Int32

  /// Stands for the whole service, not for one host of it.
  private let isRoot: Bool

  init(
    key: ServicePort, isRoot: Bool = true, labels: LabelInterner, home: Locality, workerCount: Int, seed: UInt64,
    now: Instant
  ) {
    self.key = key
    self.isRoot = isRoot
    nameLabel = labels.id(key.service.name)
    namespaceLabel = labels.id(key.service.namespace)
    balancer = EndpointBalancer(home: home, workerCount: workerCount, seed: seed, now: now)
  }

  func update(_ set: EndpointSet, worker: ProxyWorker) {
    isKnown = true
    revision += 1
    isUnresolved = set.names != nil && set.endpoints.isEmpty
    if isRoot { updateHosts(set.names, worker) }
    use.take(set.policy.limits, worker.part)
    retryBudget.settings = set.policy.retryBudget
    connectTimeout = set.policy.connectTimeout
    let source = set.policy.balancing.algorithm.isHashing ? set.policy.balancing.hashSource : nil
    hashSource = source.map { HashKeySource(key: RequestKey($0)) }
    subsetSource = set.policy.balancing.subset.map { HashKeySource(key: RequestKey(.header($0.header))) }
    balancer.update(set.endpoints, policy: set.policy, now: worker.loop.now)
    var next: [EndpointEntry?] = []
    for (ref, endpoint) in balancer.current {
      while next.count <= ref.slot { next.append(nil) }
      if ref.slot < entries.count, let old = entries[ref.slot], old.matches(endpoint, of: set) {
        next[ref.slot] = old
      } else {
        next[ref.slot] = worker.upstreams.endpoint(endpoint, of: set)
      }
    }
    entries = next
    updateChecks(set, worker)
  }

  private func updateHosts(_ names: NameResolution?, _ worker: ProxyWorker) {
    if hosts?.keeps(names) == true { return }
    hosts = names.flatMap { $0.onlyHost == nil ? HostBackends(key, $0, worker: worker) : nil }
  }

  /// By address, why handshakes with servers outside the mesh failed last.
  var tlsFailures: [SocketAddress: String] {
    entries.reduce(into: [:]) { failures, entry in
      if let entry, let failure = entry.tlsFailure { failures[entry.address] = failure }
    }
  }

  func entry(_ ref: EndpointRef) -> EndpointEntry? { ref.slot < entries.count ? entries[ref.slot] : nil }

  // MARK: - Checks

  private func updateChecks(_ set: EndpointSet, _ worker: ProxyWorker) {
    let isChecked = set.policy.healthCheck != nil || set.endpoints.contains { $0.healthCheck != nil }
    guard isChecked, !worker.isDraining else { return stopChecks() }
    let checker = checker ?? HealthChecker()
    self.checker = checker
    let own = balancer.current.compactMap { ref, endpoint -> HealthChecker.Subject? in
      guard let entry = entry(ref), let policy = endpoint.healthCheck ?? set.policy.healthCheck,
        worker.part.checks(entry.address)
      else { return nil }
      return (entry, policy)
    }
    checker.update(own, of: self, worker: worker)
  }

  func stopChecks() {
    checker?.stop()
    checker = nil
  }

  /// A report that was on its way when checks ended must not outlive them.
  func take(_ report: HealthReport, now: Instant) {
    if checker != nil { balancer.setHealth(of: report.address, to: report.health, now: now) }
  }

  // MARK: - Latency

  /// What `share` ten-thousandths of the answers took at most; nil while too few have come since somebody asked first.
  func usualLatency(_ share: UInt32, now: Instant) -> TimeSpan? {
    if latencies == nil { latencies = LatencyQuantiles(now: now) }
    return latencies?.value(share, now: now)
  }

  // MARK: - Connections

  /// A connection more may be opened; makes room for it where an idle one is in its way.
  func makesRoomForConnection() -> Bool {
    if use.connections < use.maximumConnections { return true }
    return entries.contains { $0?.closeIdleConnection(of: self) == true }
  }

  // MARK: - Events

  func finished(
    _ ticket: EndpointRef, latency: TimeSpan, _ outcome: EndpointOutcome, _ worker: ProxyWorker
  ) {
    balancer.finished(ticket, latency: latency, outcome: outcome, now: worker.loop.now)
    // What was given up would have taken longer still: left out, the slow ones would seem not to be there.
    if latencies != nil, outcome == .success || outcome == .cancelled { latencies?.note(latency, now: worker.loop.now) }
    if balancer.hasEvents { publishEvents(worker) }
  }

  private func publishEvents(_ worker: ProxyWorker) {
    for event in balancer.takeEvents() { count(BackendEvent(event), worker) }
  }

  func count(_ event: BackendEvent, _ worker: ProxyWorker) {
    worker.metrics.countBackend(BackendSeriesKey(backend: nameLabel, namespace: namespaceLabel, event: event))
  }
}

/// Where requests have their keys. In an object, so that a request looks at it without counting what is inside.
final class HashKeySource {
  let key: RequestKey
  init(key: RequestKey) { self.key = key }
}

extension BackendEvent {
  init(_ event: BalancerEvent) {
    switch event {
    case .ejected(.serverErrors): self = .ejectedForServerErrors
    case .ejected(.gatewayErrors): self = .ejectedForGatewayErrors
    case .ejected(.transportFailures): self = .ejectedForTransportFailures
    case .ejected(.connectFailures): self = .ejectedForConnectFailures
    case .ejected(.successRate): self = .ejectedForSuccessRate
    case .ejected(.latency): self = .ejectedForLatency
    case .ejectionWithheld: self = .ejectionWithheld
    case .returned: self = .returned
    case .panicBegan: self = .panicBegan
    case .leftZone: self = .leftZone
    case .subsetFellBack: self = .subsetFellBack
    }
  }
}

extension EndpointEntry {
  func matches(_ endpoint: Endpoint, of set: EndpointSet) -> Bool {
    address == endpoint.address && identity == endpoint.identity && workload == endpoint.workload
      && (isMeshed || isHTTP2 == set.appProtocol.isHTTP2 && tls?.origination == set.tls)
  }
}
