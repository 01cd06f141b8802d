import MeshCore
import MeshHTTP
import MeshPolicy
import MeshRuntime
import MeshTelemetry

/// The hosts of an external service whose requests say which they are for: one backend for each, made when it is first asked for.
///
/// A steady request finds its host by the bytes of its authority. Confined to one worker loop. Limits:
/// `ProxyLimits.maximumHostsPerService` hosts, of which the one idle longest gives way; one without requests is forgotten after
/// `hostIdleTimeout`.
final class HostBackends {
  /// One host, or the wait for its addresses.
  final class Host {
    let name: String
    let entry: BackendEntry
    fileprivate(set) var isSettled = false
    fileprivate var waiting: [(exchange: Exchange, generation: UInt32)] = []
    fileprivate var lastUsed: Instant

    fileprivate init(_ name: String, _ entry: BackendEntry, now: Instant) {
      self.name = name
      self.entry = entry
      lastUsed = now
    }

    fileprivate var isIdle: Bool { entry.use.active == 0 && waiting.isEmpty }
  }

  unowned(unsafe) private let worker: ProxyWorker
  private let key: ServicePort
  private var resolution: NameResolution
  private var hosts: [String: Host] = [:]
  private var spellings: SpellingTable<Host>

  init(_ key: ServicePort, _ resolution: NameResolution, worker: ProxyWorker) {
    self.worker = worker
    self.key = key
    self.resolution = resolution
    spellings = SpellingTable(maximumCount: worker.limits.maximumHostsPerService * 4)
  }

  /// Ordered by name.
  var all: [Host] { hosts.values.sorted { $0.name < $1.name } }

  // MARK: - Requests

  /// Sends the exchange to the host that it names, at once or when its addresses are known.
  func serve(_ exchange: Exchange) {
    let authority = exchange.request.bytes(exchange.request.authority)
    if let known = spellings.find(authority, variant: 0) { return serve(exchange, by: known) }
    guard let (name, _) = HostName.split(authority.string, defaultPort: 1), resolution.covers(name) else {
      return exchange.fail(.uncoveredHost)
    }
    guard let host = hosts[name] ?? make(name) else { return exchange.fail(.upstreamOverflow) }
    spellings.insert(authority, variant: 0, host)
    serve(exchange, by: host)
  }

  private func serve(_ exchange: Exchange, by host: Host) {
    host.lastUsed = worker.loop.now
    exchange.backend = host.entry
    if host.isSettled { return worker.router.enter(host.entry, exchange) }
    guard host.waiting.count < worker.limits.maximumWaitingForService else {
      worker.metrics.limitHit("waiting_for_host")
      return exchange.fail(.upstreamOverflow)
    }
    host.waiting.append((exchange, exchange.generation))
  }

  private func make(_ name: String) -> Host? {
    if hosts.count >= worker.limits.maximumHostsPerService {
      worker.metrics.limitHit("hosts_per_service")
      let idle = hosts.values.filter(\.isIdle).min { $0.lastUsed < $1.lastUsed }
      guard let idle else { return nil }
      forget([idle])
    }
    let host = Host(name, worker.makeBackend(key, isRoot: false), now: worker.loop.now)
    hosts[name] = host
    worker.names(.wanted(key, name))
    return host
  }

  // MARK: - Configuration

  /// False: these are hosts of another kind, and whoever waits is told so.
  func keeps(_ resolution: NameResolution?) -> Bool {
    if resolution == self.resolution { return true }
    for host in all { release(host, .unresolved) }
    return false
  }

  /// The control thread has learnt the addresses of a host, or that it has none.
  func take(_ set: EndpointSet, of name: String) {
    guard let host = hosts[name] else { return }
    host.entry.update(set, worker: worker)
    host.isSettled = true
    let ready = host.waiting
    host.waiting = []
    for (exchange, generation) in ready where exchange.generation == generation && exchange.phase == .resolving {
      worker.router.enter(host.entry, exchange)
    }
  }

  private func release(_ host: Host, _ error: ProxyError) {
    let waiting = host.waiting
    host.waiting = []
    for (exchange, generation) in waiting where exchange.generation == generation { exchange.fail(error) }
  }

  // MARK: - Time

  func sweep(_ now: Instant) {
    forget(hosts.values.filter { $0.isIdle && now - $0.lastUsed >= worker.limits.hostIdleTimeout })
  }

  private func forget(_ gone: [Host]) {
    if gone.isEmpty { return }
    for host in gone {
      hosts[host.name] = nil
      worker.names(.unwanted(key, host.name))
    }
    spellings.removeAll()
  }
}

/// What a worker tells the control thread of hosts that requests name.
enum HostNotice: Sendable {
  case wanted(ServicePort, String)
  case unwanted(ServicePort, String)
}
