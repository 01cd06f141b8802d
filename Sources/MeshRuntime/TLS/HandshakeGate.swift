internal import CLinux
package import MeshCore

/// How many handshakes of clients a loop has under way: each holds some 60 KiB, and a thousand peers may come at once when a proxy starts.
///
/// A client takes a place with its first bytes, so that silent ones take none. Past `limit` clients wait, first come first served, as mere
/// connections; past `waitingLimit` they are refused. While at least half of the places are taken, a client must answer within `crowdedTimeout`,
/// so that those who begin and do not go on cannot keep the others out for long. Answers that wait for us are not held against it.
/// Confined to its loop.
package struct HandshakeGate {
  package var limit = 256
  package var waitingLimit = 4_096
  /// Longer than proxies wait for a connection (`ProxyLimits.connectTimeout`).
  package var crowdedTimeout = TimeSpan.seconds(3)

  enum Entry { case entered, waits, refused }

  package private(set) var active = 0
  /// The most there were at once.
  package private(set) var highest = 0
  private var waiting: [Connection] = []
  private var first = 0

  package var waitingCount: Int { waiting.count - first }
  var isCrowded: Bool { active * 2 > limit }

  mutating func enter(_ connection: Connection) -> Entry {
    if active < limit {
      active += 1
      highest = max(highest, active)
      return .entered
    }
    if waitingCount >= waitingLimit { forgetClosed() }
    guard waitingCount < waitingLimit else { return .refused }
    waiting.append(connection)
    return .waits
  }

  /// A handshake is over. Its place is the returned connection's now.
  mutating func leave() -> Connection? {
    while first < waiting.count {
      let next = waiting[first]
      first += 1
      if first == waiting.count || first >= 1_024 {
        waiting.removeFirst(first)
        first = 0
      }
      if next.phase == .handshaking { return next }
    }
    active -= 1
    return nil
  }

  private mutating func forgetClosed() {
    waiting = waiting[first...].filter { $0.phase == .handshaking }
    first = 0
  }

  mutating func removeAll() {
    waiting.removeAll()
    first = 0
  }
}

// MARK: - A server's handshake

extension Connection {
  /// Begins a TLS handshake as server; `connectionOpened` follows when it is done.
  package func startTLS(server context: TLSContext, handshakeTimeout: TimeSpan = .seconds(10)) {
    guard phase == .open, session == nil else { return }
    pendingServer = context
    phase = .handshaking
    handshakeDeadline = worker.now + handshakeTimeout
    arm(handshakeTimeout)
    if isReadable { enqueue() }
  }

  /// The client's first bytes are here, or it is this client's turn. False when there is nothing to do yet, or any more.
  func beginServerHandshake() -> Bool {
    guard let context = pendingServer else { return false }
    if !holdsHandshake {
      // Nobody ends a connection to wait for an answer in it.
      if waitsForHandshake {
        if endIsNear { close(.peerClosed) }
        return false
      }
      switch worker.handshakes.enter(self) {
      case .entered: holdsHandshake = true
      case .waits:
        waitsForHandshake = true
        return false
      case .refused:
        close(.tls(.tooManyHandshakes, detail: "\(worker.handshakes.waitingCount) clients wait for their handshake"))
        return false
      }
    }
    pendingServer = nil
    waitsForHandshake = false
    guard let made = TLSSession(server: context, descriptor: descriptor) else {
      close(.tls(.protocolError, detail: "OpenSSL could not make a session"))
      return false
    }
    session = made
    if endIsNear { made.noteEndIsNear() }
    if worker.handshakes.isCrowded { armCrowded() }
    return true
  }

  private func armCrowded() { arm(min(worker.handshakes.crowdedTimeout, handshakeDeadline - worker.now)) }

  /// The time is up. False when it is we who are late, and the client has its answer here already.
  func handshakeTimedOut() -> Bool {
    guard holdsHandshake, worker.now < handshakeDeadline, clinux_unread_bytes(descriptor) > 0 else { return true }
    armCrowded()
    isReadable = true
    session?.noteReadable()
    enqueue()
    return false
  }

  /// Gives the place to who waits longest.
  func leaveHandshake() {
    guard holdsHandshake else { return }
    holdsHandshake = false
    guard let next = worker.handshakes.leave() else { return }
    next.holdsHandshake = true
    next.enqueue()
  }
}
