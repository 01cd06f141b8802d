import MeshCore
import MeshHTTP
import MeshPolicy
import MeshRuntime
import MeshTelemetry

/// A place outside the mesh as one spelling names it, with what the policy says of it. Immutable.
final class OutsideHost {
  enum Place {
    case address(SocketAddress)
    /// A name that no ExternalService has: found by the DNS.
    case name(ServiceEntry)
    /// An ExternalService.
    case registered(ServiceEntry)
  }

  let place: Place
  /// With its port.
  let name: String
  let decision: EgressPolicy.Decision
  let isAllowed: Bool
  let series: EgressSeriesKey

  init(_ place: Place, _ name: String, _ decision: EgressPolicy.Decision, _ series: EgressSeriesKey) {
    self.place = place
    self.name = name
    self.decision = decision
    self.series = series
    isAllowed = decision.isAllowed
  }
}

/// What one worker knows of hosts outside the mesh: the policy, and for each port that requests have named the stand-in service whose
/// backend finds its hosts by the DNS, as that of an ExternalService with a wildcard does.
///
/// Confined to one worker loop. Limits: `ProxyLimits.maximumOutsidePorts`, of which the one used longest ago leaves, and
/// `maximumEgressLabels`.
final class EgressGate {
  unowned(unsafe) private let worker: ProxyWorker
  private(set) var policy = EgressPolicy()
  private var ports: [UInt16: ServiceEntry] = [:]
  private var labels: [String: Int32] = [:]
  private var nextLog = Instant(nanoseconds: 0)

  init(_ worker: ProxyWorker) { self.worker = worker }

  /// True when what was decided before no longer counts.
  func take(_ new: EgressPolicy) -> Bool {
    defer { policy = new }
    return policy != new
  }

  /// `host` in lower case.
  func outside(_ host: String, _ port: UInt16) -> OutsideHost {
    make(.name(service(port)), "\(host):\(port)", policy.decide(host: host, port: port))
  }

  func address(_ address: SocketAddress) -> OutsideHost {
    make(.address(address), address.description, policy.decide(address))
  }

  func registered(_ host: String, _ port: UInt16, _ service: ServiceEntry) -> OutsideHost {
    make(.registered(service), "\(host):\(port)", policy.decide(host: host, port: port, isRegistered: true))
  }

  private func make(_ place: OutsideHost.Place, _ name: String, _ decision: EgressPolicy.Decision) -> OutsideHost {
    OutsideHost(place, name, decision, series(name, decision))
  }

  /// Programs choose the names: past the limit they share one series, so that other metrics keep their labels.
  func series(_ name: String, _ decision: EgressPolicy.Decision) -> EgressSeriesKey {
    if labels[name] == nil {
      let isFull = labels.count >= worker.limits.maximumEgressLabels
      if isFull { worker.metrics.limitHit("egress_labels") }
      if !isFull { labels[name] = worker.metrics.labels.id(name) }
    }
    return EgressSeriesKey(
      host: labels[name] ?? LabelInterner.overflow, reason: worker.metrics.labels.id(decision.reason),
      isAllowed: decision.isAllowed)
  }

  private func service(_ port: UInt16) -> ServiceEntry {
    if let known = ports[port] { return known }
    if ports.count >= worker.limits.maximumOutsidePorts { evict() }
    let key = ServicePort.outside(port)
    let entry = ServiceEntry(key: key, labels: worker.metrics.labels)
    entry.lastUsed = worker.loop.now
    ports[port] = entry
    if let set = EndpointSet.outside(key) { worker.backend(key).update(set, worker: worker) }
    entry.update(
      ServiceConfig(
        key: key, appProtocol: .http,
        rules: [RouteRule(name: "egress", backends: [WeightedBackend(backend: key, weight: 1)])]),
      worker: worker)
    return entry
  }

  private func evict() {
    worker.metrics.limitHit("outside_ports")
    guard let oldest = ports.min(by: { $0.value.lastUsed < $1.value.lastUsed }) else { return }
    ports[oldest.key] = nil
    worker.forgetBackend(oldest.value.key)
  }

  /// Counted each time by `egress_requests_total`, and logged at most once a second.
  func refused(_ host: String, _ reason: String) {
    guard let log = worker.log, worker.loop.now >= nextLog else { return }
    nextLog = worker.loop.now + .seconds(1)
    log.warning("egress of \(worker.client?.description ?? "this workload") to \(host) refused by \(reason)")
  }
}

extension ServicePort {
  /// No service of the mesh can have this name: a namespace is a label.
  private static let outsideName = ServiceName(name: "outside", namespace: "*")

  static func outside(_ port: UInt16) -> ServicePort { ServicePort(service: outsideName, port: port) }
  var isOutside: Bool { service.namespace == "*" }
}

extension EndpointSet {
  /// Of every host with a port. Nil for a service of the mesh.
  static func outside(_ key: ServicePort) -> EndpointSet? {
    guard key.isOutside else { return nil }
    return EndpointSet(key: key, endpoints: [], names: NameResolution(hosts: ["*"], port: key.port))
  }
}

// MARK: - Names

extension ProxyWorker {
  /// What a spelling of an authority means.
  func resolve(_ text: String, defaultPort: UInt16) -> AuthorityTarget {
    if let address = SocketAddress(text, defaultPort: defaultPort) {
      return isListening(address) ? .itself : .address(egress.address(address))
    }
    if let key = externalHosts.service(ofAuthority: text, defaultPort: defaultPort) {
      guard egress.policy.isRestricting, let (host, port) = HostName.split(text, defaultPort: defaultPort) else {
        return .service(service(key))
      }
      return .outside(egress.registered(host, port, service(key)))
    }
    if let key = ServicePort(authority: text, namespace: namespace, defaultPort: defaultPort) {
      return .service(service(key))
    }
    guard let (host, port) = HostName.split(text, defaultPort: defaultPort) else { return .unknown }
    return .outside(egress.outside(host, port))
  }

  /// A request sent there would come back.
  func isListening(_ address: SocketAddress) -> Bool {
    listeners.contains {
      $0.address == address || $0.address.port == address.port && $0.address.isUnspecified && address.isLoopback
    }
  }
}
