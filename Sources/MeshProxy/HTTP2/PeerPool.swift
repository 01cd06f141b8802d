import MeshCore
import MeshRuntime
import MeshTelemetry

/// The connections of one worker to one peer workload: one multiplexed HTTP/2 connection, more only when streams run out.
///
/// Confined to one worker loop. Limit: `ProxyLimits.maximumPeerConnections`.
final class PeerPool {
  /// Outlives everything on its loop. Counted, the reference would cost two atomic operations at each use.
  unowned(unsafe) let worker: ProxyWorker
  let address: SocketAddress
  /// The identity the peer must prove; nil for an application or a server outside the mesh.
  let identity: SPIFFEID?
  /// Of a server outside the mesh; nil for one that speaks HTTP/2 in cleartext.
  let tls: UpstreamTLS?
  /// Why the server's last handshake failed; nil after a good one.
  private(set) var tlsFailure: String?
  let isLocalApplication: Bool
  /// There is an identity to prove. Kept, because a look at `identity` copies its strings.
  let isMesh: Bool
  private var connections: [HTTP2ClientConnection] = []
  /// The TLS context in force when the newest connection was opened: a new one drains the old connections.
  private var contextGeneration = 0

  init(worker: ProxyWorker, address: SocketAddress, identity: SPIFFEID?, tls: UpstreamTLS?, isLocalApplication: Bool) {
    self.worker = worker
    self.address = address
    self.identity = identity
    self.tls = tls
    isMesh = identity != nil
    self.isLocalApplication = isLocalApplication
  }

  func serve(_ exchange: Exchange) {
    if isMesh, !worker.hasIdentity { return exchange.upstreamFailed(.noIdentity) }
    if let tls, !tls.isUsable { return exchange.upstreamFailed(tls.obstacle) }
    if contextGeneration != worker.identityGeneration { renew() }
    // Nearly always the only one.
    if let first = connections.first, first.hasRoom { return serve(exchange, by: first) }
    for connection in connections where connection.hasRoom { return serve(exchange, by: connection) }
    if connections.count >= worker.limits.maximumPeerConnections {
      worker.metrics.limitHit("peer_connections")
      return serveByShortest(exchange)
    }
    guard exchange.startWaiting() else { return exchange.upstreamFailed(.backendOverflow) }
    guard exchange.mayConnect() else { return serveByShortest(exchange) }
    let connection = HTTP2ClientConnection(pool: self, for: exchange.backend)
    connections.append(connection)
    connection.serve(exchange)
  }

  /// No connection may be opened: the exchange waits for a stream of one that is there.
  private func serveByShortest(_ exchange: Exchange) {
    guard let shortest = connections.min(by: { $0.waitingCount < $1.waitingCount }) else {
      return exchange.upstreamFailed(.backendOverflow)
    }
    serve(exchange, by: shortest)
  }

  private func serve(_ exchange: Exchange, by connection: HTTP2ClientConnection) {
    guard connection.waitingCount < worker.limits.maximumPendingPerPeer else {
      worker.metrics.limitHit("pending_per_peer")
      return exchange.upstreamFailed(.upstreamOverflow)
    }
    connection.serve(exchange)
  }

  /// After a certificate renewal new requests use new connections; old ones end with their last stream.
  private func renew() {
    contextGeneration = worker.identityGeneration
    retireAll()
  }

  func tlsClient() -> TLSClient? {
    if let tls { return tls.client }
    guard let identity, let own = worker.identity else { return nil }
    return TLSClient(context: own.clientContext, expectedIdentity: identity)
  }

  /// A connection has opened.
  func opened() { if tls != nil { tlsFailure = nil } }

  /// It takes no more requests.
  func remove(_ connection: HTTP2ClientConnection) {
    connections.removeAll { $0 === connection }
    connection.place.giveBack()
  }

  func closeIdle(of backend: BackendEntry) -> Bool {
    guard let idle = connections.first(where: { $0.place.isOf(backend) && $0.isIdle }) else { return false }
    idle.retire()
    return true
  }

  /// Ends every connection with its last stream.
  func retireAll() {
    for connection in connections { connection.retire() }
  }

  func connectError(_ reason: CloseReason) -> ProxyError {
    switch reason {
    case .connectTimeout:
      return .connectTimeout
    case .tls(let failure, let detail) where tls != nil:
      tlsFailure = "\(failure): \(detail)"
      return worker.tlsRefused(address, failure, detail)
    case .tls(let failure, let detail):
      worker.refusedTLS(.outbound, byClient: false, address, failure, detail)
      return .tlsFailure
    default:
      return isLocalApplication ? .applicationRefused : .connectRefused
    }
  }
}
