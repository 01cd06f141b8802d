import MeshCore
import MeshRuntime
import Testing

/// Runs a worker on the test's own thread: client and server share one loop, so nothing needs locks or sleeps.
/// A watchdog stops a test that hangs and fails it.
final class LoopHarness: ListenerHandler, TimerHandler {
  let worker: Worker
  private(set) var accepted: [Connection] = []
  var onAccept: ((Connection) -> Void)?
  private var timers: [(timer: LoopTimer, work: () -> Void)] = []
  private var isOverdue = false

  init(limit: TimeSpan = .seconds(60)) throws {
    worker = try Worker(index: 0, seed: 1)
    after(limit) { [unowned self] in
      isOverdue = true
      worker.stop()
    }
  }

  func listen(_ onAccept: @escaping (Connection) -> Void) throws -> Listener {
    self.onAccept = onAccept
    return try worker.listen(.loopback(port: 0), handler: self)
  }

  func accepted(_ connection: Connection, on listener: Listener) {
    accepted.append(connection)
    onAccept?(connection)
  }

  func after(_ span: TimeSpan, _ work: @escaping () -> Void) {
    let timer = LoopTimer(owner: self, tag: timers.count)
    timers.append((timer, work))
    worker.schedule(timer, after: span)
  }

  func timerFired(_ timer: LoopTimer) { timers[timer.tag].work() }

  /// Runs until a handler stops the worker.
  func run(sourceLocation: SourceLocation = #_sourceLocation) {
    worker.run()
    #expect(!isOverdue, "the loop did not finish in time", sourceLocation: sourceLocation)
    onAccept = nil
    accepted = []
  }
}

/// A connection handler made of closures.
final class Peer: ConnectionHandler {
  var onOpened: (Connection) -> Void = { _ in }
  var onReceived: (Connection) -> Void = { $0.input.removeAll() }
  var onEnd: (Connection) -> Void = { _ in }
  var onDrained: (Connection) -> Void = { _ in }
  var onClosed: (Connection, CloseReason) -> Void = { _, _ in }
  private(set) var events: [String] = []
  private(set) var reason: CloseReason?

  func connectionOpened(_ connection: Connection) {
    events.append("opened")
    onOpened(connection)
  }

  func connectionReceived(_ connection: Connection) {
    if events.last != "received" { events.append("received") }
    onReceived(connection)
  }

  func connectionReachedEnd(_ connection: Connection) {
    events.append("end")
    onEnd(connection)
  }

  func connectionDrained(_ connection: Connection) { onDrained(connection) }

  func connectionClosed(_ connection: Connection, _ reason: CloseReason) {
    events.append("closed")
    #expect(self.reason == nil, "connectionClosed came twice")
    self.reason = reason
    onClosed(connection, reason)
  }

  /// Sends back what comes, and ends its side when the other ends.
  static func echo() -> Peer {
    let peer = Peer()
    peer.onReceived = {
      $0.output.append(moving: $0.input)
      $0.flushSoon()
    }
    peer.onEnd = { $0.shutdownWrite() }
    return peer
  }
}

extension Connection {
  func send(_ text: String) {
    output.append(string: text)
    flushSoon()
  }

  func takeInput() -> String {
    defer { input.removeAll() }
    return input.readable.string
  }
}
