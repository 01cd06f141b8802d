import MeshCore
import MeshHTTP
import MeshRuntime
import MeshTelemetry

/// A downstream HTTP/2 connection: the mesh port's side of the hop, or a client outside the mesh.
///
/// Owns the engine; each open stream has one `Exchange` hung on it. Confined to one worker loop.
/// Limits: `HTTP2Settings` and `HTTP2Limits` of the engine, `ProxyLimits.downstreamLifetime`.
final class HTTP2ServerConnection: ConnectionHandler, TimerHandler, Drainable {
  let connection: Connection
  /// Outlives everything on its loop. Counted, the reference would cost two atomic operations at each use.
  unowned(unsafe) let worker: ProxyWorker
  let entry: EntryPoint
  let engine: HTTP2Connection
  private var isProcessing = false
  private var isDraining = false
  private var isDrainFinal = false
  private var lifetime: ConnectionLifetime
  private lazy var timer = LoopTimer(owner: self, tag: 0)
  /// Armed while a drain waits for the answer to its PING.
  private var drainTimer: LoopTimer?
  private let peerLabel: Int32
  private(set) lazy var caller = ConnectionCaller(connection)
  /// What the application is told of the client; nil on a connection that is not from a proxy of the mesh.
  let clientCertificate: ForwardedClientCertificate?
  var unfinishedWatch: UnfinishedWatch?
  /// Input is left for the next turn, or for when the output has drained.
  private var isBehind = false
  /// Streams that the input of this turn has begun, also those that it has ended again.
  private var begunThisTurn = 0
  private var standing = Standing()

  /// `since`: when the peer began to owe us preface and SETTINGS; now, unless given.
  init(_ connection: Connection, worker: ProxyWorker, entry: EntryPoint, since: Instant? = nil) {
    self.connection = connection
    self.worker = worker
    self.entry = entry
    lifetime = ConnectionLifetime(
      worker.limits.downstreamLifetime(isMesh: entry.security == .mutual), now: worker.loop.now,
      share: worker.loop.random.unit())
    peerLabel = connection.tls?.peerIdentity.map { worker.metrics.labels.id($0.description) } ?? LabelInterner.empty
    clientCertificate = ForwardedClientCertificate(connection, worker)
    var limits = HTTP2Limits()
    if case .mesh = entry.kind { limits = .meshPeer }
    engine = HTTP2Connection(
      role: .server, settings: worker.serverHTTP2Settings, limits: limits,
      connectionWindow: worker.connectionWindow, output: connection.output, now: since ?? worker.loop.now,
      receivedHead: worker.receivedHead)
    engine.outputHighWatermark = connection.outputHighWatermark
  }

  /// The other side is a proxy of the mesh that proved its identity.
  var isMeshPeer: Bool { entry.security == .mutual }

  /// Takes over a connection whose first request, already read into `exchange`, offered `h2c` (RFC 7540, section 3.2).
  static func upgrade(
    _ connection: Connection, worker: ProxyWorker, entry: EntryPoint, _ exchange: Exchange, settings: [UInt8]
  ) {
    // Before the engine writes its preface.
    connection.output.append("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n")
    let server = HTTP2ServerConnection(connection, worker: worker, entry: entry)
    connection.handler = server
    let head = exchange.request
    if let failure = settings.withUnsafeBytes({ server.engine.acceptUpgrade($0, method: head.method) }) {
      worker.recycle(exchange)
      _ = server.handle(failure)
      return worker.registerForDrain(connection, server)
    }
    head.removeHopByHopFields(keepingTrailersTE: true)
    head.version = .http2
    server.begin(exchange, on: HTTP2StreamID(rawValue: 1), endStream: true)
    server.start()
  }

  func start() {
    connection.handler = self
    connection.flushTimeout = worker.limits.flushTimeout
    unfinishedWatch = UnfinishedWatch(self, since: engine.unfinishedSince ?? worker.loop.now)
    worker.registerForDrain(connection, self)
    worker.loop.schedule(timer, at: lifetime.nextCheck)
    connection.flushSoon()
    if !connection.input.isEmpty { process() }
    if worker.isDraining { drain() }
  }

  // MARK: - ConnectionHandler

  func connectionOpened(_ connection: Connection) {}
  func connectionReceived(_ connection: Connection) { process() }

  /// HTTP/2 has no half-closed connections: who has gone takes no answer, and no work goes on for it.
  func connectionReachedEnd(_ connection: Connection) {
    releaseExchanges()
    connection.closeAfterFlush()
  }

  func connectionDrained(_ connection: Connection) {
    engine.outputDrained()
    process()
    resumeCongested()
  }

  func connectionClosed(_ connection: Connection, _ reason: CloseReason) {
    worker.loop.cancel(timer)
    drainTimer = nil
    unfinishedWatch?.stop()
    worker.downstreamClosed(connection, entry)
    worker.noteEnd(of: connection, entry, reason)
    if reason == .flushTimeout { worker.limitReached("flush_timeout", by: connection) }
    releaseExchanges()
  }

  private func releaseExchanges() {
    var open: [(HTTP2StreamID, Exchange)] = []
    engine.forEachStream { stream, context in
      if let context { open.append((stream, unsafeDowncast(context, to: Exchange.self))) }
    }
    for (stream, _) in open { engine.setContext(nil, for: stream) }
    worker.departures.add(open.map(\.1))
  }

  // MARK: - Events

  private func process() {
    guard !isProcessing else { return }
    isProcessing = true
    processInput()
    isProcessing = false
    if isDrainFinal { closeIfDrained() }
  }

  private func processInput() {
    engine.now = worker.loop.now
    var share = TurnShare(worker)
    isBehind = false
    begunThisTurn = 0
    while connection.isOpen {
      if share.isSpent { return continueNextTurn(share) }
      // The high watermark is what `connectionDrained` follows.
      if connection.output.count >= worker.limits.maximumQueuedOutputBytes, connection.isOverHighWatermark {
        return waitForOutput()
      }
      let (event, consumed) = engine.next(connection.input.readable)
      share.took(event)
      let goesOn = handle(event)
      guard connection.isOpen else { return }
      connection.input.consume(consumed)
      if !goesOn { break }
    }
    if !connection.output.isEmpty { connection.flushSoon() }
    if unfinishedWatch == nil, let since = engine.unfinishedSince {
      unfinishedWatch = UnfinishedWatch(self, since: since)
    }
  }

  private func continueNextTurn(_ share: TurnShare) {
    isBehind = true
    if share.isOverLimit { worker.metrics.limitHit("turn_share") }
    connection.receiveAgain()
    connection.flushSoon()
  }

  /// `connectionDrained` goes on.
  private func waitForOutput() {
    isBehind = true
    worker.metrics.limitHit("queued_output_bytes")
    connection.flushSoon()
  }

  var unfinishedSince: Instant? { engine.unfinishedSince }

  /// The peer has not finished in time what it began.
  func endUnfinished() {
    worker.limitReached(engine.isSettingsReceived ? "header_timeout" : "first_request_timeout", by: connection)
    engine.sendGoAway(engine.isSettingsReceived ? .enhanceYourCalm : .settingsTimeout)
    connection.closeAfterFlush()
  }

  private func countFault(_ reason: StaticString, _ detail: StaticString) {
    if let limit = engine.exceededLimit {
      worker.limitReached(limit.name, by: connection)
    } else {
      worker.brokeProtocol(entry.direction, reason, detail, by: connection)
    }
  }

  /// False when the engine has nothing more.
  private func handle(_ event: HTTP2Event) -> Bool {
    switch event {
    case .needMore:
      return false
    case .head(let stream, let endStream):
      begin(stream, endStream)
    case .informational:
      break
    case .data(let stream, let bytes, let credit, let endStream):
      receive(bytes, credit, on: stream, endStream)
    case .trailers(let stream):
      exchange(stream)?.requestFinished(trailers: engine.receivedHead)
    case .reset(let stream, _, let isLocal):
      if isLocal { countFault("http2_stream_error", engine.lastResetReason) }
      standing.gaveUp()
      if let exchange = exchange(stream) {
        engine.setContext(nil, for: stream)
        exchange.downstreamGone()
      }
    case .writable(let stream):
      exchange(stream)?.downstreamWritable()
    case .pong(PingTag.drain):
      finishDrain()
    case .goAway, .settings, .pong:
      break
    case .failure(_, let reason):
      countFault("http2_connection_error", reason)
      connection.closeAfterFlush()
      return false
    }
    return true
  }

  private func exchange(_ stream: HTTP2StreamID) -> Exchange? {
    guard let context = engine.context(of: stream) else { return nil }
    return unsafeDowncast(context, to: Exchange.self)
  }

  private func begin(_ stream: HTTP2StreamID, _ endStream: Bool) {
    let exchange = worker.takeExchange()
    exchange.request.copy(from: engine.receivedHead)
    begin(exchange, on: stream, endStream: endStream)
  }

  private func begin(_ exchange: Exchange, on stream: HTTP2StreamID, endStream: Bool) {
    if lifetime.streamStarted(worker.loop.now, asking: false) { worker.loop.schedule(timer, at: lifetime.nextCheck) }
    exchange.downstream = .http2(self, stream)
    begunThisTurn &+= 1
    exchange.standsBack = standing.standsBack(requests: max(begunThisTurn, engine.activeStreamCount))
    connection.standsBack = exchange.standsBack
    engine.setContext(exchange, for: stream)
    // One stream alone has nothing to wait for.
    connection.gathersOutput = engine.activeStreamCount > 1
    var isUpgrade = false
    let head = exchange.request
    if head.method == .connect, !head.connectProtocol.isEmpty {
      // Extended CONNECT (RFC 8441) carries an upgrade; inside the proxy it is the HTTP/1 request it stands for.
      isUpgrade = true
      exchange.isExtendedConnect = true
      head.method = .get
      head.append(.upgrade, head.bytes(head.connectProtocol))
      head.connectProtocol = .empty
    }
    exchange.peerLabel = peerLabel
    if head.method == .connect, !entry.allowsConnect {
      return exchange.rejectRequest(direction: entry.direction, .connectNotAllowed)
    }
    entry.prepare(exchange)
    let isTunnel = isUpgrade || head.method == .connect
    exchange.begin(
      direction: entry.direction, framing: endStream || isTunnel ? .none : head.declaredFraming, isUpgrade: isUpgrade,
      ended: endStream)
  }

  private func receive(_ bytes: UnsafeRawBufferPointer, _ credit: Int, on stream: HTTP2StreamID, _ endStream: Bool) {
    guard let exchange = exchange(stream) else {
      engine.consumed(credit, on: stream)
      return
    }
    if bytes.isEmpty {
      if endStream { exchange.requestFinished(trailers: nil) }
    } else {
      exchange.requestBody(bytes, last: endStream && !exchange.isTunnel && !exchange.isUpgrade)
      if endStream, exchange.isTunnel || exchange.isUpgrade { exchange.requestFinished(trailers: nil) }
    }
  }

  // MARK: - After responses

  func exchangeFinished(_ exchange: Exchange, on stream: HTTP2StreamID) {
    engine.setContext(nil, for: stream)
    standing.answered()
    if connection.isOpen {
      // The answer is complete; the rest of the request is not wanted (RFC 9113, section 8.1). No-op on an ended stream.
      engine.sendReset(stream, .noError)
      connection.flushSoon()
    }
    worker.recycle(exchange)
    if engine.activeStreamCount == 0 { lifetime.streamsEnded(worker.loop.now) }
    closeIfDrained()
  }

  /// Streams whose sender was stopped because this connection's output was full.
  private func resumeCongested() {
    guard !connection.isOverHighWatermark else { return }
    var blocked: [Exchange] = []
    engine.forEachStream { _, context in
      if let context { blocked.append(unsafeDowncast(context, to: Exchange.self)) }
    }
    for exchange in blocked { exchange.downstreamWritable() }
  }

  // MARK: - Life and drain

  func timerFired(_ timer: LoopTimer) {
    if timer === drainTimer { return finishDrain() }
    let (now, streams) = (worker.loop.now, engine.activeStreamCount)
    switch lifetime.check(now, lastReceived: connection.lastReceived, streams: streams) {
    case .none: break
    case .ping:
      engine.sendPing(PingTag.keepalive)
      connection.flushSoon()
    case .dead:
      worker.metrics.limitHit("keepalive_timeout")
      return connection.abort(.keepaliveTimeout)
    case .idle:
      if !isDraining { worker.metrics.limitHit("downstream_idle_timeout") }
      drain()
    case .retire:
      worker.metrics.limitHit("connection_age")
      drain()
    case .cut:
      worker.metrics.limitHit("connection_age_grace")
      return connection.abort()
    }
    worker.loop.schedule(timer, at: lifetime.nextCheck)
  }

  /// Two steps (RFC 9113, section 6.8): first the wish for no more streams, then, when everything that was on the wire has
  /// arrived, the last stream that is served. So no request is lost between the two.
  func drain() {
    guard !isDraining else { return }
    isDraining = true
    engine.sendGoAway(.noError, lastAccepted: .maximum)
    engine.sendPing(PingTag.drain)
    connection.flushSoon()
    let timer = LoopTimer(owner: self, tag: 1)
    drainTimer = timer
    worker.loop.schedule(timer, after: worker.limits.drainGrace)
  }

  private func finishDrain() {
    guard isDraining, !isDrainFinal, connection.isOpen else { return }
    isDrainFinal = true
    engine.sendGoAway(.noError)
    connection.flushSoon()
    closeIfDrained()
  }

  private func closeIfDrained() {
    if isDrainFinal, !isBehind, !isProcessing, connection.isOpen, engine.activeStreamCount == 0 {
      connection.closeAfterFlush()
    }
  }
}
