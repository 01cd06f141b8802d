import MeshCore
import MeshRuntime

/// Ends the exchanges of clients that are gone, some in each turn.
///
/// An HTTP/2 connection can end with 1,000 streams, and each of them with a connection to an application that has to be
/// closed: tens of milliseconds, in which nobody else would be served. Confined to one worker loop.
/// Limit: `ProxyLimits.maximumRequestsPerTurn` at a time, of all clients together; when the turn is long, one in 32 of those
/// that wait.
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
    // A share of them however long the turn is: who come and leave faster than they are ended must not pile up.
    let share = 1 + waiting.count / 32
    var count = 0
    while !waiting.isEmpty, count < share || count < worker.limits.maximumRequestsPerTurn && !worker.loop.isTurnLong {
      finishOne()
      count += 1
    }
    if !waiting.isEmpty { worker.loop.schedule(timer, after: .zero) }
  }

  private func finishOne() {
    let (exchange, generation) = waiting.removeLast()
    // Its upstream may have ended it first, and the exchange may serve another request by now.
    if exchange.generation == generation { exchange.complete() }
  }
}
