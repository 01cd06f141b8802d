import MeshCore
import MeshHTTP
import MeshPolicy
import MeshRuntime
import MeshTelemetry

/// Takes new downstream connections of one entry point and gives each its handler.
///
/// Confined to one worker loop. Limit: `ProxyLimits.maximumDownstreamConnections`.
final class Acceptor: ListenerHandler {
  let entry: EntryPoint
  unowned let worker: ProxyWorker

  init(entry: EntryPoint, worker: ProxyWorker) {
    self.entry = entry
    self.worker = worker
  }

  func accepted(_ connection: Connection, on listener: Listener) {
    guard worker.admitDownstream() else {
      connection.abort()
      return
    }
    connection.standsBack = true
    switch entry.kind {
    case .mesh:
      guard let identity = worker.identity else {
        worker.downstreamRefused()
        connection.abort()
        return
      }
      connection.handler = ServerHandshake(worker: worker, entry: entry)
      connection.startTLS(server: identity.serverContext, handshakeTimeout: worker.limits.handshakeTimeout)
    case .mapped(let key) where worker.service(key).appProtocol == .tcp:
      worker.downstreamOpened(entry)
      RawServerConnection(connection, worker: worker, entry: entry).start()
    case .outboundProxy, .mapped, .inboundPlaintext, .forward:
      if let tls = entry.tls {
        connection.handler = ServerHandshake(worker: worker, entry: entry)
        return connection.startTLS(server: tls)
      }
      worker.downstreamOpened(entry)
      PlaintextStart(worker: worker, entry: entry).start(connection)
    }
  }
}

/// An accepted connection until its TLS handshake is done.
final class ServerHandshake: ConnectionHandler {
  unowned let worker: ProxyWorker
  let entry: EntryPoint

  init(worker: ProxyWorker, entry: EntryPoint) {
    self.worker = worker
    self.entry = entry
  }

  func connectionOpened(_ connection: Connection) {
    let isMesh = entry.security == .mutual
    if isMesh, !isOfOurDomain(connection) { return connection.abort() }
    worker.metrics.tlsHandshake(entry.direction, resumed: connection.tls?.resumed == true)
    worker.downstreamOpened(entry)
    if isMesh || connection.tls?.alpn == "h2" {
      HTTP2ServerConnection(connection, worker: worker, entry: entry).start()
    } else {
      // HTTP/2 over TLS is always negotiated (RFC 9113, section 3.2): who says nothing speaks HTTP/1.1.
      HTTP1ServerConnection(connection, worker: worker, entry: entry).start()
    }
  }

  /// The handshake proves that an anchor of ours signed the certificate; the trust domain must be ours, too.
  private func isOfOurDomain(_ connection: Connection) -> Bool {
    let peer = connection.tls?.peerIdentity
    if let peer, peer.trustDomain == worker.identity?.identity.trustDomain { return true }
    let shown = peer?.description ?? "no identity"
    worker.refusedTLS(.inbound, byClient: true, connection.peerAddress, .wrongTrustDomain, shown)
    return false
  }

  func connectionReceived(_ connection: Connection) {}
  func connectionReachedEnd(_ connection: Connection) { connection.close() }
  func connectionDrained(_ connection: Connection) {}

  func connectionClosed(_ connection: Connection, _ reason: CloseReason) {
    worker.downstreamRefused()
    if case .tls(let failure, let detail) = reason {
      worker.refusedTLS(entry.direction, byClient: true, connection.peerAddress, failure, detail)
    }
  }
}

/// A plaintext connection until its first bytes tell HTTP/1 from HTTP/2 with prior knowledge (RFC 9113, section 3.3).
final class PlaintextStart: ConnectionHandler, TimerHandler, Drainable {
  unowned let worker: ProxyWorker
  let entry: EntryPoint
  /// What a connection is that does not begin as HTTP/2 does.
  enum Otherwise { case http1, bytes }
  private let otherwise: Otherwise
  private static let preface: StaticString = "PRI * HTTP/2.0\r\n"
  private lazy var timer = LoopTimer(owner: self, tag: 0)
  private var connection: Connection?
  private let since: Instant

  init(worker: ProxyWorker, entry: EntryPoint, otherwise: Otherwise = .http1) {
    self.worker = worker
    self.entry = entry
    self.otherwise = otherwise
    since = worker.loop.now
  }

  func start(_ connection: Connection) {
    self.connection = connection
    connection.handler = self
    worker.registerForDrain(connection, self)
    worker.loop.schedule(timer, after: worker.isDraining ? worker.limits.drainGrace : worker.limits.headerTimeout)
    if !connection.input.isEmpty { connectionReceived(connection) }
  }

  func connectionOpened(_ connection: Connection) {}

  func connectionReceived(_ connection: Connection) {
    let bytes = connection.input.readable
    guard !bytes.isEmpty else { return }
    let preface = UnsafeRawBufferPointer(start: Self.preface.utf8Start, count: Self.preface.utf8CodeUnitCount)
    let common = min(bytes.count, preface.count)
    let isPrefix = bytes.slice(0, common).equals(preface.slice(0, common))
    if isPrefix, common < preface.count { return }
    worker.loop.cancel(timer)
    self.connection = nil
    if isPrefix {
      HTTP2ServerConnection(connection, worker: worker, entry: entry, since: since).start()
    } else if otherwise == .http1 {
      HTTP1ServerConnection(connection, worker: worker, entry: entry).start()
    } else {
      RawServerConnection(connection, worker: worker, entry: entry).start()
    }
  }

  func connectionReachedEnd(_ connection: Connection) { connection.close() }
  func connectionDrained(_ connection: Connection) {}

  func connectionClosed(_ connection: Connection, _ reason: CloseReason) {
    self.connection = nil
    worker.loop.cancel(timer)
    worker.downstreamClosed(connection, entry)
  }

  func drain() { worker.loop.schedule(timer, after: worker.limits.drainGrace) }

  func timerFired(_ timer: LoopTimer) {
    if !worker.isDraining { worker.metrics.limitHit("first_request_timeout") }
    connection?.close(.idle)
  }
}

extension MetricsShard {
  /// `tls_handshake_failures_total`, with the runtime's reason as the label.
  func tlsFailure(_ direction: TrafficDirection, _ failure: TLSFailure) {
    tlsFailure(direction, failure.label)
    if failure == .handshakeTimeout { limitHit("handshake_timeout") }
    if failure == .tooManyHandshakes { limitHit("waiting_handshakes") }
  }
}
