import MeshCore
import MeshPolicy
import MeshRuntime

/// Finds the addresses of endpoint sets that name hosts, and keeps them fresh. Workers get sets with addresses, and know nothing of
/// the DNS. Confined to the control loop.
final class NameKeeper {
  let loop: Worker
  private let log: ProxyLog
  private let servers: [SocketAddress]
  private var resolver: DNSResolver?
  /// To every worker.
  private let publish: (EndpointSet) -> Void
  /// To some of them.
  private let tell: (NamedSet, Set<Int>) -> Void
  private var sets: [ServicePort: EndpointSet] = [:]
  private var names: [ServicePort: [String: KeptName]] = [:]
  /// Questions that were answered, and that were not.
  private(set) var answered: UInt64 = 0
  private(set) var failed: UInt64 = 0

  init(
    loop: Worker, servers: [SocketAddress], log: ProxyLog, publish: @escaping (EndpointSet) -> Void,
    tell: @escaping (NamedSet, Set<Int>) -> Void
  ) {
    self.loop = loop
    self.servers = servers
    self.log = log
    self.publish = publish
    self.tell = tell
  }

  /// The set as workers need it; nil while the first question for its only host is out, after whose end it is published.
  func take(_ set: EndpointSet) -> EndpointSet? {
    guard let resolution = set.names else {
      remove(set.key)
      return set
    }
    if sets[set.key]?.names != resolution { remove(set.key) }
    sets[set.key] = set
    guard let host = resolution.onlyHost else {
      for name in names[set.key, default: [:]].values where name.record.isSettled { spread(name) }
      return set
    }
    let name = keep(host, resolution, of: set.key)
    return name.record.isSettled ? set.resolved(host, name.record.addresses) : nil
  }

  func remove(_ key: ServicePort) {
    sets[key] = nil
    for name in names.removeValue(forKey: key)?.values.map({ $0 }) ?? [] { name.end() }
  }

  /// A worker meets a host of a service with several, or has no use for it any more.
  func take(_ notice: HostNotice, from worker: Int) {
    switch notice {
    case .wanted(let key, let host):
      if sets[key] == nil { sets[key] = EndpointSet.outside(key) }
      // Gone meanwhile: the worker hears of that, too.
      guard let resolution = sets[key]?.names, resolution.covers(host) else { return }
      let name = keep(host, resolution, of: key)
      name.users.insert(worker)
      if name.record.isSettled { spread(name) }
    case .unwanted(let key, let host):
      guard let name = names[key]?[host] else { return }
      name.users.remove(worker)
      guard name.users.isEmpty else { return }
      names[key]?[host] = nil
      name.end()
    }
  }

  private func keep(_ host: String, _ resolution: NameResolution, of key: ServicePort) -> KeptName {
    if let known = names[key]?[host] { return known }
    let name = KeptName(host, resolution, key: key, keeper: self)
    names[key, default: [:]][host] = name
    name.ask()
    return name
  }

  /// Ordered by service and host.
  var all: [KeptName] { names.values.flatMap(\.values).sorted { ($0.key, $0.host) < ($1.key, $1.host) } }

  // MARK: - Of names

  fileprivate func resolve(_ host: String, _ done: @escaping (Result<DNSAnswer, DNSFailure>) -> Void) {
    do throws(DNSFailure) {
      if resolver == nil { resolver = try DNSResolver(loop: loop, servers: servers) }
      resolver?.resolve(host, done)
    } catch {
      done(.failure(error))
    }
  }

  fileprivate func note(_ name: KeptName, _ failure: DNSFailure?) {
    guard let failure else {
      answered &+= 1
      return
    }
    failed &+= 1
    // Said when it begins, not each time.
    guard name.record.failure == nil else { return }
    let rest = name.record.addresses.isEmpty ? "requests for it are answered 503" : "its last addresses stay in use"
    log.warning("the DNS has no answer for \(name.host): \(failure); \(rest)")
  }

  fileprivate func spread(_ name: KeptName) {
    guard let set = sets[name.key], names[name.key]?[name.host] === name else { return }
    let resolved = set.resolved(name.host, name.record.addresses)
    if set.names?.onlyHost != nil {
      publish(resolved)
    } else {
      tell(NamedSet(host: name.host, set: resolved), name.users)
    }
  }
}

/// One host of one endpoint set.
final class KeptName: TimerHandler {
  let host: String
  let resolution: NameResolution
  let key: ServicePort
  private(set) var record: ResolvedName
  /// Workers with requests for it, where requests say which host they are for.
  var users: Set<Int> = []
  private weak let keeper: NameKeeper?
  private lazy var timer = LoopTimer(owner: self)
  private var hasEnded = false

  init(_ host: String, _ resolution: NameResolution, key: ServicePort, keeper: NameKeeper) {
    self.host = host
    self.resolution = resolution
    self.key = key
    self.keeper = keeper
    record = ResolvedName(minimumTTL: resolution.minimumTTL, maximumTTL: resolution.maximumTTL)
  }

  func ask() {
    keeper?.resolve(host) { [weak self] in self?.take($0) }
  }

  private func take(_ result: Result<DNSAnswer, DNSFailure>) {
    guard let keeper, !hasEnded else { return }
    let next: ResolvedName.Next
    switch result {
    case .success(let answer):
      keeper.note(self, nil)
      next = record.answered(answer.addresses, ttl: answer.ttl, &keeper.loop.random)
    case .failure(let failure):
      keeper.note(self, failure)
      next = record.failed(failure.description, &keeper.loop.random)
    }
    keeper.loop.schedule(timer, after: next.wait)
    if next.isNews { keeper.spread(self) }
  }

  func timerFired(_ timer: LoopTimer) { ask() }

  func end() {
    hasEnded = true
    keeper?.loop.cancel(timer)
  }
}
