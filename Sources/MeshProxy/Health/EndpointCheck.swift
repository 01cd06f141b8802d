import MeshCore
import MeshHTTP
import MeshPolicy
import MeshRuntime
import MeshTelemetry

/// The active checks of one endpoint for one backend: waits, asks, judges, and tells when the endpoint's health has changed.
///
/// A check is an exchange of the proxy's own and takes the way of requests: the pooled mutual TLS connection to a meshed endpoint, its proxy and
/// its program. It takes nothing of the backend's limits and counts in no family of requests. One at a time. Confined to one worker
/// loop.
final class EndpointCheck: TimerHandler {
  /// Outlives everything on its loop.
  unowned(unsafe) let worker: ProxyWorker
  /// Owns the check; lives as long as its worker.
  private unowned let backend: BackendEntry
  let endpoint: EndpointEntry
  let policy: HealthCheckPolicy
  private var tally = HealthTally()
  /// Under way.
  private var exchange: Exchange?
  private var isConnected = false
  /// The beginning of the answer's body.
  private var answer: [UInt8] = []
  private var isStopped = false
  private lazy var timer = LoopTimer(owner: self)

  init(_ endpoint: EndpointEntry, of backend: BackendEntry, _ policy: HealthCheckPolicy, worker: ProxyWorker) {
    self.worker = worker
    self.backend = backend
    self.endpoint = endpoint
    self.policy = policy
  }

  func start() { worker.loop.schedule(timer, after: policy.firstWait(&worker.loop.random)) }

  /// What is under way is given up: a proxy that drains does not wait for it.
  func stop() {
    isStopped = true
    worker.loop.cancel(timer)
    guard let exchange else { return }
    if isConnected { return endTunnel() }
    self.exchange = nil
    exchange.downstreamGone()
  }

  func timerFired(_ timer: LoopTimer) {
    if exchange == nil { ask() } else { endTunnel() }
  }

  private func ask() {
    let exchange = worker.takeExchange()
    self.exchange = exchange
    isConnected = false
    answer.removeAll(keepingCapacity: true)
    writeRequest(exchange)
    exchange.begin(check: self)
  }

  // MARK: - The request

  private func writeRequest(_ exchange: Exchange) {
    let head = exchange.request
    head.scheme = head.intern("http")
    let service = backend.key.service
    head.authority = head.intern(string: "\(service.name).\(service.namespace)")
    switch policy.probe {
    case .http(let probe):
      head.method = probe.method == .head ? .head : .get
      head.path = head.intern(string: probe.path)
      if let host = probe.host { head.authority = head.intern(string: host) }
      exchange.requestEnded = true
    case .grpc(let service):
      head.method = .post
      head.path = head.intern(GRPCHealth.path)
      head.append(.contentType, "application/grpc")
      head.append(.te, "trailers")
      let message = GRPCHealth.request(service: service)
      exchange.requestFraming = .length(UInt64(message.count))
      exchange.requestBuffer.append(message)
      exchange.requestEnded = true
    case .tcp:
      head.method = .connect
      exchange.isTunnel = true
    }
    head.append(.userAgent, "apus-health-check")
  }

  // MARK: - The answer

  /// Of a tunnel, all that there is to know.
  func received(_ head: MessageHead) {
    guard case .tcp = policy.probe, head.status < 300 else { return }
    isConnected = true
    // Not at once: the exchange is in the middle of telling.
    worker.loop.schedule(timer, after: .zero)
  }

  func receive(_ bytes: UnsafeRawBufferPointer) {
    guard case .grpc = policy.probe else { return }
    answer.append(contentsOf: bytes.prefix(max(0, GRPCHealth.maximumAnswerBytes - answer.count)))
  }

  private func endTunnel() {
    guard let exchange, isConnected else { return }
    if case .raw = exchange.upstream {
      // Closed in order: a reset would be an error in the program's log.
      exchange.requestEndSent = true
      exchange.responseEnded = true
      exchange.responseEndSent = true
    }
    exchange.complete()
  }

  func finished(_ exchange: Exchange) {
    let verdict = verdict(exchange)
    self.exchange = nil
    worker.recycle(exchange)
    guard !isStopped else { return }
    switch verdict {
    case .good: note(nil)
    case .bad(let problem): note(problem)
    case .refused: noteRefusal()
    case .none: break
    }
    worker.loop.schedule(timer, after: policy.nextWait(&worker.loop.random))
  }

  private enum Verdict {
    case good
    case bad(HealthProblem)
    /// The endpoint's proxy lives, and does not let this one ask.
    case refused
    /// The endpoint was not asked.
    case none
  }

  private func verdict(_ exchange: Exchange) -> Verdict {
    if isConnected { return .good }
    switch exchange.flag {
    case .none: break
    // No certificate yet, or too much to do: the proxy's own affair.
    case .noCluster, .upstreamOverflow, .overloadManager: return .none
    case .unauthorized: return .refused
    case .upstreamConnectionFailure: return .bad(.connectFailure)
    case .requestTimeout, .upstreamTimeout: return .bad(.timeout)
    default: return .bad(.transportFailure)
    }
    switch policy.probe {
    case .http(let probe): return probe.expects(exchange.status) ? .good : .bad(.unexpectedStatus)
    case .grpc:
      guard exchange.status == 200, exchange.grpcOutcome == .status(.ok) else { return .bad(.unexpectedStatus) }
      return GRPCHealth.isServing(answer) ? .good : .bad(.notServing)
    case .tcp: return .bad(.unexpectedStatus)
    }
  }

  /// Rules of who may call say nothing of the endpoint's health: a caller that may ask for orders and not for the check's path keeps its
  /// endpoints. One that was found unhealthy before comes back, as nobody could ever find it healthy again; what it answers decides.
  private func noteRefusal() {
    backend.count(.checkRefused, worker)
    if tally.health.isUnhealthy { settle(nil) }
  }

  private func note(_ problem: HealthProblem?) {
    backend.count(problem == nil ? .checkPassed : .checkFailed, worker)
    settle(problem)
  }

  private func settle(_ problem: HealthProblem?) {
    let wasUnhealthy = tally.health.isUnhealthy
    guard let health = tally.note(problem, policy) else { return }
    if health.isUnhealthy != wasUnhealthy {
      backend.count(health.isUnhealthy ? .becameUnhealthy : .becameHealthy, worker)
    }
    worker.found(HealthReport(backend: backend.key, address: endpoint.address, health: health))
  }
}

/// What one worker found out, for all of them.
struct HealthReport: Sendable {
  var backend: ServicePort
  var address: SocketAddress
  var health: EndpointHealth
}

extension Exchange {
  /// Asks the endpoint of `check`. The request is written.
  func begin(check: EndpointCheck) {
    isCheck = true
    downstream = .check(check)
    direction = .outbound
    endpoint = check.endpoint
    startTime = worker.loop.now
    lastActivity = startTime
    phase = .resolving
    worker.exchangeStarted(self)
    if request.isGRPCRequest { beginGRPC() }
    deadline = startTime + check.policy.timeout
    isRouteDeadline = true
    armTimer()
    worker.router.retry(self)
  }
}
