import MeshCore
import MeshHTTP
import MeshRuntime
import MeshTelemetry

/// A multiplexed connection to a peer proxy (or to an application or a server outside the mesh that speaks HTTP/2).
///
/// Exchanges wait in `waiting` until the connection is open and a stream is free. Confined to one worker loop.
/// Limits: `ProxyLimits.maximumPendingPerPeer`, the peer's SETTINGS_MAX_CONCURRENT_STREAMS, `upstreamLifetime`.
final class HTTP2ClientConnection: ConnectionHandler, TimerHandler {
  let connection: Connection
  let pool: PeerPool
  private let engine: HTTP2Connection
  private var waiting: [Exchange] = []
  private(set) var isOpen = false
  private var isProcessing = false
  /// Out of the pool: what is under way ends here, nothing more begins.
  private var isRetired = false
  private var lifetime: ConnectionLifetime
  /// Of the backend it was opened for.
  var place: ConnectionPlace
  private lazy var timer = LoopTimer(owner: self, tag: 0)
  private lazy var settingsTimer = LoopTimer(owner: self, tag: 1)

  init(pool: PeerPool, for backend: BackendEntry?) {
    self.pool = pool
    place = ConnectionPlace(of: backend)
    let loop = pool.worker.loop
    lifetime = ConnectionLifetime(pool.worker.limits.upstreamLifetime(isMesh: pool.isMesh), now: loop.now, share: 0.5)
    connection = loop.connect(
      to: pool.address, timeout: backend?.connectTimeout ?? pool.worker.limits.connectTimeout, tls: pool.tlsClient(),
      handler: nil)
    engine = HTTP2Connection(
      role: .client, settings: pool.worker.clientHTTP2Settings, limits: HTTP2Limits(),
      connectionWindow: pool.worker.connectionWindow, output: connection.output, now: loop.now,
      receivedHead: pool.worker.receivedHead)
    engine.outputHighWatermark = connection.outputHighWatermark
    connection.handler = self
  }

  /// A stream is free now, or the connection is still opening and will take what waits.
  var hasRoom: Bool { connection.isOpen && (!isOpen || waiting.isEmpty && engine.canOpenStream) }
  var waitingCount: Int { waiting.count }
  var isIdle: Bool { isOpen && engine.activeStreamCount == 0 && waiting.isEmpty }
  var activeStreamCount: Int { isOpen ? engine.activeStreamCount : waiting.count }

  func serve(_ exchange: Exchange) {
    guard isOpen, waiting.isEmpty, mayStart(exchange), connection.isOpen else {
      guard exchange.startWaiting() else { return exchange.upstreamFailed(.backendOverflow) }
      exchange.upstream = .http2(self, .init(rawValue: 0))
      waiting.append(exchange)
      return
    }
    startStream(exchange)
  }

  /// Starts as many waiting exchanges as the peer allows streams: at first the engine's guess, more when its SETTINGS are here.
  private func startWaiting() {
    while isOpen, let next = waiting.first, mayStart(next), connection.isOpen { startStream(waiting.removeFirst()) }
  }

  /// Whether an application takes extended CONNECT only its SETTINGS tell (RFC 8441, section 3). A proxy of the mesh does.
  private func mayStart(_ exchange: Exchange) -> Bool {
    engine.canOpenStream && (!exchange.isUpgrade || pool.isMesh || engine.isSettingsReceived)
  }

  private func startStream(_ exchange: Exchange) {
    // An upgrade is an offer that a server may leave unanswered (RFC 9110, section 7.8).
    if exchange.isUpgrade, !pool.isMesh, !engine.peerEnablesConnectProtocol { exchange.declineUpgrade() }
    guard let stream = engine.openStream() else { return exchange.upstreamFailed(.upstreamRefusedStream) }
    if lifetime.streamStarted(pool.worker.loop.now, asking: true) { askForLife() }
    engine.setContext(exchange, for: stream)
    // One stream alone has nothing to wait for.
    connection.gathersOutput = engine.activeStreamCount > 1
    exchange.upstreamReady(.http2(self, stream))
  }

  // MARK: - ConnectionHandler

  func connectionOpened(_ connection: Connection) {
    isOpen = true
    pool.opened()
    if let tls = connection.tls { pool.worker.metrics.tlsHandshake(.outbound, resumed: tls.resumed) }
    pool.worker.upstreamOpened(tls: pool.isMesh, toApplication: pool.isLocalApplication)
    engine.now = pool.worker.loop.now
    pool.worker.loop.schedule(timer, at: lifetime.nextCheck)
    pool.worker.loop.schedule(settingsTimer, after: pool.worker.limits.settingsTimeout)
    connection.flushSoon()
    startWaiting()
    // Retired while it was connecting, and nobody waits any more.
    closeIfUnused()
  }

  func connectionReceived(_ connection: Connection) { process() }

  func connectionReachedEnd(_ connection: Connection) {
    pool.remove(self)
    process()
    if connection.isOpen { connection.close() }
  }

  func connectionDrained(_ connection: Connection) {
    engine.outputDrained()
    process()
    guard !connection.isOverHighWatermark else { return }
    for (_, exchange) in exchangesWithStreams() { exchange.upstreamWritable() }
  }

  func connectionClosed(_ connection: Connection, _ reason: CloseReason) {
    pool.worker.loop.cancel(timer)
    pool.worker.loop.cancel(settingsTimer)
    pool.remove(self)
    if isOpen { pool.worker.upstreamClosed(connection, tls: pool.isMesh, toApplication: pool.isLocalApplication) }
    // In TLS 1.3 a client is open before the server has judged its certificate: a refusal comes as the end of an open
    // connection on which the server has said nothing yet. Later failures of TLS may have cut what was being served.
    var wasRefused = !isOpen
    if case .tls = reason, isOpen, !engine.isSettingsReceived { wasRefused = true }
    let error: ProxyError =
      wasRefused ? pool.connectError(reason) : reason == .keepaliveTimeout ? .upstreamSilent : .upstreamClosed
    failAll(error, waiting: wasRefused ? error : .upstreamRefusedStream)
  }

  /// Every exchange is told, once, that this connection will not serve it.
  private func failAll(_ error: ProxyError, waiting waitingError: ProxyError) {
    let open = isOpen ? exchangesWithStreams() : []
    let unsent = waiting
    waiting = []
    for (stream, _) in open { engine.setContext(nil, for: stream) }
    for (_, exchange) in open { exchange.upstreamFailed(error, onReusedConnection: true) }
    for exchange in unsent { exchange.upstreamFailed(waitingError) }
  }

  private func exchangesWithStreams() -> [(HTTP2StreamID, Exchange)] {
    var open: [(HTTP2StreamID, Exchange)] = []
    engine.forEachStream { stream, context in
      if let context { open.append((stream, unsafeDowncast(context, to: Exchange.self))) }
    }
    return open
  }

  // MARK: - Events

  private func process() {
    guard !isProcessing, isOpen else { return }
    isProcessing = true
    defer { isProcessing = false }
    engine.now = pool.worker.loop.now
    let input = connection.input
    while connection.isOpen {
      let (event, consumed) = engine.next(input.readable)
      let goesOn = handle(event)
      guard connection.isOpen else { return }
      input.consume(consumed)
      if !goesOn { break }
    }
    if !waiting.isEmpty { engine.takesNoMoreStreams ? refuseWaiting() : startWaiting() }
    if !connection.output.isEmpty { connection.flushSoon() }
    closeIfUnused()
  }

  /// The peer takes no more streams here; what waits was never sent.
  private func refuseWaiting() {
    let refused = waiting
    waiting = []
    for exchange in refused { exchange.upstreamFailed(.upstreamRefusedStream) }
  }

  private func handle(_ event: HTTP2Event) -> Bool {
    switch event {
    case .needMore:
      return false
    case .head(let stream, let endStream):
      if let exchange = exchange(stream) { receiveHead(exchange, endStream) }
    case .informational(let stream):
      exchange(stream)?.informationalResponse(engine.receivedHead)
    case .data(let stream, let bytes, let credit, let endStream):
      receive(bytes, credit, on: stream, endStream)
    case .trailers(let stream):
      exchange(stream)?.responseFinished(trailers: engine.receivedHead)
    case .reset(let stream, let code, let isLocal):
      streamReset(stream, code, isLocal: isLocal)
    case .writable(let stream):
      exchange(stream)?.upstreamWritable()
    case .goAway:
      isRetired = true
      pool.remove(self)
    case .settings:
      pool.worker.loop.cancel(settingsTimer)
    case .pong:
      break
    case .failure:
      connectionFailed(engine.isSettingsReceived ? .upstreamProtocol : .upstreamNotHTTP2)
      return false
    }
    return true
  }

  /// A stream that the peer refused, or that its GOAWAY left out, was not processed; our own resets answer its faults.
  private func streamReset(_ stream: HTTP2StreamID, _ code: HTTP2ErrorCode, isLocal: Bool) {
    let isFault = isLocal && code != .refusedStream
    if isFault { countFault("http2_stream_error") }
    guard let exchange = exchange(stream) else { return }
    engine.setContext(nil, for: stream)
    exchange.upstreamFailed(
      code == .refusedStream ? .upstreamRefusedStream : isFault ? .upstreamProtocol : .upstreamReset(by: code))
  }

  /// The peer broke the protocol. Nobody waits for the connection's end to learn it; what was never sent goes elsewhere.
  private func connectionFailed(_ error: ProxyError) {
    countFault("http2_connection_error")
    pool.remove(self)
    failAll(error, waiting: .upstreamRefusedStream)
    connection.closeAfterFlush()
  }

  private func countFault(_ reason: StaticString) {
    if let limit = engine.exceededLimit {
      pool.worker.limitReached(limit.name, by: connection)
    } else {
      pool.worker.metrics.protocolError(direction, reason)
    }
  }

  private var direction: TrafficDirection { pool.isLocalApplication ? .inbound : .outbound }

  private func exchange(_ stream: HTTP2StreamID) -> Exchange? {
    guard let context = engine.context(of: stream) else { return nil }
    return unsafeDowncast(context, to: Exchange.self)
  }

  private func receiveHead(_ exchange: Exchange, _ endStream: Bool) {
    let head = engine.receivedHead
    let isRefusedUpgrade = pool.isMesh && head.contains(.xApusUpgrade)
    if exchange.isUpgrade, head.status < 300, !isRefusedUpgrade {
      // The answer to an extended CONNECT: an upgrade that was accepted.
      head.status = 101
      head.append(.upgrade, exchange.request.bytes(exchange.upgradeProtocol))
      WebSocketBridge.answerKey(head, exchange)
    }
    let isTunnel = exchange.isTunnel && head.status < 300 || exchange.isUpgrade && head.status == 101
    // These have no content, and a client of HTTP/1 must not be sent framing for any.
    let hasNoBody = endStream || exchange.request.method == .head || head.status == 204 || head.status == 304
    let framing: BodyFraming = isTunnel ? .tunnel : hasNoBody ? .none : head.declaredFraming
    exchange.responseHead(head, framing: framing, ended: endStream)
  }

  private func receive(_ bytes: UnsafeRawBufferPointer, _ credit: Int, on stream: HTTP2StreamID, _ endStream: Bool) {
    guard let exchange = exchange(stream) else {
      engine.consumed(credit, on: stream)
      return
    }
    if bytes.isEmpty {
      if endStream { exchange.responseFinished(trailers: nil) }
    } else {
      exchange.responseBody(bytes, last: endStream && !exchange.isTunnel)
      if endStream, exchange.isTunnel { exchange.responseFinished(trailers: nil) }
    }
  }

  // MARK: - Requests

  func sendHead(_ exchange: Exchange, on stream: HTTP2StreamID, last: Bool) {
    let head = exchange.request
    let (method, authority, scheme) = (head.method, head.authority, head.scheme)
    if exchange.isUpgrade {
      head.method = .connect
      if let upgrade = head.value(.upgrade) { exchange.upgradeProtocol = head.intern(upgrade) }
      head.connectProtocol = exchange.upgradeProtocol
      if !pool.isMesh { WebSocketBridge.prepareHTTP2(exchange) }
    }
    // The engine leaves `Upgrade` out; another attempt may need it.
    head.removeHopByHopFields(keepingTrailersTE: true, keepingUpgrade: exchange.isUpgrade)
    if pool.isMesh { addMeshFields(exchange) }
    if pool.tls != nil {
      head.scheme = head.intern("https")
    } else if head.scheme.isEmpty, !exchange.isTunnel {
      head.scheme = head.intern("http")
    }
    engine.sendHead(head, on: stream, endStream: last)
    head.method = method
    head.authority = authority
    head.scheme = scheme
    head.connectProtocol = .empty
    connection.flushSoon()
  }

  /// Tells the peer which of its ports is meant. A tunnel says it in its authority.
  private func addMeshFields(_ exchange: Exchange) {
    let head = exchange.request
    guard let endpoint = exchange.endpoint else { return }
    if exchange.isTunnel {
      head.authority = head.intern(string: endpoint.addressText)
      return
    }
    head.remove(.xApusTargetPort)
    head.append(.xApusTargetPort, number: Int(endpoint.address.port))
  }

  func send(_ bytes: UnsafeRawBufferPointer, on stream: HTTP2StreamID, last: Bool) -> Int {
    let accepted = engine.sendData(bytes, on: stream, endStream: last)
    connection.flushSoon()
    return accepted
  }

  func finish(trailers: MessageHead?, on stream: HTTP2StreamID) {
    engine.finish(stream, trailers: trailers)
    connection.flushSoon()
  }

  func credit(_ count: Int, on stream: HTTP2StreamID) {
    engine.consumed(count, on: stream)
    connection.flushSoon()
  }

  func release(_ exchange: Exchange, _ stream: HTTP2StreamID, complete: Bool) {
    if stream.rawValue == 0 {
      waiting.removeAll { $0 === exchange }
      return
    }
    guard connection.isOpen else { return }
    engine.setContext(nil, for: stream)
    if !complete {
      engine.sendReset(stream, .cancel)
      connection.flushSoon()
    }
    if engine.activeStreamCount == 0 { lifetime.streamsEnded(pool.worker.loop.now) }
    // A place is free, and no event of the peer need follow.
    if !isProcessing, isRetired || !waiting.isEmpty || engine.takesNoMoreStreams { connection.receiveAgain() }
  }

  func rebind(_ stream: HTTP2StreamID, to exchange: Exchange) { engine.setContext(exchange, for: stream) }

  // MARK: - Life

  func timerFired(_ timer: LoopTimer) {
    guard timer === self.timer else { return connectionFailed(.upstreamNotHTTP2) }
    let (now, streams) = (pool.worker.loop.now, engine.activeStreamCount)
    switch lifetime.check(now, lastReceived: connection.lastReceived, streams: streams) {
    case .none: break
    case .ping: return askForLife()
    case .dead:
      pool.worker.metrics.limitHit("keepalive_timeout")
      pool.remove(self)
      return connection.abort(.keepaliveTimeout)
    case .idle, .retire, .cut: return retire()
    }
    pool.worker.loop.schedule(timer, at: lifetime.nextCheck)
  }

  private func askForLife() {
    engine.sendPing(PingTag.keepalive)
    connection.flushSoon()
    pool.worker.loop.schedule(timer, at: lifetime.nextCheck)
  }

  /// Takes no more exchanges, and closes when the last one has ended.
  func retire() {
    guard !isRetired else { return }
    isRetired = true
    pool.remove(self)
    if isOpen { closeIfUnused() }
  }

  private func closeIfUnused() {
    guard isRetired || engine.takesNoMoreStreams, engine.activeStreamCount == 0, waiting.isEmpty else { return }
    guard connection.isOpen else { return }
    engine.sendGoAway(.noError)
    connection.closeAfterFlush()
  }
}
