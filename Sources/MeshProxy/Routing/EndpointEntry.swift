import MeshCore
import MeshPolicy
import MeshRuntime
import MeshTelemetry

/// One endpoint as a worker uses it: where it is and by which pool it is reached.
///
/// Outlives updates of the endpoint set it came with, so that connections survive. Confined to one worker loop.
final class EndpointEntry {
  let address: SocketAddress
  /// `ip:port`, the authority of a tunnel to it.
  let addressText: String
  let workload: String
  let identity: SPIFFEID?
  let transport: Transport
  /// Ids of the metric labels.
  let workloadLabel: Int32
  let identityLabel: Int32
  /// The metric series used last here; most endpoints serve one rule of one service.
  var seriesCache = SeriesCache()

  /// How requests travel to it.
  enum Transport {
    /// mTLS HTTP/2 to the proxy beside it.
    case mesh(PeerPool)
    case http1(HTTP1Pool)
    /// HTTP/2: over TLS, or in cleartext with prior knowledge.
    case http2(PeerPool)
  }

  init(address: SocketAddress, workload: String, identity: SPIFFEID?, transport: Transport, labels: LabelInterner) {
    workloadLabel = labels.id(workload)
    identityLabel = identity.map { labels.id($0.description) } ?? LabelInterner.empty
    self.address = address
    addressText = address.description
    self.workload = workload
    self.identity = identity
    self.transport = transport
  }

  var isMeshed: Bool { if case .mesh = transport { true } else { false } }
  /// An application spoken to with HTTP/2.
  var isHTTP2: Bool { if case .http2 = transport { true } else { false } }

  /// TLS to an endpoint outside the mesh; nil for plaintext.
  var tls: UpstreamTLS? {
    switch transport {
    case .mesh: nil
    case .http1(let pool): pool.tls
    case .http2(let pool): pool.tls
    }
  }

  /// Why its last handshake failed, of a server outside the mesh.
  var tlsFailure: String? {
    switch transport {
    case .mesh: nil
    case .http1(let pool): pool.tlsFailure
    case .http2(let pool): pool.tlsFailure
    }
  }

  /// Closes a connection without a request that was opened for `backend`. False: there is none.
  func closeIdleConnection(of backend: BackendEntry) -> Bool {
    switch transport {
    case .http1(let pool): pool.closeIdle(of: backend)
    case .mesh(let pool), .http2(let pool): pool.closeIdle(of: backend)
    }
  }

  /// Sends the exchange there. Tunnels to an endpoint outside the mesh are TCP, or TLS where requests would be.
  func serve(_ exchange: Exchange) {
    switch transport {
    case .mesh(let pool): pool.serve(exchange)
    case .http1(let pool) where exchange.isTunnel:
      RawClientConnection(worker: pool.worker, isLocalApplication: pool.isLocalApplication)
        .connect(to: address, tls: pool.tls, for: exchange)
    case .http2(let pool) where exchange.isTunnel:
      RawClientConnection(worker: pool.worker, isLocalApplication: pool.isLocalApplication)
        .connect(to: address, tls: pool.tls, for: exchange)
    case .http1(let pool): pool.serve(exchange)
    case .http2(let pool): pool.serve(exchange)
    }
  }
}
