import MeshCore
import MeshPolicy
import MeshRuntime
import MeshTelemetry

/// One port of one service as a worker uses it: its compiled rules, or the wait for them.
///
/// Confined to one worker loop. Limit: `ProxyLimits.maximumWaitingForService` exchanges in `waiting`.
final class ServiceEntry {
  enum State {
    /// Subscribed, no answer yet.
    case pending
    case ready
    /// The control plane knows no such service; a later update may bring it.
    case missing
  }

  let key: ServicePort
  private(set) var state = State.pending
  private(set) var appProtocol = AppProtocol.http
  private(set) var table = RouteTable([])
  private(set) var rules: [CompiledRule] = []
  /// Set when rules go by the server that a TLS client asks for; only then are the bytes of connections looked at.
  private(set) var serverNames: ServerNameTable?
  /// Exchanges that arrived before the configuration.
  var waiting: [Exchange] = []
  var waitingSince = Instant(nanoseconds: 0)
  var lastUsed = Instant(nanoseconds: 0)
  /// Gave way to other services: no update reaches it any more.
  var isEvicted = false
  /// The mesh knows no such namespace: what is missing here may be a name of the DNS.
  private(set) var isOutside = false

  /// Ids of the metric labels.
  let nameLabel: Int32
  let namespaceLabel: Int32

  init(key: ServicePort, labels: LabelInterner) {
    self.key = key
    nameLabel = labels.id(key.service.name)
    namespaceLabel = labels.id(key.service.namespace)
  }

  /// Takes a new configuration, or learns that there is none.
  func update(_ config: ServiceConfig?, worker: ProxyWorker, isOutside: Bool = false) {
    if isOutside != self.isOutside { worker.forgetAuthorities() }
    self.isOutside = isOutside
    defer { if worker.faultCount > 0 { endFaults(worker) } }
    if let config {
      state = .ready
      appProtocol = config.appProtocol
      table = RouteTable(config.rules)
      serverNames = ServerNameTable(config.rules)
      rules = config.rules.map { CompiledRule($0, of: key, worker: worker) }
    } else {
      state = .missing
      rules = []
      table = RouteTable([])
      serverNames = nil
    }
    let ready = waiting
    waiting = []
    for exchange in ready where exchange.phase == .resolving && exchange.service === self {
      worker.router.route(exchange, to: self)
    }
  }

  /// What a CONNECT carries is not passed on unread.
  var looksIntoTunnels: Bool { appProtocol.isHTTP2 || serverNames != nil }

  /// Faults that are no longer asked for end for the requests that are in the middle of them, too.
  private func endFaults(_ worker: ProxyWorker) {
    var released: [Exchange] = []
    worker.forEachExchange { exchange in
      guard exchange.service === self, let policies = exchange.fault?.policies else { return }
      if !rules.contains(where: { $0.faults?.policies == policies }) { released.append(exchange) }
    }
    for exchange in released { exchange.endFault() }
  }

  /// The rule for bytes without a head: the first that matches everything, else the last.
  var tunnelRule: Int? {
    rules.firstIndex { $0.matchesEverything } ?? rules.indices.last
  }
}

/// A rule ready for use: compiled filters, cumulative weights and live backends.
///
/// An exchange keeps the rule that was in force when it was routed, whatever configuration comes meanwhile.
final class CompiledRule {
  let name: String
  let nameLabel: Int32
  let matchesEverything: Bool
  let failureStatus: UInt16?
  private let pick: WeightedPick
  private var draws: EvenDraws
  let backends: [Share]
  /// Nil for none, as in `Share`.
  let filters: FilterChain?
  let faults: FaultPlan?
  let timeouts: RouteTimeouts
  let retry: RetryPolicy?
  /// Nil for none.
  let hedging: HedgingPolicy?
  /// Nil for none.
  let sessions: SessionTable?
  /// Nil for none.
  let rateLimiter: RateLimiter?
  let globalLimiter: GlobalLimiter?
  let requestBody: RequestBodyPolicy?
  /// What requests of the own workload may say themselves.
  let overrides: OverridePolicy.Kinds
  /// Of one request's own rule, the one it comes from: backends take turns over all requests.
  private let common: CompiledRule?
  /// The rule limits times or asks for repeats; most do not.
  let governsAttempts: Bool

  struct Share {
    let entry: BackendEntry
    let failureStatus: UInt16?
    let filters: FilterChain?
  }

  init(_ rule: RouteRule, of service: ServicePort, worker: ProxyWorker) {
    name = rule.name
    nameLabel = worker.metrics.labels.id(rule.name)
    matchesEverything = rule.matches.isEmpty
    failureStatus = rule.failureStatus
    pick = WeightedPick(rule.backends)
    draws = EvenDraws(start: worker.loop.random.next())
    backends = rule.backends.map {
      Share(
        entry: worker.backend($0.backend), failureStatus: $0.failureStatus,
        filters: FilterChain($0.filters, of: rule, worker: worker))
    }
    filters = FilterChain(rule.filters, of: rule, worker: worker)
    faults = FaultPlan(rule.faults, client: worker.client)
    timeouts = rule.timeouts
    retry = rule.retry
    hedging = rule.hedging
    sessions = rule.session.map { [backends] in SessionTable($0, backends) }
    rateLimiter = RateLimiter(rule.rateLimits, of: "\(service) \(rule.name)", worker.shared.buckets)
    globalLimiter = GlobalLimiter(rule.globalRateLimit, of: "\(service) \(rule.name)", worker: worker)
    requestBody = rule.requestBody
    overrides = rule.overrides?.kinds(for: worker.client) ?? []
    common = nil
    governsAttempts = rule.retry != nil || rule.hedging != nil || rule.timeouts != RouteTimeouts()
  }

  /// The rule for a request that asks for some things otherwise.
  init(_ rule: CompiledRule, with overrides: RequestOverrides) {
    name = rule.name
    nameLabel = rule.nameLabel
    matchesEverything = rule.matchesEverything
    failureStatus = rule.failureStatus
    pick = rule.pick
    draws = rule.draws
    backends = rule.backends
    filters = rule.filters
    faults = rule.faults
    timeouts = overrides.apply(to: rule.timeouts)
    retry = overrides.apply(to: rule.retry)
    hedging = rule.hedging
    sessions = rule.sessions
    rateLimiter = rule.rateLimiter
    globalLimiter = rule.globalLimiter
    requestBody = rule.requestBody
    self.overrides = rule.overrides
    common = rule
    governsAttempts = retry != nil || timeouts != RouteTimeouts()
  }

  /// The backend whose turn it is by weight.
  func pickBackend() -> Share? { common.map { $0.pickBackend() } ?? ownPick() }

  private func ownPick() -> Share? { pick.pick(draws.next()).map { backends[$0] } }
}
