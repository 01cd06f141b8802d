import MeshCore
import MeshPolicy
import MeshRuntime
import MeshTelemetry

/// Where the requests of one worker go: endpoints and their connection pools.
///
/// Pools are shared by address, kept across configuration updates, and owned by the endpoints and connections that use them: the table
/// only finds them. Confined to one worker loop.
final class UpstreamTable {
  unowned(unsafe) private let worker: ProxyWorker
  private var peerPools: [PeerKey: WeakReference<PeerPool>] = [:]
  private var applicationPools: [PeerKey: WeakReference<HTTP1Pool>] = [:]
  private let security: UpstreamTLSTable
  private var passThroughEndpoints: [SocketAddress: EndpointEntry] = [:]

  init(_ worker: ProxyWorker) {
    self.worker = worker
    security = UpstreamTLSTable(worker)
  }

  // MARK: - Endpoints

  /// `set` says what an endpoint outside the mesh speaks; a proxy of the mesh knows it of its own application.
  func endpoint(_ endpoint: Endpoint, of set: EndpointSet) -> EndpointEntry {
    let transport: EndpointEntry.Transport
    let appProtocol = set.appProtocol
    let tls = endpoint.identity == nil ? set.tls.map { security.find($0, appProtocol) } : nil
    if let identity = endpoint.identity {
      var address = endpoint.address
      address.port = endpoint.meshPort
      transport = .mesh(peerPool(address, identity, isLocalApplication: false))
    } else if appProtocol.isHTTP2 {
      transport = .http2(peerPool(endpoint.address, nil, tls: tls, isLocalApplication: false))
    } else {
      transport = .http1(applicationPool(endpoint.address, tls: tls, isLocalApplication: false))
    }
    return EndpointEntry(
      address: endpoint.address, workload: endpoint.workload, identity: endpoint.identity, transport: transport,
      labels: worker.metrics.labels)
  }

  /// An address the client named itself. A meshed endpoint known by that address is called as one.
  func passThroughEndpoint(_ address: SocketAddress) -> EndpointEntry {
    if let known = passThroughEndpoints[address] { return known }
    if passThroughEndpoints.count >= worker.limits.maximumAuthorities { passThroughEndpoints.removeAll() }
    let entry = EndpointEntry(
      address: address, workload: "", identity: nil,
      transport: .http1(applicationPool(address, isLocalApplication: false)), labels: worker.metrics.labels)
    passThroughEndpoints[address] = entry
    return entry
  }

  /// The one endpoint of a forward listener.
  func forwardEndpoint(_ address: SocketAddress, _ name: ForwardProtocol) -> EndpointEntry {
    guard name == .http2 else { return passThroughEndpoint(address) }
    let pool = peerPool(address, nil, isLocalApplication: false)
    return EndpointEntry(
      address: address, workload: "", identity: nil, transport: .http2(pool), labels: worker.metrics.labels)
  }

  // MARK: - Pools

  func peerPool(
    _ address: SocketAddress, _ identity: SPIFFEID?, tls: UpstreamTLS? = nil, isLocalApplication: Bool
  ) -> PeerPool {
    let key = PeerKey(address: address, identity: identity, tls: tls.map(ObjectIdentifier.init))
    if let known = peerPools[key]?.object { return known }
    let pool = PeerPool(
      worker: worker, address: address, identity: identity, tls: tls, isLocalApplication: isLocalApplication)
    peerPools[key] = WeakReference(pool)
    return pool
  }

  func applicationPool(_ address: SocketAddress, tls: UpstreamTLS? = nil, isLocalApplication: Bool) -> HTTP1Pool {
    let key = PeerKey(address: address, identity: nil, tls: tls.map(ObjectIdentifier.init))
    if let known = applicationPools[key]?.object { return known }
    let pool = HTTP1Pool(worker: worker, address: address, tls: tls, isLocalApplication: isLocalApplication)
    applicationPools[key] = WeakReference(pool)
    return pool
  }

  // MARK: - Time and end

  /// Closes what has been idle too long, and forgets pools that nobody uses any more.
  func sweep(_ now: Instant) {
    var hasDead = false
    for pool in applicationPools.values {
      if let pool = pool.object { pool.sweep(now: now) } else { hasDead = true }
    }
    if hasDead { applicationPools = applicationPools.filter { $0.value.object != nil } }
    if peerPools.values.contains(where: { $0.object == nil }) {
      peerPools = peerPools.filter { $0.value.object != nil }
    }
    security.sweep()
    for tls in security.renewed() { retire(tls) }
  }

  /// Requests to come use new connections.
  private func retire(_ tls: UpstreamTLS) {
    let id = ObjectIdentifier(tls)
    for (key, pool) in peerPools where key.tls == id { pool.object?.retireAll() }
    for (key, pool) in applicationPools where key.tls == id { pool.object?.closeIdle() }
  }

  func closeIdle() {
    for pool in applicationPools.values { pool.object?.closeIdle() }
  }

  func retirePeers() {
    for pool in peerPools.values { pool.object?.retireAll() }
  }
}

/// A reference that does not keep its object.
struct WeakReference<Object: AnyObject> {
  weak var object: Object?

  init(_ object: Object) { self.object = object }
}

struct PeerKey: Hashable {
  var address: SocketAddress
  var identity: SPIFFEID?
  /// Its pool keeps the object, so that no other has its place while the pool lives.
  var tls: ObjectIdentifier?
}
