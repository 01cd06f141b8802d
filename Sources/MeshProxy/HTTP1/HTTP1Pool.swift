import MeshCore
import MeshRuntime

/// Idle HTTP/1 connections of one worker to one application address, the most recently used first.
///
/// Confined to one worker loop. Limits: `ProxyLimits.maximumIdlePerPool` connections, each for `upstreamIdleTimeout`.
final class HTTP1Pool {
  /// Outlives everything on its loop. Counted, the reference would cost two atomic operations at each use.
  unowned(unsafe) let worker: ProxyWorker
  let address: SocketAddress
  /// The address is this workload's own application, not a remote endpoint: failures read differently.
  let isLocalApplication: Bool
  private var idle: [HTTP1ClientConnection] = []

  init(worker: ProxyWorker, address: SocketAddress, isLocalApplication: Bool) {
    self.worker = worker
    self.address = address
    self.isLocalApplication = isLocalApplication
  }

  /// Gives the exchange a connection: an idle one at once, or a new one when it has opened.
  func serve(_ exchange: Exchange) {
    while let connection = idle.popLast() {
      if connection.reuse(for: exchange) { return }
      // Closed by its server, or holding bytes that nobody asked for.
      connection.connection.abort()
    }
    _ = HTTP1ClientConnection(pool: self, for: exchange)
  }

  func giveBack(_ connection: HTTP1ClientConnection) {
    guard idle.count < worker.limits.maximumIdlePerPool, !worker.isDraining else {
      connection.connection.close()
      return
    }
    idle.append(connection)
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
