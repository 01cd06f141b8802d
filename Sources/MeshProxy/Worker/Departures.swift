import MeshCore
import MeshRuntime

/// Ends the exchanges of clients that are gone, some in each turn.
///
/// An HTTP/2 connection can end with 1,000 streams, and each of them with a connection to an application that has to be
/// closed: tens of milliseconds, in which nobody else would be served. Confined to one worker loop.
/// Limit: `ProxyLimits.maximumRequestsPerTurn` at a time, of all clients together, fewer when the turn is long.
final class Departures: TimerHandler {
  private unowned(unsafe) let worker: ProxyWorker
  private var waiting: [(exchange: Exchange, generation: UInt32)] = []
  private lazy var timer = LoopTimer(owner: self, tag: 0)

  init(_ worker: ProxyWorker) { self.worker = worker }

  func add(_ exchanges: [Exchange]) {
    for exchange in exchanges {
      exchange.downstreamLeft()
      waiting.append((exchange, exchange.generation))
    }
    if !timer.isScheduled { finishSome() }
  }

  func finishAll() {
    while !waiting.isEmpty { finishOne() }
  }

  func timerFired(_ timer: LoopTimer) { finishSome() }

  private func finishSome() {
    for count in 0..<min(waiting.count, worker.limits.maximumRequestsPerTurn) {
      finishOne()
      if count & 3 == 3, worker.loop.isTurnLong { break }
    }
    if !waiting.isEmpty { worker.loop.schedule(timer, after: .zero) }
  }

  private func finishOne() {
    let (exchange, generation) = waiting.removeLast()
    // Its upstream may have ended it first, and the exchange may serve another request by now.
    if exchange.generation == generation { exchange.complete() }
  }
}
