internal import CLinux
internal import Glibc
package import MeshCore

/// One TCP connection with its two byte queues and, if asked for, a TLS session.
///
/// Owned by its worker until closed; all use is on that worker's loop. The handler reads `input` and consumes, writes
/// to `output` (its own or another connection's) and calls `flushSoon`. Handler calls never nest inside calls of this
/// class: what `close` leads to is delivered later in the same turn. Limits: reading stops at `inputHighWatermark`
/// until the handler consumes; `output` has no hard bound, its writers stop at `isOverHighWatermark` and go on with
/// `connectionDrained`. An idle connection holds no buffer.
package final class Connection: TimerHandler {
  enum Phase {
    case connecting, handshaking, open
    /// Flushed and half-closed by us; input is discarded until the peer ends or the time is up.
    case lingering
    case closed
  }

  package let input: ByteQueue
  package let output: ByteQueue
  package var handler: (any ConnectionHandler)?
  package let peerAddress: SocketAddress
  /// Set once the TLS handshake is done.
  package internal(set) var tls: TLSInfo?
  package internal(set) var bytesRead: UInt64 = 0
  package internal(set) var bytesWritten: UInt64 = 0
  /// The turn in which bytes last came or went.
  package internal(set) var lastActivity: Instant
  /// The turn in which bytes last came: the peer's last sign of life.
  package internal(set) var lastReceived: Instant

  package var inputHighWatermark = 64 * 1024
  package var outputHighWatermark = 64 * 1024
  package var outputLowWatermark = 16 * 1024
  /// Many exchanges write here: while more events are ready, its flush waits for what they will add (see
  /// `Worker.gatherTurns`), so that they share system calls and TLS records.
  package var gathersOutput = false
  /// How long `closeAfterFlush` waits without progress for the peer to take the output, then for its end of file.
  package var lingerTime = TimeSpan.seconds(1)

  /// While turns are long, its events are handled after those of others.
  package var standsBack = false
  /// What a flush leaves in the output counts in `Worker.waitingOutput`.
  package var countsWaitingOutput = false
  /// The part of that count which is this connection's. At most the high watermark: past it the writers know.
  package private(set) var waitingOutput = 0

  /// A peer that takes nothing of the waiting output for so long is cut off; zero switches it off.
  package var flushTimeout = TimeSpan.zero

  /// A constant, so that its use counts no references, as that of an `unowned(unsafe)` one does. The worker lets go of what
  /// is closed, and at its end closes everything.
  package let worker: Worker
  let descriptor: Int32
  var key = Slab<EventSource>.Key(rawValue: .max)
  var phase: Phase
  var session: TLSSession?
  /// TLS to start when the connect completes.
  var pendingTLS: TLSClient?
  /// TLS to start when the client's first bytes are here and there is a place for its handshake.
  var pendingServer: TLSContext?
  var holdsHandshake = false
  var waitsForHandshake = false
  /// Of a server's handshake.
  var handshakeDeadline = Instant(nanoseconds: 0)
  var reason = CloseReason.local
  /// What `connectionClosed` says after lingering.
  var lingerReason = CloseReason.local
  /// Connect, handshake, flush and linger timeouts: never two at a time.
  private var timer: LoopTimer?

  // Edge-triggered readiness: set by events, cleared when the socket would block.
  var isReadable = false
  var isWritable: Bool
  /// The kernel has seen FIN (or worse): read to the end, a short read proves nothing.
  var endIsNear = false
  var hasSocketError = false
  var isReadPaused = false
  var reachedEnd = false
  var deliversAgain = false
  var drainedPending = false
  var flushesAgain = false
  var isOverflowing = false
  var isFlushTimed = false
  var wantsWriteShutdown = false
  var writeIsShut = false
  var wantsClose = false
  // Membership of the worker's lists.
  var isQueued = false
  var isDirty = false
  var isStalled = false
  var readSize = 4096
  var discarded = 0

  init(worker: Worker, descriptor: Int32, peer: SocketAddress?, isConnecting: Bool) {
    self.worker = worker
    self.descriptor = descriptor
    input = ByteQueue(pool: worker.pool)
    output = ByteQueue(pool: worker.pool)
    phase = isConnecting ? .connecting : .open
    isWritable = !isConnecting
    lastActivity = worker.now
    lastReceived = worker.now
    if let peer {
      peerAddress = peer
    } else {
      var address = clinux_address()
      _ = clinux_peer_address(descriptor, &address)
      peerAddress = SocketAddress(address)
    }
  }

  deinit {
    if phase != .closed, descriptor >= 0 { clinux_close(descriptor) }
  }

  // MARK: - State

  package var isOpen: Bool { phase != .closed && phase != .lingering && !wantsClose }
  package var isOverHighWatermark: Bool { output.count >= outputHighWatermark }
  /// This side began the TLS session.
  package var isTLSClient: Bool { session?.isClient ?? false }
  /// True once the peer has ended its side.
  package var hasReachedEnd: Bool { reachedEnd }

  /// The kernel may hold bytes that have not been read yet.
  package var mayHaveInput: Bool { isReadable }

  /// Asks the kernel: it holds neither bytes nor the peer's end. One system call. Plaintext only: TLS has its own queue.
  package var isQuiet: Bool {
    guard phase == .open, session == nil else { return false }
    worker.counters.reads += 1
    return clinux_peek(descriptor) == -Int(EAGAIN)
  }

  // MARK: - Writing

  /// Has the output flushed at the end of this turn, together with what others still add to it.
  package func flushSoon() {
    guard !isDirty, phase != .closed else { return }
    isDirty = true
    worker.enqueueDirty(self)
  }

  /// Ends our side once the output is flushed (close_notify, FIN). Reading goes on.
  package func shutdownWrite() {
    guard !wantsWriteShutdown else { return }
    wantsWriteShutdown = true
    flushSoon()
  }

  func countWaitingOutput(_ bytes: Int) {
    worker.waitingOutput &+= bytes &- waitingOutput
    waitingOutput = bytes
  }

  // MARK: - Reading

  /// Drops the first `count` bytes of `input`.
  package func consume(_ count: Int) { input.consume(count) }

  /// Stops reading; what the kernel holds stays there, so the peer is slowed down.
  package func pauseReading() { isReadPaused = true }

  /// Goes on reading. Bytes already in `input` are announced again in the next turn.
  package func resumeReading() {
    guard isReadPaused else { return }
    isReadPaused = false
    deliversAgain = deliversAgain || !input.isEmpty
    if deliversAgain || canRead { enqueue() }
  }

  /// Announces what is in `input` again in the next turn, for handlers that stopped half-way.
  package func receiveAgain() {
    deliversAgain = true
    enqueue()
  }

  // MARK: - Closing

  /// Closes at once, without flushing. `connectionClosed` follows in this turn.
  package func close(_ reason: CloseReason = .local) {
    guard phase != .closed else { return }
    phase = .closed
    leaveHandshake()
    pendingServer = nil
    countWaitingOutput(0)
    self.reason = reason
    switch reason {
    case .local, .idle, .peerClosed: _ = session?.sendCloseNotify()
    default: break
    }
    if descriptor >= 0 {
      clinux_close(descriptor)
      worker.counters.closes += 1
    }
    worker.forget(key)
    worker.enqueueClosing(self)
  }

  /// Flushes the output, ends our side and waits a bounded time for the peer's end while discarding its input, so that
  /// the last bytes are not destroyed by a reset; then closes with `.local`.
  package func closeAfterFlush() {
    guard phase != .closed, !wantsClose else { return }
    if phase == .connecting || phase == .handshaking { return close(.local) }
    wantsClose = true
    wantsWriteShutdown = true
    arm(lingerTime)
    flushSoon()
  }

  /// Closes at once with RST.
  package func abort(_ reason: CloseReason = .aborted) {
    guard phase != .closed else { return }
    if descriptor >= 0 { _ = clinux_set_reset_on_close(descriptor) }
    close(reason)
  }

  func deliverClose() {
    disarm()
    output.removeAll()
    let handler = self.handler
    self.handler = nil
    handler?.connectionClosed(self, reason)
    session = nil
  }

  // MARK: - Timeouts

  func arm(_ after: TimeSpan) {
    let timer = self.timer ?? LoopTimer(owner: self)
    self.timer = timer
    worker.schedule(timer, after: after)
  }

  func disarm() {
    if let timer { worker.cancel(timer) }
  }

  package func timerFired(_ timer: LoopTimer) {
    switch phase {
    case .connecting: close(.connectTimeout)
    case .handshaking:
      guard handshakeTimedOut() else { return }
      close(.tls(.handshakeTimeout, detail: "the peer did not finish the handshake in time"))
    case .lingering: close(lingerReason)
    case .open: if wantsClose { abort() } else { cutSlowReader() }
    case .closed: break
    }
  }
}
