import MeshCore
import MeshHTTP
import MeshRuntime
import MeshTelemetry

/// A multiplexed connection to a peer proxy (or to an application that speaks HTTP/2 without TLS).
///
/// Exchanges wait in `waiting` until the connection is open and a stream is free. Confined to one worker loop.
/// Limits: `ProxyLimits.maximumPendingPerPeer`, the peer's SETTINGS_MAX_CONCURRENT_STREAMS, `upstreamLifetime`.
final class HTTP2ClientConnection: ConnectionHandler, TimerHandler {
  private(set) var connection: Connection!
  let pool: PeerPool
  private var engine: HTTP2Connection!
  private var waiting: [Exchange] = []
  private(set) var isOpen = false
  private var isProcessing = false
  /// Out of the pool: what is under way ends here, nothing more begins.
  private var isRetired = false
  private var lifetime: ConnectionLifetime
  private lazy var timer = LoopTimer(owner: self, tag: 0)

  init(pool: PeerPool) {
    self.pool = pool
    let loop = pool.worker.loop
    lifetime = ConnectionLifetime(pool.worker.limits.upstreamLifetime(isMesh: pool.isMesh), now: loop.now, share: 0.5)
  }

  func connect() {
    connection = pool.worker.loop.connect(
      to: pool.address, timeout: pool.worker.limits.connectTimeout, tls: pool.tlsClient(), handler: self)
  }

  /// A stream is free now, or the connection is still opening and will take what waits.
  var hasRoom: Bool { !isOpen || waiting.isEmpty && engine.canOpenStream }
  var waitingCount: Int { waiting.count }
  var activeStreamCount: Int { isOpen ? engine.activeStreamCount : waiting.count }

  func serve(_ exchange: Exchange) {
    guard isOpen, waiting.isEmpty, engine.canOpenStream else {
      exchange.upstream = .http2(self, .init(rawValue: 0))
      waiting.append(exchange)
      return
    }
    startStream(exchange)
  }

  /// Starts as many waiting exchanges as the peer allows streams: at first the engine's guess, more when its SETTINGS are here.
  private func startWaiting() {
    while isOpen, !waiting.isEmpty, engine.canOpenStream, connection.isOpen { startStream(waiting.removeFirst()) }
  }

  private func startStream(_ exchange: Exchange) {
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
    if let tls = connection.tls { pool.worker.metrics.tlsHandshake(.outbound, resumed: tls.resumed) }
    pool.worker.upstreamOpened(tls: pool.isMesh, toApplication: pool.isLocalApplication)
    engine = HTTP2Connection(
      role: .client, settings: pool.worker.clientHTTP2Settings, limits: HTTP2Limits(),
      connectionWindow: pool.worker.connectionWindow, output: connection.output)
    engine.outputHighWatermark = connection.outputHighWatermark
    pool.worker.loop.schedule(timer, at: lifetime.nextCheck)
    connection.flushSoon()
    startWaiting()
    // Retired while it was connecting, and nobody waits any more.
    closeIfUnused()
  }

  func connectionReceived(_ connection: Connection) { process() }

  func connectionReachedEnd(_ connection: Connection) {
    process()
    if connection.isOpen { connection.close() }
  }

  func connectionDrained(_ connection: Connection) {
    engine.outputDrained()
    process()
    guard !connection.isOverHighWatermark else { return }
    var blocked: [Exchange] = []
    engine.forEachStream { _, context in
      if let context { blocked.append(unsafeDowncast(context, to: Exchange.self)) }
    }
    for exchange in blocked { exchange.upstreamWritable() }
  }

  func connectionClosed(_ connection: Connection, _ reason: CloseReason) {
    pool.worker.loop.cancel(timer)
    pool.remove(self)
    if isOpen { pool.worker.upstreamClosed(connection, tls: pool.isMesh, toApplication: pool.isLocalApplication) }
    // In TLS 1.3 a client is open before the server has judged its certificate: a refusal comes as the end of an open connection.
    var wasRefused = !isOpen
    if case .tls = reason { wasRefused = true }
    let error: ProxyError =
      wasRefused ? pool.connectError(reason) : reason == .keepaliveTimeout ? .upstreamSilent : .upstreamClosed
    var open: [Exchange] = []
    if isOpen {
      engine.forEachStream { _, context in
        if let context { open.append(unsafeDowncast(context, to: Exchange.self)) }
      }
    }
    let unsent = waiting
    waiting = []
    for exchange in open { exchange.upstreamFailed(error, onReusedConnection: true) }
    for exchange in unsent { exchange.upstreamFailed(wasRefused ? error : .upstreamRefusedStream) }
  }

  // MARK: - Events

  private func process() {
    guard !isProcessing, isOpen, let engine, let connection else { return }
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
    if !waiting.isEmpty { engine.isPeerGoingAway ? refuseWaiting() : startWaiting() }
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
      if isLocal { countFault("http2_stream_error") }
      if let exchange = exchange(stream) {
        engine.setContext(nil, for: stream)
        exchange.upstreamFailed(code == .refusedStream ? .upstreamRefusedStream : .upstreamReset(by: code))
      }
    case .writable(let stream):
      exchange(stream)?.upstreamWritable()
    case .goAway:
      isRetired = true
      pool.remove(self)
    case .settings, .pong:
      break
    case .failure:
      countFault("http2_connection_error")
      connection.closeAfterFlush()
      return false
    }
    return true
  }

  private func countFault(_ reason: StaticString) {
    if let limit = engine.exceededLimit {
      pool.worker.limitReached(limit.name, by: connection)
    } else {
      pool.worker.metrics.protocolError(.outbound, reason)
    }
  }

  private func exchange(_ stream: HTTP2StreamID) -> Exchange? {
    guard let context = engine.context(of: stream) else { return nil }
    return unsafeDowncast(context, to: Exchange.self)
  }

  private func receiveHead(_ exchange: Exchange, _ endStream: Bool) {
    let head = engine.receivedHead
    if exchange.isUpgrade, head.status == 200, !head.contains(.xApusUpgrade) {
      // The answer to an extended CONNECT: an upgrade that was accepted.
      head.status = 101
      head.append(.upgrade, exchange.request.bytes(exchange.upgradeProtocol))
    }
    let isTunnel = exchange.isTunnel && head.status < 300 || exchange.isUpgrade && head.status == 101
    let framing: BodyFraming = isTunnel ? .tunnel : endStream ? .none : head.declaredFraming
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
    let (method, authority) = (head.method, head.authority)
    if exchange.isUpgrade {
      head.method = .connect
      if let upgrade = head.value(.upgrade) { exchange.upgradeProtocol = head.intern(upgrade) }
      head.connectProtocol = exchange.upgradeProtocol
    }
    head.removeHopByHopFields(keepingTrailersTE: true)
    if pool.isMesh { addMeshFields(exchange) }
    if head.scheme.isEmpty, !exchange.isTunnel { head.scheme = head.intern("http") }
    engine.sendHead(head, on: stream, endStream: last)
    head.method = method
    head.authority = authority
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
    if let trailers {
      engine.sendTrailers(trailers, on: stream)
    } else {
      _ = engine.sendData(UnsafeRawBufferPointer(start: nil, count: 0), on: stream, endStream: true)
    }
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
    guard engine.activeStreamCount == 0 else { return }
    lifetime.streamsEnded(pool.worker.loop.now)
    if !isProcessing { closeIfUnused() }
  }

  // MARK: - Life

  func timerFired(_ timer: LoopTimer) {
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
    guard isRetired, engine.activeStreamCount == 0, waiting.isEmpty, connection.isOpen else { return }
    engine.sendGoAway(.noError)
    connection.closeAfterFlush()
  }
}
