import MeshCore

/// How long a server's HTTP/1 connection waits for its client: for a head that has begun, and between requests.
///
/// Pure. Limits: `ProxyLimits.headerTimeout`, `downstreamIdleTimeout`.
struct ClientWait {
  enum Verdict {
    /// Look again after this time.
    case wait(TimeSpan)
    /// The head is late.
    case headTimeout
    case idleTimeout
    /// Nothing is being read, and the proxy drains.
    case drained
  }

  /// When the client began to owe a head; nil while a request is served, and between requests.
  private var headStart: Instant?
  private var idleSince: Instant

  /// A connection owes its first head from its start.
  init(now: Instant) {
    headStart = now
    idleSince = now
  }

  var isForHead: Bool { headStart != nil }

  mutating func headBegan(_ now: Instant) { headStart = now }
  mutating func headArrived() { headStart = nil }
  mutating func answered(_ now: Instant) { idleSince = now }

  /// While no request is served.
  func verdict(_ now: Instant, _ limits: ProxyLimits, isDraining: Bool) -> Verdict {
    if let headStart {
      let left = limits.headerTimeout - (now - headStart)
      return left > .zero ? .wait(left) : .headTimeout
    }
    if isDraining { return .drained }
    let left = limits.downstreamIdleTimeout - (now - idleSince)
    return left > .zero ? .wait(left) : .idleTimeout
  }
}
