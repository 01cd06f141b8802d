import MeshCore
import MeshRuntime
import MeshTelemetry

/// Idle HTTP/1 connections of one worker to one application or server address, the most recently used first.
///
/// A burst of requests does not become a burst of connections: `ProxyLimits.maximumConnecting` are opened at once, the other requests
/// wait for the next connection that opens or becomes free. So thousands of requests that one client asks for together do not stand
/// as thousands of ready sockets before everyone else's in the loop, and meet an application that is not busy accepting. Those that
/// wait get their connections at the end of turns, each turn some: opening one costs as much as serving a few requests.
///
/// Confined to one worker loop. Limits: `ProxyLimits.maximumIdlePerPool` connections, each for `upstreamIdleTimeout`;
/// `maximumPendingPerPeer` requests that wait.
final class HTTP1Pool: TurnHandler, TimerHandler {
  /// Outlives everything on its loop. Counted, the reference would cost two atomic operations at each use.
  unowned(unsafe) let worker: ProxyWorker
  let address: SocketAddress
  /// The address is this workload's own application, not a remote endpoint: failures read differently.
  let isLocalApplication: Bool
  /// Of a server outside the mesh; nil for plaintext.
  let tls: UpstreamTLS?
  /// Why the server's last handshake failed; nil after a good one.
  private(set) var tlsFailure: String?
  private var idle: [HTTP1ClientConnection] = []
  /// Connections being opened.
  private var connecting = 0
  /// Connections at all.
  private var total = 0
  private var waiting = ConnectQueue()
  private var servesAtEndOfTurn = false
  /// New connections for streams in one turn, soon after a long one.
  private static let crowdedShare = 4
  /// Requests wait because their backend may have no more connections.
  private var isBlocked = false
  /// The loop's number of the turn in which some of them were served last.
  private var lastTurn: UInt64 = 0
  private lazy var nextTurn = LoopTimer(owner: self, tag: 0)

  init(worker: ProxyWorker, address: SocketAddress, tls: UpstreamTLS?, isLocalApplication: Bool) {
    self.worker = worker
    self.address = address
    self.tls = tls
    self.isLocalApplication = isLocalApplication
  }

  /// Gives the exchange a connection: an idle one at once, or the first that opens or becomes free for it.
  func serve(_ exchange: Exchange) {
    if let tls, !tls.isUsable { return exchange.upstreamFailed(tls.obstacle) }
    let waits = waiting.count > 0 || idle.isEmpty && !mayConnectAtOnce(for: exchange)
    guard waits else { return connect(exchange) }
    guard waiting.hasRoom(worker.limits.maximumPendingPerPeer) else {
      // It had to wait for its manners only.
      if waiting.count == 0, connecting < worker.limits.maximumConnecting { return connect(exchange) }
      worker.metrics.limitHit("pending_per_peer")
      return exchange.upstreamFailed(.upstreamOverflow)
    }
    guard exchange.startWaiting() else { return exchange.upstreamFailed(.backendOverflow) }
    waiting.append(exchange)
    if connecting < worker.limits.maximumConnecting { serveAtEndOfTurn() }
  }

  /// Those who stand back may take back in this turn what they ask for in it: that should not cost a connection.
  private func mayConnectAtOnce(for exchange: Exchange) -> Bool {
    connecting < worker.limits.maximumConnecting && !exchange.standsBack && !worker.loop.isTurnLong
  }

  private func connect(_ exchange: Exchange) {
    while let connection = idle.popLast() {
      if connection.reuse(for: exchange) { return }
      // Closed by its server, or holding bytes that nobody asked for.
      connection.connection.abort()
    }
    open(exchange)
  }

  private func open(_ exchange: Exchange) {
    guard exchange.startWaiting() else { return exchange.upstreamFailed(.backendOverflow) }
    guard exchange.mayConnect() else {
      // One of those that are here will become free.
      isBlocked = total > 0
      return total > 0 ? waiting.append(exchange) : exchange.upstreamFailed(.backendOverflow)
    }
    connecting += 1
    total += 1
    _ = HTTP1ClientConnection(pool: self, for: exchange)
  }

  /// A connection is gone, and perhaps the last one that somebody waits for.
  func connectionEnded() {
    total -= 1
    serveAtEndOfTurn()
  }

  /// A connection has opened (nil), or was closed before.
  func connectEnded(_ reason: CloseReason?) {
    connecting -= 1
    if tls != nil { note(reason) }
    // Whoever stands behind a connect that timed out has waited as long, for the same silent address.
    if case .connectTimeout? = reason {
      var behind = waiting
      waiting = ConnectQueue()
      while let exchange = behind.next() { exchange.upstreamFailed(.connectTimeout) }
    }
    serveAtEndOfTurn()
  }

  private func note(_ reason: CloseReason?) {
    if case .tls(let failure, let detail)? = reason { tlsFailure = "\(failure): \(detail)" }
    if reason == nil { tlsFailure = nil }
  }

  func giveBack(_ connection: HTTP1ClientConnection) {
    guard waiting.count > 0 || idle.count < worker.limits.maximumIdlePerPool && !worker.isDraining else {
      connection.connection.close()
      return
    }
    idle.append(connection)
    // Not at once: the last bytes of the answer are still in the connection's input while they are handed on.
    serveAtEndOfTurn()
  }

  // MARK: - Those that wait

  private func serveAtEndOfTurn() {
    guard waiting.count > 0, !servesAtEndOfTurn else { return }
    servesAtEndOfTurn = true
    worker.loop.endOfTurn(self)
  }

  func turnEnded() {
    servesAtEndOfTurn = false
    // Once in a turn: what it brings everybody else should wait for, too.
    guard nextTurn.isScheduled || lastTurn == worker.loop.counters.turns else { return serveSome() }
    goOnNextTurn()
  }

  func timerFired(_ timer: LoopTimer) { serveSome() }

  private func goOnNextTurn() {
    if waiting.count > 0, !nextTurn.isScheduled { worker.loop.schedule(nextTurn, after: .zero) }
  }

  /// For as long as the turn is not long; two at least, so that it goes on however long turns are. Soon after a long turn
  /// streams get four new connections: what others ask for in the same turn waits for each of them. Clients with one request at a
  /// time come on, and what finds an idle connection does.
  private func serveSome() {
    lastTurn = worker.loop.counters.turns
    var served = 0
    var openedForStreams = 0
    while !idle.isEmpty || connecting < worker.limits.maximumConnecting, let exchange = waiting.first {
      // Nothing to serve it by before a connection of this pool becomes free or ends.
      if idle.isEmpty, total > 0, let backend = exchange.backend, !backend.makesRoomForConnection() {
        return noteBlocked(backend)
      }
      isBlocked = false
      _ = waiting.next()
      if idle.isEmpty, exchange.downstream.isMultiplexed { openedForStreams += 1 }
      connect(exchange)
      served += 1
      if openedForStreams >= Self.crowdedShare, worker.loop.isCrowded { return goOnNextTurn() }
      if served & 1 == 0, worker.loop.isTurnLong { return goOnNextTurn() }
    }
  }

  /// Counted once for each time that it begins.
  private func noteBlocked(_ backend: BackendEntry) {
    if !isBlocked { backend.count(.connectionOverflow, worker) }
    isBlocked = true
  }

  // MARK: - Those that are idle

  func remove(_ connection: HTTP1ClientConnection) {
    if let i = idle.lastIndex(where: { $0 === connection }) { idle.remove(at: i) }
  }

  /// Closes what has been idle too long. The oldest stand first.
  func sweep(now: Instant) {
    var expired = 0
    while expired < idle.count, now - idle[expired].idleSince >= worker.limits.upstreamIdleTimeout { expired += 1 }
    guard expired > 0 else { return }
    let closing = idle[..<expired]
    idle.removeFirst(expired)
    for connection in closing { connection.connection.close() }
  }

  /// The one that has been idle longest.
  func closeIdle(of backend: BackendEntry) -> Bool {
    guard let i = idle.firstIndex(where: { $0.place.isOf(backend) }) else { return false }
    let connection = idle.remove(at: i)
    connection.place.giveBack()
    connection.connection.close()
    return true
  }

  func closeIdle() {
    let closing = idle
    idle.removeAll()
    for connection in closing { connection.connection.close() }
  }

  func connectError(_ reason: CloseReason) -> ProxyError {
    switch reason {
    case .connectTimeout: .connectTimeout
    case .tls(let failure, let detail) where tls != nil: worker.tlsRefused(address, failure, detail)
    default: isLocalApplication ? .applicationRefused : .connectRefused
    }
  }
}

/// Exchanges in the order in which they came to wait for a connection. Those that ended meanwhile are skipped.
struct ConnectQueue {
  private struct Place {
    let exchange: Exchange
    let generation: UInt32
    /// One that ran out of time here may wait again, here or elsewhere.
    let attempt: Int

    var isStillWaiting: Bool {
      exchange.generation == generation && exchange.attempts == attempt && exchange.phase == .connecting
    }
  }

  private var places: [Place] = []
  private var head = 0
  /// Those that have come since the last search for some that ended.
  private var comeSinceSearch = 0

  /// With those that ended, as long as nobody needed their places.
  var count: Int { places.count - head }

  /// Whether one more may wait where `limit` may. Full, it forgets those that ended; it searches them once for every
  /// eighth part of the limit that came, so that a full queue costs next to nothing for each.
  mutating func hasRoom(_ limit: Int) -> Bool {
    if count < limit { return true }
    guard comeSinceSearch > limit / 8 else { return false }
    comeSinceSearch = 0
    places.removeFirst(head)
    head = 0
    places.removeAll { !$0.isStillWaiting }
    return count < limit
  }

  mutating func append(_ exchange: Exchange) {
    comeSinceSearch += 1
    places.append(Place(exchange: exchange, generation: exchange.generation, attempt: exchange.attempts))
  }

  /// The one that `next` would give.
  var first: Exchange? {
    mutating get {
      dropEnded()
      return head < places.count ? places[head].exchange : nil
    }
  }

  private mutating func dropEnded() {
    while head < places.count, !places[head].isStillWaiting { removeFirst() }
  }

  private mutating func removeFirst() {
    head += 1
    guard head == places.count else { return }
    places.removeAll(keepingCapacity: head <= 1_024)
    head = 0
  }

  mutating func next() -> Exchange? {
    dropEnded()
    guard head < places.count else { return nil }
    defer { removeFirst() }
    return places[head].exchange
  }
}
