import MeshCore
import MeshRuntime
import MeshTelemetry

/// Idle HTTP/1 connections of one worker to one application address, the most recently used first.
///
/// A burst of requests does not become a burst of connections: `ProxyLimits.maximumConnecting` are opened at once, the other requests
/// wait for the next connection that opens or becomes free. So thousands of requests that one client asks for together do not stand
/// as thousands of ready sockets before everyone else's in the loop, and meet an application that is not busy accepting.
///
/// Confined to one worker loop. Limits: `ProxyLimits.maximumIdlePerPool` connections, each for `upstreamIdleTimeout`;
/// `maximumPendingPerPeer` requests that wait.
final class HTTP1Pool: TurnHandler {
  /// Outlives everything on its loop. Counted, the reference would cost two atomic operations at each use.
  unowned(unsafe) let worker: ProxyWorker
  let address: SocketAddress
  /// The address is this workload's own application, not a remote endpoint: failures read differently.
  let isLocalApplication: Bool
  private var idle: [HTTP1ClientConnection] = []
  /// Connections being opened.
  private var connecting = 0
  private var waiting = ConnectQueue()
  private var servesAtEndOfTurn = false

  init(worker: ProxyWorker, address: SocketAddress, isLocalApplication: Bool) {
    self.worker = worker
    self.address = address
    self.isLocalApplication = isLocalApplication
  }

  /// Gives the exchange a connection: an idle one at once, or the first that opens or becomes free for it.
  func serve(_ exchange: Exchange) {
    while let connection = idle.popLast() {
      if connection.reuse(for: exchange) { return }
      // Closed by its server, or holding bytes that nobody asked for.
      connection.connection.abort()
    }
    guard connecting >= worker.limits.maximumConnecting else {
      connecting += 1
      _ = HTTP1ClientConnection(pool: self, for: exchange)
      return
    }
    guard waiting.count < worker.limits.maximumPendingPerPeer else {
      worker.metrics.limitHit("pending_per_peer")
      return exchange.upstreamFailed(.upstreamOverflow)
    }
    waiting.append(exchange)
  }

  /// A connection has opened (nil), or was closed before.
  func connectEnded(_ reason: CloseReason?) {
    connecting -= 1
    // Whoever stands behind a connect that timed out has waited as long, for the same silent address.
    if case .connectTimeout? = reason {
      var behind = waiting
      waiting = ConnectQueue()
      while let exchange = behind.next() { exchange.upstreamFailed(.connectTimeout) }
    }
    while connecting < worker.limits.maximumConnecting, let exchange = waiting.next() { serve(exchange) }
  }

  func giveBack(_ connection: HTTP1ClientConnection) {
    guard waiting.count > 0 || idle.count < worker.limits.maximumIdlePerPool && !worker.isDraining else {
      connection.connection.close()
      return
    }
    idle.append(connection)
    // Not at once: the last bytes of the answer are still in the connection's input while they are handed on.
    guard waiting.count > 0, !servesAtEndOfTurn else { return }
    servesAtEndOfTurn = true
    worker.loop.endOfTurn(self)
  }

  func turnEnded() {
    servesAtEndOfTurn = false
    while !idle.isEmpty, let exchange = waiting.next() { serve(exchange) }
  }

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

  func closeIdle() {
    let closing = idle
    idle.removeAll()
    for connection in closing { connection.connection.close() }
  }

  func connectError(_ reason: CloseReason) -> ProxyError {
    switch reason {
    case .connectTimeout: .connectTimeout
    default: isLocalApplication ? .applicationRefused : .connectRefused
    }
  }
}

/// Exchanges in the order in which they came to wait for a connection. Those that ended meanwhile are skipped.
private struct ConnectQueue {
  private struct Place {
    let exchange: Exchange
    let generation: UInt32
  }

  private var places: [Place] = []
  private var first = 0

  var count: Int { places.count - first }

  mutating func append(_ exchange: Exchange) {
    places.append(Place(exchange: exchange, generation: exchange.generation))
  }

  mutating func next() -> Exchange? {
    while first < places.count {
      let place = places[first]
      first += 1
      if first == places.count {
        places.removeAll(keepingCapacity: first <= 1_024)
        first = 0
      }
      if place.exchange.generation == place.generation, place.exchange.phase == .connecting { return place.exchange }
    }
    return nil
  }
}
