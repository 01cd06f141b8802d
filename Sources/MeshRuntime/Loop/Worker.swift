internal import CLinux
package import MeshCore

/// What an epoll key stands for.
enum EventSource {
  case connection(Connection)
  case listener(Listener)
  /// Of a library.
  case descriptor(DescriptorWatch)
}

/// One event loop on one thread: the isolation domain of the data plane.
///
/// Owns its epoll set, connections, listeners, timers, block pool and counters; none of them leaves the thread that
/// calls `run`. Other threads reach it through `inbox` only. A turn: wait, read the clock once, handle each ready
/// event, the connections left over from the last turn, the inbox and the timers, then `TurnHandler`s, then flush
/// every dirty connection once. See docs/design/0001-event-loop.md. Limits: 256 events per turn; per connection and
/// turn 64 KiB read and 256 KiB written, then the next one's turn.
package final class Worker {
  static let eventsPerTurn = 256
  private static let inboxKey = UInt64.max
  /// A gathering connection is flushed as soon as no event is ready, at the latest after so many turns ...
  static let gatherTurns = 8
  /// ... or so long after the first of them ...
  static let gatherTime = TimeSpan.microseconds(200)
  /// ... or with so many bytes, which fill a TLS record.
  static let gatherBytes = 16 * 1024
  /// A turn of this length keeps everybody waiting: who has many things to do leaves the rest to the next one.
  static let longTurn = TimeSpan.microseconds(250)
  /// So many flushes and closings at the end of a turn take about as long.
  static let manyEndings = 24

  package let index: Int
  /// The loop's clock: read once per turn.
  package private(set) var now: Instant
  package var random: SeededRandom
  package let pool: BlockPool
  package let inbox: WorkerInbox
  package internal(set) var counters = WorkerCounters()
  package var handshakes = HandshakeGate()
  package private(set) var isStopping = false
  /// What flushes left in the outputs of connections with `countsWaitingOutput`, in bytes.
  package internal(set) var waitingOutput = 0

  let epoll: Int32
  private let events: UnsafeMutableRawPointer
  private let wheel: TimerWheel
  private var sources = Slab<EventSource>()

  // Lists keep their storage, so that a turn allocates nothing.
  private var ready: [Connection] = []
  /// The first of `ready` that has not had its turn.
  private var readyStart = 0
  private var dirty: [Connection] = []
  private var stalled: [Connection] = []
  private var closing: [Connection] = []
  private var gathering: [Connection] = []
  private var gatherStart = Instant(nanoseconds: 0)
  private var gatheredTurns = 0
  private(set) var crowding = LoopCrowding()
  /// This turn began as a part of one that was long.
  private var wasLong = false
  private var turnHandlers: [any TurnHandler] = []
  private var inboxBatch: [@Sendable (Worker) -> Void] = []

  package init(index: Int, seed: UInt64) throws(RuntimeError) {
    self.index = index
    random = SeededRandom(seed: seed)
    pool = BlockPool()
    inbox = try WorkerInbox()
    now = MonotonicClock.now
    wheel = TimerWheel(now: now)
    epoll = clinux_epoll_create()
    events = clinux_events_new(Int32(Self.eventsPerTurn))
    guard epoll >= 0 else { throw .cannotCreateLoop(call: "epoll_create1", code: -epoll) }
    let code = clinux_epoll_add(epoll, inbox.descriptor, CLINUX_IN, Self.inboxKey)
    guard code == 0 else { throw .cannotCreateLoop(call: "epoll_ctl", code: -code) }
  }

  deinit {
    clinux_events_free(events)
    if epoll >= 0 { clinux_close(epoll) }
  }

  // MARK: - Sockets

  /// Listens on `address` together with the other workers that do (SO_REUSEPORT). Port 0 takes a free one: see
  /// `Listener.address`.
  package func listen(
    _ address: SocketAddress, backlog: Int = 1024, acceptBatch: Int = 64, handler: any ListenerHandler
  ) throws(RuntimeError) -> Listener {
    let listener = try Listener(
      worker: self, address: address, backlog: backlog, batch: acceptBatch, handler: handler)
    listener.key = sources.insert(.listener(listener))
    do throws(RuntimeError) {
      try listener.register()
    } catch {
      listener.close()
      throw error
    }
    return listener
  }

  /// Takes over a connected socket. The worker owns the descriptor from here on.
  package func adopt(descriptor: Int32) -> Connection {
    _ = clinux_set_nonblocking(descriptor)
    _ = clinux_set_nodelay(descriptor)
    return adopt(descriptor: descriptor, peer: nil)
  }

  func adopt(descriptor: Int32, peer: SocketAddress?) -> Connection {
    let connection = Connection(worker: self, descriptor: descriptor, peer: peer, isConnecting: false)
    register(connection)
    return connection
  }

  /// Connects; never throws: a failure arrives as `connectionClosed`, a success as `connectionOpened`, both in a later turn or
  /// at the end of this one, so that the handler may be set after the call.
  package func connect(
    to address: SocketAddress, from source: SocketAddress? = nil, timeout: TimeSpan, tls: TLSClient? = nil,
    keepAlive: Bool = false, userTimeout: TimeSpan = .zero, handler: (any ConnectionHandler)?
  ) -> Connection {
    var inProgress: Int32 = 0
    let milliseconds = UInt32(clamping: userTimeout.nanoseconds / 1_000_000)
    var from = (source ?? address).native
    let descriptor = clinux_connect(
      address.native, &from, source == nil ? 0 : 1, keepAlive ? 1 : 0, milliseconds, &inProgress)
    counters.connects += 1
    let connection = Connection(worker: self, descriptor: descriptor, peer: address, isConnecting: true)
    connection.handler = handler
    guard descriptor >= 0 else {
      connection.close(.connecting(-descriptor))
      return connection
    }
    connection.beginConnecting(timeout: timeout, tls: tls)
    register(connection)
    return connection
  }

  /// Nothing is waited for yet.
  func watch(_ descriptor: Int32, handler: any DescriptorHandler) -> DescriptorWatch {
    let watch = DescriptorWatch(worker: self, descriptor: descriptor, handler: handler)
    watch.key = sources.insert(.descriptor(watch))
    return watch
  }

  private func register(_ connection: Connection) {
    connection.key = sources.insert(.connection(connection))
    let code = clinux_epoll_add(
      epoll, connection.descriptor, CLINUX_IN | CLINUX_OUT | CLINUX_RDHUP | CLINUX_EDGE, connection.key.rawValue)
    if code < 0 { connection.close(.ioError(errno: -code)) }
  }

  /// Connections and listeners open now.
  package var openSources: Int { sources.count }

  func forget(_ key: Slab<EventSource>.Key) { sources.remove(key) }

  /// `body` opens and closes nothing.
  func forEachConnection(_ body: (Connection) -> Void) {
    sources.forEach { if case .connection(let connection) = $1 { body(connection) } }
  }

  // MARK: - Timers and turns

  /// Arms `timer` to fire once, `after` from the start of this turn; moves it when it is armed already.
  package func schedule(_ timer: LoopTimer, after: TimeSpan) {
    wheel.schedule(timer, at: now + max(after, .zero))
  }

  package func schedule(_ timer: LoopTimer, at deadline: Instant) { wheel.schedule(timer, at: deadline) }

  package func cancel(_ timer: LoopTimer) { wheel.cancel(timer) }

  /// A turn was long a moment ago.
  package var isCrowded: Bool { crowding.isCrowded(now) }

  /// True once this turn has lasted for `longTurn`, or will with what it has to flush and to close. Reads the clock.
  package var isTurnLong: Bool {
    dirty.count + closing.count >= Self.manyEndings || MonotonicClock.now - now >= Self.longTurn
  }

  /// Timers armed now.
  package var armedTimers: Int { wheel.count }

  /// Calls `handler` once at the end of this turn, before the flush.
  package func endOfTurn(_ handler: any TurnHandler) { turnHandlers.append(handler) }

  func enqueueReady(_ connection: Connection) { ready.append(connection) }
  func enqueueDirty(_ connection: Connection) { dirty.append(connection) }
  func enqueueStalled(_ connection: Connection) { stalled.append(connection) }
  func enqueueClosing(_ connection: Connection) { closing.append(connection) }

  // MARK: - Running

  /// Runs the loop on the calling thread until `stop`, then drains the inbox, aborts what is open and returns.
  package func run() {
    while !isStopping { turn() }
    tearDown()
  }

  /// Ends `run` after this turn. On the loop only; other threads use `inbox.stop()`.
  package func stop() { isStopping = true }

  private func turn() {
    let wait = waitMilliseconds()
    let count = clinux_epoll_wait(epoll, events, Int32(Self.eventsPerTurn), wait)
    now = MonotonicClock.now
    counters.turns += 1
    counters.waits += 1
    if count == 0, !gathering.isEmpty { flushGathered() }
    let readyEnd = ready.count
    dispatchEvents(count)
    if readyEnd > readyStart {
      // What the new events brought leaves before those go on that have much to do.
      endTurn()
      runReady(until: readyEnd)
    }
    counters.timersFired += UInt64(wheel.advance(to: now))
    deliverClosings()
    endTurn()
    crowding.turnEnded(wasLong: wasLong || readyStart < ready.count || isTurnLong, now)
    wasLong = false
  }

  private func waitMilliseconds() -> Int32 {
    // All but `ready` are filled before a turn only by what ran before the first one.
    if readyStart < ready.count || !dirty.isEmpty || !closing.isEmpty || !turnHandlers.isEmpty || !gathering.isEmpty {
      return 0
    }
    guard let deadline = wheel.nextDeadline else { return -1 }
    // The clock has moved since the turn began; sleeping by the old reading would fire late.
    let left = (deadline - MonotonicClock.now).nanoseconds
    return left <= 0 ? 0 : Int32(clamping: (left + 999_999) / 1_000_000)
  }

  /// A turn that grows long, by what it did or has still to flush, is ended and goes on as the next: what the first events brought
  /// does not wait for the last.
  private func dispatchEvents(_ count: Int32) {
    var index: Int32 = 0
    while index < count {
      dispatch(key: clinux_event_key(events, index), flags: clinux_event_flags(events, index))
      index += 1
      guard index & 3 == 0, index < count else { continue }
      guard isTurnLong else { continue }
      endTurn()
      if isTurnLong { wasLong = true }
      now = MonotonicClock.now
      counters.turns += 1
    }
  }

  private func dispatch(key: UInt64, flags: UInt32) {
    counters.events += 1
    if key == Self.inboxKey { return runInbox() }
    switch sources[Slab.Key(rawValue: key)] {
    case .connection(let connection):
      if connection.standsBack, isCrowded {
        connection.noteEvents(flags)
        connection.enqueue()
      } else {
        connection.handleEvents(flags)
      }
    case .listener(let listener): listener.acceptReady()
    case .descriptor(let watch): watch.ready(flags)
    case nil: counters.staleEvents += 1
    }
  }

  /// Connections that were left with more to do come after what is new, and in a long turn only some of them do: thousands
  /// would keep everyone else waiting for them all. They stand in a queue, so each has its turn.
  private func runReady(until end: Int) {
    while readyStart < end {
      ready[readyStart].handleTurn()
      readyStart += 1
      if isTurnLong { break }
    }
    guard readyStart == ready.count || readyStart >= 1_024 else { return }
    ready.removeFirst(readyStart)
    readyStart = 0
  }

  private func runInbox() {
    inbox.take(into: &inboxBatch)
    counters.inboxItems += UInt64(inboxBatch.count)
    for work in inboxBatch { work(self) }
    inboxBatch.removeAll(keepingCapacity: true)
  }

  private func deliverClosings() {
    var index = 0
    while index < closing.count {
      closing[index].deliverClose()
      index += 1
    }
    closing.removeAll(keepingCapacity: true)
  }

  /// Turn handlers, the flush, and what they lead to, until nothing is left for this turn.
  private func endTurn() {
    while !turnHandlers.isEmpty || !dirty.isEmpty || !closing.isEmpty {
      var index = 0
      while index < turnHandlers.count {
        let handler = turnHandlers[index]
        handler.turnEnded()
        index += 1
      }
      turnHandlers.removeAll(keepingCapacity: true)
      index = 0
      while index < dirty.count {
        flushOrGather(dirty[index])
        index += 1
      }
      dirty.removeAll(keepingCapacity: true)
      deliverClosings()
    }
    endGathering()
    guard !stalled.isEmpty else { return }
    stalled.removeAll { $0.leaveStallIfConsumed() }
  }

  // MARK: - Gathering

  private func flushOrGather(_ connection: Connection) {
    guard connection.gathersOutput, connection.output.count < Self.gatherBytes, !connection.wantsClose else {
      return connection.flushNow()
    }
    if gathering.isEmpty {
      gatherStart = now
      gatheredTurns = 0
    }
    gathering.append(connection)
  }

  /// End of turn: enough turns, or enough time, for what gathers?
  private func endGathering() {
    guard !gathering.isEmpty else { return }
    gatheredTurns += 1
    if gatheredTurns >= Self.gatherTurns || now - gatherStart >= Self.gatherTime || isTurnLong {
      flushGathered()
    }
  }

  private func flushGathered() {
    var index = 0
    while index < gathering.count {
      gathering[index].flushNow()
      index += 1
    }
    gathering.removeAll(keepingCapacity: true)
  }

  private func tearDown() {
    isStopping = true
    inbox.close()
    runInbox()
    var open: [EventSource] = []
    sources.forEach { open.append($1) }
    for source in open {
      switch source {
      case .connection(let connection): connection.close(.aborted)
      case .listener(let listener): listener.close()
      case .descriptor(let watch): watch.end()
      }
    }
    handshakes.removeAll()
    deliverClosings()
    turnHandlers.removeAll()
    dirty.removeAll()
    gathering.removeAll()
    ready.removeAll()
    stalled.removeAll()
    deliverClosings()
  }
}
