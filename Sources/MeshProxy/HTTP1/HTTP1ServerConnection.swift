import MeshCore
import MeshHTTP
import MeshPolicy
import MeshRuntime
import MeshTelemetry

/// A downstream HTTP/1 connection: decodes requests one at a time and writes their responses in order.
///
/// Pipelined requests wait in the input queue until the response before them is complete.
/// Confined to one worker loop; owned by its `Connection` until that closes.
/// Limits: head size and count by `HTTP1Limits`, `ProxyLimits.headerTimeout` for a head, `downstreamIdleTimeout` between requests.
final class HTTP1ServerConnection: ConnectionHandler, TimerHandler, Drainable {
  let connection: Connection
  /// Outlives everything on its loop. Counted, the reference would cost two atomic operations at each use.
  unowned(unsafe) let worker: ProxyWorker
  let entry: EntryPoint
  private(set) lazy var caller = ConnectionCaller(connection)

  private var decoder: HTTP1Decoder
  private var exchange: Exchange?
  /// A request has been decoded up to its head, and its response is not complete.
  private var isServing = false
  private var request = ServedRequest()
  private var isProcessing = false
  private var isPaused = false
  private var isTunnel = false
  private var isClosing = false
  /// Requests are left for the next turn, or for when the output has drained.
  private var isBehind = false
  private var isFirstRequest = true
  /// The connection belongs to another handler now.
  private var isHandedOver = false
  private var standing = Standing()

  private lazy var timer = LoopTimer(owner: self, tag: 0)
  private var wait: ClientWait
  /// The next response from here on is the last (`ProxyLimits.maximumConnectionAge`).
  private let endsAt: Instant

  init(_ connection: Connection, worker: ProxyWorker, entry: EntryPoint) {
    self.connection = connection
    self.worker = worker
    self.entry = entry
    decoder = HTTP1Decoder(role: .request)
    wait = ClientWait(now: worker.loop.now)
    endsAt = worker.limits.clientConnectionEnd(worker.loop.now, &worker.loop.random)
  }

  /// Takes over the connection and whatever it has already read.
  func start() {
    connection.handler = self
    connection.flushTimeout = worker.limits.flushTimeout
    worker.registerForDrain(connection, self)
    worker.loop.schedule(timer, after: worker.limits.headerTimeout)
    if !connection.input.isEmpty { process() }
  }

  // MARK: - ConnectionHandler

  func connectionOpened(_ connection: Connection) {}

  func connectionReceived(_ connection: Connection) {
    process()
    if connection.hasReachedEnd, !isTunnel, !isHandedOver { settleEnd() }
  }

  func connectionReachedEnd(_ connection: Connection) {
    if isTunnel { process() } else { settleEnd() }
  }

  /// The client sends no more. Takes effect once the requests that came before it are served.
  private func settleEnd() {
    guard connection.isOpen, !isClosing else { return }
    if isServing {
      // A client may close its sending side and still read the answers, if it has sent whole requests.
      if connection.input.isEmpty { request.keepAlive = false }
      let mayBeWhole = request.isRead || request.remaining == 0 || isPaused && !connection.input.isEmpty
      guard !mayBeWhole, let exchange else { return }
      self.exchange = nil
      isServing = false
      exchange.downstreamGone()
      connection.abort()
    } else if !isBehind {
      connection.closeAfterFlush()
    }
  }

  func connectionDrained(_ connection: Connection) {
    exchange?.downstreamWritable()
    guard isBehind, connection.isOpen else { return }
    connectionReceived(connection)
  }

  func connectionClosed(_ connection: Connection, _ reason: CloseReason) {
    worker.loop.cancel(timer)
    worker.downstreamClosed(connection, entry)
    worker.noteEnd(of: connection, entry, reason)
    if reason == .flushTimeout { worker.limitReached("flush_timeout", by: connection) }
    guard let exchange else { return }
    self.exchange = nil
    if isServing {
      exchange.downstreamGone()
    } else {
      worker.recycle(exchange)
    }
  }

  // MARK: - Requests

  func pause() { isPaused = true }

  func resume() {
    guard isPaused else { return }
    isPaused = false
    // Deliver on the next turn: the caller may be in the middle of its own events.
    connection.receiveAgain()
  }

  private func process() {
    guard !isProcessing else { return }
    isProcessing = true
    defer { isProcessing = false }
    var share = TurnShare(worker)
    isBehind = false
    while connection.isOpen, !isClosing, !isPaused, !isHandedOver {
      if isTunnel {
        forwardTunnelBytes()
        return
      }
      if isServing && request.isRead { return }
      let input = connection.input.readable
      if input.isEmpty && !isServing { break }
      if mustWait(share) { return }
      share.tookEvent()
      if !isServing { share.tookRequest() }
      guard decodeNext(input, for: currentExchange()) else { break }
    }
    if connection.input.isEmpty, !isServing, !isHandedOver { connection.input.releaseIfEmpty() }
  }

  /// True when the rest of the input is for the next turn, or for when the client has read answers of earlier requests.
  private func mustWait(_ share: TurnShare) -> Bool {
    if share.isSpent {
      if share.isOverLimit { worker.metrics.limitHit("turn_share") }
      connection.receiveAgain()
      isBehind = true
    } else if !isServing, connection.isOverHighWatermark {
      isBehind = true
    }
    return isBehind
  }

  private func currentExchange() -> Exchange {
    if let exchange { return exchange }
    let fresh = worker.takeExchange()
    exchange = fresh
    return fresh
  }

  /// One decoder step. False when there is nothing more to do now.
  private func decodeNext(_ input: UnsafeRawBufferPointer, for exchange: Exchange) -> Bool {
    let (event, consumed) = decoder.next(input, head: exchange.request, trailers: exchange.requestTrailers)
    switch event {
    case .needMore:
      connection.consume(consumed)
      awaitMore(exchange)
      return false
    case .head(let head):
      connection.consume(consumed)
      begin(exchange, head)
    case .informational:
      connection.consume(consumed)
    case .body(let bytes):
      exchange.requestBody(bytes, last: request.tookBody(bytes.count))
      if connection.isOpen { connection.consume(consumed) }
    case .trailers:
      connection.consume(consumed)
      exchange.hasRequestTrailers = true
    case .end:
      connection.consume(consumed)
      request.isRead = true
      if !request.asksForTunnel { self.exchange?.requestFinished(trailers: nil) }
    case .failure(let error):
      connection.input.removeAll()
      reject(exchange, error)
      return false
    }
    return true
  }

  private func begin(_ exchange: Exchange, _ head: HTTP1Head) {
    wait.headArrived()
    if head.offersHTTP2, head.framing.isEmpty, switchToHTTP2(exchange) { return }
    isFirstRequest = false
    isServing = true
    request.begin(exchange.request, head, mayKeepAlive: !worker.isDraining)
    if !request.hasBody, !request.asksForTunnel {
      // Fetches the end event that follows without input, so that the whole request goes on in one piece.
      _ = decoder.next(
        UnsafeRawBufferPointer(start: nil, count: 0), head: exchange.request, trailers: exchange.requestTrailers)
      request.isRead = true
    }
    exchange.downstream = .http1(self)
    if request.method == .connect, !entry.allowsConnect {
      return exchange.rejectRequest(direction: entry.direction, .connectNotAllowed)
    }
    entry.prepare(exchange)
    exchange.standsBack = connection.standsBack
    exchange.begin(
      direction: entry.direction, framing: request.hasBody ? head.framing : .none, isUpgrade: request.isUpgrade,
      ended: request.isRead)
  }

  /// Accepts an offer of `h2c`. False when it is to be ignored: over TLS, or without settings that can be read.
  private func switchToHTTP2(_ exchange: Exchange) -> Bool {
    guard connection.tls == nil, exchange.request.method != .connect, let settings = exchange.request.upgradeSettings
    else { return false }
    isHandedOver = true
    self.exchange = nil
    worker.loop.cancel(timer)
    HTTP2ServerConnection.upgrade(connection, worker: worker, entry: entry, exchange, settings: settings)
    return true
  }

  private func awaitMore(_ exchange: Exchange) {
    guard !isServing else { return }
    if decoder.isIdle {
      self.exchange = nil
      worker.recycle(exchange)
    } else if !wait.isForHead {
      wait.headBegan(worker.loop.now)
      worker.loop.schedule(timer, after: worker.limits.headerTimeout)
    }
  }

  /// A message that is not HTTP: answer once and close, since the start of the next message is unknown.
  private func reject(_ exchange: Exchange, _ error: HTTP1Error) {
    worker.brokeProtocol(entry.direction, error.counter, error.reason, by: connection)
    if let limit = error.limit { worker.limitReached(limit, by: connection) }
    request.keepAlive = false
    if isFirstRequest, error == .malformedRequestLine, entry.tls == nil {
      // Neither HTTP/1 nor the preface of HTTP/2 (RFC 9113, section 3.4): no answer would be understood.
      self.exchange = nil
      worker.recycle(exchange)
      return close()
    }
    request.isRead = false
    if isServing { return exchange.fail(.malformed(error)) }
    isServing = true
    exchange.downstream = .http1(self)
    exchange.rejectRequest(direction: entry.direction, .malformed(error))
  }

  /// CONNECT to a service that speaks HTTP/2, as gRPC clients send it to their proxy. One endpoint for the whole connection
  /// would undo balancing and routing per request, so the connection becomes what a mapped listener's would be.
  func endTunnelHere(_ service: ServicePort) {
    guard let exchange else { return }
    self.exchange = nil
    isServing = false
    isClosing = true
    worker.loop.cancel(timer)
    worker.discard(exchange)
    connection.output.append(Self.tunnelOpen)
    connection.flushSoon()
    PlaintextStart(worker: worker, entry: EntryPoint(.mapped(service), worker: worker), otherwise: .bytes)
      .start(connection)
  }

  private static let tunnelOpen: StaticString = "HTTP/1.1 200 OK\r\nserver: apus\r\n\r\n"

  private func forwardTunnelBytes() {
    guard let exchange else { return }
    let bytes = connection.input.readable
    if !bytes.isEmpty {
      exchange.requestBody(bytes, last: false)
      if connection.isOpen { connection.consume(bytes.count) }
    }
    if connection.hasReachedEnd, connection.input.isEmpty { exchange.requestFinished(trailers: nil) }
  }

  // MARK: - Responses

  func sendInformational(_ head: MessageHead) {
    guard request.version != .http10 else { return }
    HTTP1Encoder.response(
      head, framing: .none, version: request.version, keepAlive: true, upgrade: false, requestMethod: request.method,
      into: connection.output)
    connection.flushSoon()
  }

  func sendHead(_ head: MessageHead, framing: BodyFraming, _ exchange: Exchange) {
    let isTunnel = exchange.isTunnel
    // An answer that is complete before the request is: the rest will not be read, and the client should know.
    let leavesRequest = !request.isRead && !isTunnel && !request.asksForTunnel
    if worker.isDraining || leavesRequest && exchange.responseEnded { request.keepAlive = false }
    if request.keepAlive, worker.loop.now >= endsAt {
      worker.metrics.limitHit("connection_age")
      request.keepAlive = false
    }
    let framing = request.frameResponse(framing, isTunnel: isTunnel)
    HTTP1Encoder.response(
      head, framing: framing, version: request.version, keepAlive: request.keepAlive,
      upgrade: isTunnel && request.isUpgrade, requestMethod: request.method, into: connection.output)
    connection.flushSoon()
    if isTunnel {
      self.isTunnel = true
      connection.standsBack = false
      connection.flushTimeout = .zero
      worker.loop.cancel(timer)
      // Bytes that came early wait in the input.
      connection.receiveAgain()
    } else if request.asksForTunnel {
      request.tunnelRefused()
    }
  }

  func send(_ bytes: UnsafeRawBufferPointer, last: Bool) -> Int {
    if request.responseIsChunked {
      HTTP1Encoder.chunk(bytes, into: connection.output)
      if last { HTTP1Encoder.lastChunk(trailers: nil, into: connection.output) }
    } else {
      connection.output.append(bytes)
    }
    connection.flushSoon()
    return bytes.count
  }

  func finish(trailers: MessageHead?) {
    if request.responseIsChunked {
      HTTP1Encoder.lastChunk(trailers: trailers, into: connection.output)
      connection.flushSoon()
    } else if isTunnel {
      connection.shutdownWrite()
    }
  }

  /// Ends a response in the middle: closing without the last chunk or the full length tells the client.
  func abort() {
    isClosing = true
    connection.abort()
  }

  func exchangeFinished(_ exchange: Exchange) {
    self.exchange = nil
    isServing = false
    worker.recycle(exchange)
    wait.answered(worker.loop.now)
    guard connection.isOpen, !isClosing else { return }
    if isTunnel || !request.keepAlive || !request.isRead || worker.isDraining {
      isClosing = true
      connection.closeAfterFlush()
      return
    }
    isPaused = false
    standing.answered()
    connection.standsBack = standing.standsBack()
    if !timer.isScheduled { worker.loop.schedule(timer, after: worker.limits.downstreamIdleTimeout) }
    if !isProcessing, !connection.input.isEmpty { connection.receiveAgain() }
  }

  // MARK: - Timers

  func timerFired(_ timer: LoopTimer) {
    if isServing {
      // The exchange has its own idle timeout.
      return worker.loop.schedule(timer, after: worker.limits.downstreamIdleTimeout)
    }
    switch wait.verdict(worker.loop.now, worker.limits, isDraining: worker.isDraining) {
    case .wait(let left):
      return worker.loop.schedule(timer, after: left)
    case .headTimeout:
      let hasPartialHead = !connection.input.isEmpty
      worker.metrics.limitHit(hasPartialHead ? "header_timeout" : "first_request_timeout")
      if hasPartialHead { connection.output.append(Self.requestTimeout) }
    case .idleTimeout:
      worker.metrics.limitHit("downstream_idle_timeout")
    case .drained:
      break
    }
    close()
  }

  private static let requestTimeout: StaticString =
    "HTTP/1.1 408 Request Timeout\r\nserver: apus\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"

  /// Closes between requests; used by timers and drain.
  func close() {
    isClosing = true
    connection.closeAfterFlush()
  }

  /// Drain: a busy connection closes after its response, an idle one after a grace period.
  func drain() {
    request.keepAlive = false
    if !isServing, !wait.isForHead { worker.loop.schedule(timer, after: worker.limits.drainGrace) }
  }
}
