import MeshCore
import MeshHTTP
import MeshRuntime

/// A connection to an application or an address outside the mesh, the far end of a tunnel: TCP, or TLS where the endpoint asks
/// for it.
///
/// One exchange, one connection. Confined to one worker loop.
final class RawClientConnection: ConnectionHandler {
  private(set) var connection: Connection!
  unowned(unsafe) let worker: ProxyWorker
  private var exchange: Exchange?
  private var isOpen = false
  private let isLocalApplication: Bool
  private var place: ConnectionPlace?

  init(worker: ProxyWorker, isLocalApplication: Bool) {
    self.worker = worker
    self.isLocalApplication = isLocalApplication
  }

  func connect(to address: SocketAddress, tls: UpstreamTLS?, for exchange: Exchange) {
    if let tls, !tls.isUsable { return exchange.upstreamFailed(tls.obstacle) }
    guard exchange.startWaiting(), exchange.mayConnect() else {
      return exchange.upstreamFailed(.backendOverflow)
    }
    place = ConnectionPlace(of: exchange.backend)
    self.exchange = exchange
    exchange.upstream = .raw(self)
    connection = worker.loop.connect(
      to: address, timeout: exchange.backend?.connectTimeout ?? worker.limits.connectTimeout, tls: tls?.client,
      handler: self)
    connection.countsWaitingOutput = true
  }

  func connectionOpened(_ connection: Connection) {
    isOpen = true
    worker.upstreamOpened(tls: false, toApplication: isLocalApplication)
    guard let exchange else { return connection.close() }
    exchange.upstreamReady(.raw(self))
  }

  func connectionReceived(_ connection: Connection) {
    guard let exchange else { return connection.abort() }
    let bytes = connection.input.readable
    guard !bytes.isEmpty else { return }
    exchange.responseBody(bytes, last: false)
    if connection.isOpen { connection.input.consume(bytes.count) }
  }

  func connectionReachedEnd(_ connection: Connection) { exchange?.responseFinished(trailers: nil) }
  func connectionDrained(_ connection: Connection) { exchange?.upstreamWritable() }

  func connectionClosed(_ connection: Connection, _ reason: CloseReason) {
    place?.giveBack()
    if isOpen { worker.upstreamClosed(connection, tls: false, toApplication: isLocalApplication) }
    guard let exchange else { return }
    self.exchange = nil
    if isOpen {
      exchange.upstreamFailed(.upstreamClosed)
    } else if case .connectTimeout = reason {
      exchange.upstreamFailed(.connectTimeout)
    } else if case .tls(let failure, let detail) = reason {
      exchange.upstreamFailed(worker.tlsRefused(connection.peerAddress, failure, detail))
    } else {
      exchange.upstreamFailed(isLocalApplication ? .applicationRefused : .connectRefused)
    }
  }

  /// There is no head to send: the open connection is the answer.
  func answerTunnel(_ exchange: Exchange) {
    let head = worker.responseHead
    head.reset()
    head.status = 200
    exchange.responseHead(head, framing: .tunnel, ended: false)
  }

  func send(_ bytes: UnsafeRawBufferPointer, last: Bool) -> Int {
    connection.output.append(bytes)
    if last { connection.shutdownWrite() }
    connection.flushSoon()
    worker.bufferBudget.outputGrew()
    return bytes.count
  }

  func finish() { connection.shutdownWrite() }

  func release(complete: Bool) {
    exchange = nil
    guard connection.isOpen else { return }
    if complete { connection.closeAfterFlush() } else { connection.abort() }
  }
}
