import MeshCore
import MeshPolicy
import MeshRuntime
import MeshTelemetry

// The worker's listeners, and what it counts of the connections on both sides.
extension ProxyWorker {
  /// With `tls`, the listener speaks TLS to clients outside the mesh.
  func listen(_ kind: EntryPoint.Kind, on address: SocketAddress, tls: TLSContext? = nil) throws(RuntimeError) {
    let acceptor = Acceptor(entry: EntryPoint(kind, worker: self, tls: tls), worker: self)
    listeners.append(try loop.listen(address, handler: acceptor))
    if let tls, !clientFacing.contains(where: { $0 === tls }) { clientFacing.append(tls) }
    if case .mapped(let key) = kind { _ = service(key) }
  }

  func admitDownstream() -> Bool {
    guard downstreams.admit(most: limits.maximumDownstreamConnections) else {
      metrics.limitHit("downstream_connections")
      return false
    }
    return true
  }

  /// A peer went past a named limit: counted each time, and logged at most once a second.
  func limitReached(_ limit: StaticString, by connection: Connection) {
    metrics.limitHit(limit)
    guard let log, loop.now >= nextLimitLog else { return }
    nextLimitLog = loop.now + .seconds(1)
    log.warning("limit \(limit) reached by \(connection.peerAddress)")
  }

  func reportTLS(_ error: TLSContextError) { log?.error("TLS to servers outside the mesh: \(error)") }

  /// A connection that was admitted did not become one, such as a failed handshake.
  func downstreamRefused() {
    downstreams.refused()
    if isDraining { checkDrained() }
  }

  func downstreamOpened(_ entry: EntryPoint) {
    metrics.connectionOpened(ConnectionSeries(entry.direction, .source, entry.security))
  }

  func downstreamClosed(_ connection: Connection, _ entry: EntryPoint) {
    downstreams.closed(connection)
    let series = ConnectionSeries(entry.direction, .source, entry.security)
    metrics.connectionClosed(series)
    metrics.connectionMoved(series, read: connection.bytesRead, written: connection.bytesWritten)
    if isDraining { checkDrained() }
  }

  /// `toApplication`: the workload's own application, so the traffic is inbound.
  func upstreamOpened(tls: Bool, toApplication: Bool) {
    metrics.connectionOpened(
      ConnectionSeries(toApplication ? .inbound : .outbound, .destination, tls ? .mutual : .none))
  }

  func upstreamClosed(_ connection: Connection, tls: Bool, toApplication: Bool) {
    let series = ConnectionSeries(toApplication ? .inbound : .outbound, .destination, tls ? .mutual : .none)
    metrics.connectionClosed(series)
    metrics.connectionMoved(series, read: connection.bytesRead, written: connection.bytesWritten)
  }

  /// Remembers a connection to be told when the proxy drains.
  func registerForDrain(_ connection: Connection, _ drainable: any Drainable) {
    downstreams.register(drainable, of: connection)
  }

  var downstreamConnectionCount: Int { downstreams.count }
}
