import MeshCore
import MeshHTTP
import MeshRuntime

/// A downstream connection whose bytes are not looked at: a TCP service on a mapped listener.
///
/// To the rest of the proxy it is a CONNECT request of its own making. Confined to one worker loop.
final class RawServerConnection: ConnectionHandler {
  let connection: Connection
  unowned(unsafe) let worker: ProxyWorker
  let entry: EntryPoint
  private(set) lazy var caller = ConnectionCaller(connection)
  private var exchange: Exchange?

  init(_ connection: Connection, worker: ProxyWorker, entry: EntryPoint) {
    self.connection = connection
    self.worker = worker
    self.entry = entry
  }

  func start() {
    connection.handler = self
    // Bytes do not tell what they ask for.
    connection.standsBack = false
    let exchange = worker.takeExchange()
    self.exchange = exchange
    exchange.request.method = .connect
    exchange.downstream = .raw(self)
    entry.prepare(exchange)
    exchange.begin(direction: entry.direction, framing: .none, isUpgrade: false, ended: false)
    if !connection.input.isEmpty { connectionReceived(connection) }
  }

  func connectionOpened(_ connection: Connection) {}

  func connectionReceived(_ connection: Connection) {
    let bytes = connection.input.readable
    guard !bytes.isEmpty, let exchange else { return }
    exchange.requestBody(bytes, last: false)
    if connection.isOpen { connection.input.consume(bytes.count) }
  }

  func connectionReachedEnd(_ connection: Connection) { exchange?.requestFinished(trailers: nil) }
  func connectionDrained(_ connection: Connection) { exchange?.downstreamWritable() }

  func connectionClosed(_ connection: Connection, _ reason: CloseReason) {
    worker.downstreamClosed(connection, entry)
    let exchange = exchange
    self.exchange = nil
    exchange?.downstreamGone()
  }

  /// The upstream's answer to the tunnel: bytes flow, or the connection closes.
  func tunnelAnswered(_ head: MessageHead) {
    if head.status >= 300 { abort() }
  }

  func send(_ bytes: UnsafeRawBufferPointer, last: Bool) -> Int {
    connection.output.append(bytes)
    connection.flushSoon()
    if last { connection.shutdownWrite() }
    return bytes.count
  }

  func finish() { connection.shutdownWrite() }
  func abort() { connection.abort() }

  func exchangeFinished(_ exchange: Exchange) {
    self.exchange = nil
    worker.recycle(exchange)
    if connection.isOpen { connection.closeAfterFlush() }
  }
}
