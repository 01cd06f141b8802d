import MeshCore
import MeshHTTP
import MeshRuntime
import MeshTelemetry

/// A pooled HTTP/1 connection to an application.
///
/// Serves one exchange at a time; idle connections wait in their `HTTP1Pool`. Confined to one worker loop.
final class HTTP1ClientConnection: ConnectionHandler {
  let connection: Connection
  let pool: HTTP1Pool
  var exchange: Exchange?
  /// When the connection became idle.
  private(set) var idleSince = Instant(nanoseconds: 0)
  /// Of the backend it was opened for.
  var place: ConnectionPlace

  private var decoder = HTTP1Decoder(role: .response)
  private var isOpen = false
  /// It has served a request before: its server may be closing it right now.
  private var isReused = false
  private var keepAlive = true
  private var requestIsChunked = false
  private var requestComplete = false
  private var responseRemaining: UInt64 = 0
  private var hasResponseBytes = false
  private var isPaused = false
  private var isProcessing = false
  private var isTunnel = false
  /// The end of a close-delimited response or tunnel has been reported.
  private var hasEnded = false
  /// Bytes that the kernel must have taken before an answer can be one to this request.
  private var writtenBeforeRequest: UInt64 = 0

  /// Connects, and serves `exchange` when it has.
  init(pool: HTTP1Pool, for exchange: Exchange) {
    self.pool = pool
    self.exchange = exchange
    place = ConnectionPlace(of: exchange.backend)
    connection = pool.worker.loop.connect(
      to: pool.address, timeout: exchange.backend?.connectTimeout ?? pool.worker.limits.connectTimeout,
      tls: pool.tls?.client, handler: nil)
    connection.handler = self
    connection.countsWaitingOutput = true
    connection.standsBack = exchange.standsBack
    exchange.upstream = .http1(self)
  }

  // MARK: - ConnectionHandler

  func connectionOpened(_ connection: Connection) {
    isOpen = true
    if let tls = connection.tls { pool.worker.metrics.tlsHandshake(.outbound, resumed: tls.resumed) }
    pool.worker.upstreamOpened(tls: false, toApplication: pool.isLocalApplication)
    if let exchange { exchange.upstreamReady(.http1(self)) } else { connection.close() }
    pool.connectEnded(nil)
  }

  func connectionReceived(_ connection: Connection) {
    guard exchange != nil else {
      // Nothing was asked: the server is confused or hostile.
      pool.remove(self)
      connection.abort()
      return
    }
    if isUnasked { return failUnasked() }
    process()
  }

  /// Nothing of the request has left the proxy, so what came is no answer to it.
  private var isUnasked: Bool {
    !connection.input.isEmpty && !hasResponseBytes && connection.bytesWritten <= writtenBeforeRequest
  }

  private func failUnasked() {
    pool.worker.metrics.protocolError(pool.isLocalApplication ? .inbound : .outbound, "unasked_response")
    fail(.upstreamUnasked)
  }

  func connectionReachedEnd(_ connection: Connection) {
    guard exchange != nil else {
      pool.remove(self)
      connection.close()
      return
    }
    keepAlive = false
    process()
  }

  /// The server has closed its side and everything it sent has been passed on.
  private func finishAtEnd(_ exchange: Exchange) {
    guard !hasEnded, !exchange.responseEnded else { return }
    hasEnded = true
    if isTunnel {
      exchange.responseFinished(trailers: nil)
    } else if hasResponseBytes, case .end = decoder.endOfInput() {
      exchange.responseFinished(trailers: nil)
    } else {
      fail(.upstreamClosed)
    }
  }

  func connectionDrained(_ connection: Connection) { exchange?.upstreamWritable() }

  func connectionClosed(_ connection: Connection, _ reason: CloseReason) {
    place.giveBack()
    pool.connectionEnded()
    if isOpen {
      pool.worker.upstreamClosed(connection, tls: false, toApplication: pool.isLocalApplication)
    } else {
      pool.worker.counters.connectFailures &+= 1
      pool.connectEnded(reason)
    }
    guard let exchange else { return pool.remove(self) }
    self.exchange = nil
    // In TLS 1.3 a client is open before the server has refused it.
    var wasRefused = !isOpen
    if case .tls = reason, !isReused, !hasResponseBytes { wasRefused = true }
    exchange.upstreamFailed(
      wasRefused ? pool.connectError(reason) : .upstreamClosed, onReusedConnection: isReused && !hasResponseBytes)
  }

  // MARK: - Request

  func sendHead(_ exchange: Exchange) {
    hasResponseBytes = false
    hasEnded = false
    writtenBeforeRequest = connection.bytesWritten + UInt64(connection.output.count)
    let request = exchange.request
    if exchange.isUpgrade { WebSocketBridge.prepareHTTP1(exchange) }
    decoder.expectResponse(to: request.method)
    requestIsChunked = exchange.requestFraming == .chunked
    requestComplete = exchange.requestFraming == .none
    HTTP1Encoder.request(
      request, framing: exchange.requestFraming, keepAlive: true, upgrade: exchange.isUpgrade, form: .origin,
      into: connection.output)
    connection.flushSoon()
  }

  func send(_ bytes: UnsafeRawBufferPointer, last: Bool) -> Int {
    if requestIsChunked {
      HTTP1Encoder.chunk(bytes, into: connection.output)
      if last { HTTP1Encoder.lastChunk(trailers: nil, into: connection.output) }
    } else {
      connection.output.append(bytes)
    }
    if last { requestComplete = true }
    connection.flushSoon()
    pool.worker.bufferBudget.outputGrew()
    return bytes.count
  }

  func finish(trailers: MessageHead?) {
    if requestIsChunked, !requestComplete {
      HTTP1Encoder.lastChunk(trailers: trailers, into: connection.output)
      connection.flushSoon()
    } else if isTunnel {
      connection.shutdownWrite()
    }
    requestComplete = true
  }

  // MARK: - Response

  /// What the kernel holds stays there: read ahead into the input, it would be in nobody's budget.
  func pause() {
    isPaused = true
    connection.pauseReading()
  }

  func resume() {
    guard isPaused else { return }
    isPaused = false
    connection.resumeReading()
    connection.receiveAgain()
  }

  private func process() {
    guard !isProcessing else { return }
    isProcessing = true
    defer { isProcessing = false }
    while let exchange, connection.isOpen, !isPaused {
      let input = connection.input.readable
      if input.isEmpty {
        if connection.hasReachedEnd { finishAtEnd(exchange) }
        return
      }
      if isTunnel {
        exchange.responseBody(input, last: false)
        if connection.isOpen { connection.consume(input.count) }
        continue
      }
      hasResponseBytes = true
      guard decodeNext(exchange, input) else {
        if connection.hasReachedEnd, connection.isOpen, self.exchange === exchange { finishAtEnd(exchange) }
        return
      }
    }
  }

  private func decodeNext(_ exchange: Exchange, _ input: UnsafeRawBufferPointer) -> Bool {
    let head = exchange.response
    let (event, consumed) = decoder.next(input, head: head, trailers: exchange.responseTrailers)
    switch event {
    case .needMore:
      connection.consume(consumed)
      return false
    case .informational:
      connection.consume(consumed)
      exchange.informationalResponse(head)
    case .head(let parsed):
      connection.consume(consumed)
      begin(exchange, head, parsed)
    case .body(let bytes):
      deliver(exchange, bytes, consumed)
    case .trailers:
      connection.consume(consumed)
      finishDecoding()
      exchange.responseFinished(trailers: exchange.responseTrailers)
      return false
    case .end:
      connection.consume(consumed)
      exchange.responseFinished(trailers: nil)
    case .failure(let error):
      pool.worker.metrics.protocolError(exchange.direction, error.counter)
      fail(.upstreamProtocol)
      return false
    }
    return true
  }

  private func begin(_ exchange: Exchange, _ head: MessageHead, _ parsed: HTTP1Head) {
    keepAlive = parsed.keepAlive
    if head.status == 101 {
      // A switch that nobody asked for would let the application write the next responses, too.
      guard exchange.isUpgrade, WebSocketBridge.isAccepted(head, exchange) else { return fail(.upstreamProtocol) }
      isTunnel = true
      connection.standsBack = false
      exchange.responseHead(head, framing: .tunnel, ended: false)
      return
    }
    var ended = false
    switch parsed.framing {
    case .none: ended = true
    case .length(let length):
      responseRemaining = length
      ended = length == 0
    case .chunked, .untilClose, .tunnel: responseRemaining = .max
    }
    if ended { finishDecoding() }
    exchange.responseHead(head, framing: parsed.framing, ended: ended)
  }

  private func deliver(_ exchange: Exchange, _ bytes: UnsafeRawBufferPointer, _ consumed: Int) {
    responseRemaining &-= UInt64(bytes.count)
    let last = responseRemaining == 0
    if last { finishDecoding() }
    // The exchange may let go of this connection; the bytes are spent either way.
    exchange.responseBody(bytes, last: last)
    if connection.isOpen { connection.consume(consumed) }
  }

  /// Fetches the end event that follows the last byte without input.
  private func finishDecoding() {
    let unused = pool.worker.trailersHead
    _ = decoder.next(UnsafeRawBufferPointer(start: nil, count: 0), head: unused, trailers: unused)
  }

  private func fail(_ error: ProxyError) {
    let exchange = exchange
    self.exchange = nil
    connection.abort()
    exchange?.upstreamFailed(error, onReusedConnection: isReused && !hasResponseBytes)
  }

  // MARK: - Pool

  func release(complete: Bool) {
    exchange = nil
    guard complete, keepAlive, requestComplete, isOpen, !isTunnel, connection.isOpen else {
      if connection.isOpen { isTunnel && complete ? connection.closeAfterFlush() : connection.abort() }
      return
    }
    // The answer came before the server had taken the request: nobody knows when it will be ready for the next one.
    guard connection.waitingOutput == 0 else { return connection.closeAfterFlush() }
    isReused = true
    if isPaused {
      isPaused = false
      connection.resumeReading()
    }
    idleSince = pool.worker.loop.now
    pool.giveBack(self)
  }

  /// Takes an idle connection into use. False when its server has ended it, or sent what nobody asked for.
  ///
  /// What the loop has seen costs nothing. The kernel is asked only after a longer idle time, or when the last read did not
  /// empty the socket: a busy connection pays no system call. What comes between here and the flush of the request is
  /// found by `isUnasked`.
  func reuse(for exchange: Exchange) -> Bool {
    guard connection.isOpen, !connection.hasReachedEnd, connection.input.isEmpty else { return false }
    let isLongIdle = pool.worker.loop.now - idleSince >= pool.worker.limits.reuseCheckIdle
    if isLongIdle || connection.mayHaveInput, !connection.isQuiet { return false }
    self.exchange = exchange
    connection.standsBack = exchange.standsBack
    exchange.upstreamReady(.http1(self))
    return true
  }
}
