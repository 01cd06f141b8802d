internal import CLinux
internal import Glibc
import MeshCore

// What the loop calls: readiness events, left-over turns, and the phases of a connection's beginning and end.
extension Connection {
  var canRead: Bool {
    (isReadable || session?.hasPendingInput == true) && !isReadPaused && !reachedEnd
  }

  /// Has this connection handled in the next turn.
  func enqueue() {
    guard !isQueued, phase != .closed else { return }
    isQueued = true
    worker.enqueueReady(self)
  }

  // MARK: - Events

  func handleEvents(_ flags: UInt32) {
    noteEvents(flags)
    proceed()
  }

  /// What edge-triggered readiness tells but once.
  func noteEvents(_ flags: UInt32) {
    if flags & (CLINUX_RDHUP | CLINUX_HUP | CLINUX_ERR) != 0 {
      endIsNear = true
      hasSocketError = hasSocketError || flags & CLINUX_ERR != 0
      session?.noteEndIsNear()
    }
    if flags & (CLINUX_IN | CLINUX_RDHUP | CLINUX_HUP | CLINUX_ERR) != 0 {
      isReadable = true
      session?.noteReadable()
    }
    if flags & (CLINUX_OUT | CLINUX_HUP | CLINUX_ERR) != 0 {
      if session?.noteWritable() == true { isReadable = true }
    }
    if flags & (CLINUX_OUT | CLINUX_HUP | CLINUX_ERR) != 0, !isWritable {
      isWritable = true
      if phase != .connecting, !output.isEmpty || wantsWriteShutdown { flushSoon() }
    }
  }

  /// The fair-turn queue: bytes that were left over, or announced again.
  func handleTurn() {
    isQueued = false
    if drainedPending, phase == .open {
      drainedPending = false
      handler?.connectionDrained(self)
    }
    if flushesAgain {
      flushesAgain = false
      flushSoon()
    }
    proceed()
  }

  private func proceed() {
    switch phase {
    case .connecting: finishConnecting()
    case .handshaking: handshake()
    case .open: receive()
    case .lingering: discardInput()
    case .closed: break
    }
  }

  // MARK: - Beginning

  func beginConnecting(timeout: TimeSpan, tls: TLSClient?) {
    pendingTLS = tls
    arm(timeout)
  }

  private func finishConnecting() {
    guard isWritable || hasSocketError else { return }
    let code = clinux_socket_error(descriptor)
    guard code == 0 else { return close(.connecting(code)) }
    disarm()
    phase = .open
    guard let tls = pendingTLS else {
      handler?.connectionOpened(self)
      if phase == .open, isReadable { receive() }
      return
    }
    pendingTLS = nil
    startTLS(client: tls)
    if phase == .handshaking { handshake() }
  }

  /// Begins a TLS handshake as client on an adopted connection.
  package func startTLS(client: TLSClient) {
    beginHandshake(
      TLSSession(client: client, peer: peerAddress, descriptor: descriptor), timeout: client.handshakeTimeout)
  }

  private func beginHandshake(_ session: TLSSession?, timeout: TimeSpan) {
    guard phase == .open, self.session == nil else { return }
    guard let session else { return close(.tls(.protocolError, detail: "OpenSSL could not make a session")) }
    self.session = session
    if endIsNear { session.noteEndIsNear() }
    phase = .handshaking
    arm(timeout)
    enqueue()
  }

  private func handshake() {
    guard session != nil || beginServerHandshake(), let session else { return }
    let outcome = session.handshake()
    collectCounts(session)
    switch outcome {
    case .wantsMore:
      isReadable = false
      isWritable = !session.isWriteBlocked
    case .failed(let failure, let detail):
      leaveHandshake()
      worker.counters.handshakeFailures += 1
      failHandshake(.tls(failure, detail: detail))
    case .done(let info):
      leaveHandshake()
      disarm()
      worker.counters.handshakes += 1
      worker.counters.handshakesResumed += info.resumed ? 1 : 0
      tls = info
      phase = .open
      lastActivity = worker.now
      lastReceived = worker.now
      handler?.connectionOpened(self)
      // The last flight of the handshake may have brought data with it.
      if phase == .open { receive() }
    }
  }

  /// A server gives its alert time to arrive: the client's first data may already be on the way, and would turn a
  /// close into a reset that destroys it.
  private func failHandshake(_ reason: CloseReason) {
    guard let session, !session.isClient, !endIsNear else { return close(reason) }
    lingerReason = reason
    self.session = nil
    _ = clinux_shutdown_write(descriptor)
    isReadable = true
    beginLingering()
  }

  func collectCounts(_ session: TLSSession) {
    let counts = session.takeCounts()
    worker.counters.reads &+= counts.reads
    worker.counters.writes &+= counts.writes
    worker.counters.bytesRead &+= counts.bytesRead
    worker.counters.bytesWritten &+= counts.bytesWritten
  }

  // MARK: - End

  /// After the last flush of `closeAfterFlush`: no more handler calls but the last.
  func beginLingering() {
    guard !reachedEnd else { return close(lingerReason) }
    phase = .lingering
    input.removeAll()
    arm(lingerTime)
    discardInput()
  }

  /// At most 1 MiB: a peer that goes on sending is cut off.
  private func discardInput() {
    while isReadable {
      let room = input.reserve(16 * 1024)
      let n = clinux_recv(descriptor, room.baseAddress, room.count)
      worker.counters.reads += 1
      if n > 0 {
        discarded += n
        if discarded > 1 << 20 { break }
      } else if n == -Int(EAGAIN) {
        isReadable = false
        input.removeAll()
        return
      } else {
        break
      }
    }
    input.removeAll()
    if isReadable { close(lingerReason) }
  }
}
