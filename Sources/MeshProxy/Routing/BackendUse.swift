import MeshPolicy

/// One of the workers of a proxy.
struct WorkerPart: Sendable {
  var index = 0
  var count = 1
}

/// What one worker uses of a backend now, and the most it may: its part of `BackendLimits`. Never above, except where the limit
/// was lowered meanwhile: what is there then ends by itself.
struct BackendUse {
  private(set) var maximumConnections = Int.max
  private(set) var maximumPending = Int.max
  private(set) var maximumActive = Int.max
  /// Opened for this backend's sake and able to take requests.
  var connections = 0
  /// Requests that wait for a connection.
  var pending = 0
  /// Requests and tunnels under way.
  var active = 0

  mutating func take(_ limits: BackendLimits, _ part: WorkerPart) {
    maximumConnections = BackendLimits.share(of: limits.connections, worker: part.index, of: part.count)
    maximumPending = BackendLimits.share(of: limits.pendingRequests, worker: part.index, of: part.count)
    maximumActive = BackendLimits.share(of: limits.activeRequests, worker: part.index, of: part.count)
  }
}

/// A connection's place among those of the backend that it was opened for. Given back once, at its end or when it takes no more
/// requests, whichever is first.
struct ConnectionPlace {
  private var backend: BackendEntry?

  init(of backend: BackendEntry?) {
    self.backend = backend
    backend?.use.connections += 1
  }

  func isOf(_ other: BackendEntry) -> Bool { backend === other }

  mutating func giveBack() {
    backend?.use.connections -= 1
    backend = nil
  }
}
