import MeshCore
import MeshRuntime

/// Ends the exchanges of clients that are gone, some in each turn.
///
/// An HTTP/2 connection can end with 1,000 streams, and each of them with a connection to an application that has to be
/// closed: tens of milliseconds, in which nobody else would be served. Confined to one worker loop.
/// Limit: `ProxyLimits.maximumRequestsPerTurn` at a time, of all clients together; when the turn is long, one in 32 of those
/// that wait, where those without an upstream count little.
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
    while !waiting.isEmpty { _ = finishOne() }
  }

  func timerFired(_ timer: LoopTimer) { finishSome() }

  private func finishSome() {
    // A share of them however long the turn is: who come and leave faster than they are ended must not pile up.
    let share = (1 + waiting.count / 32) * Self.closeCost
    var cost = 0
    var count = 0
    while !waiting.isEmpty, cost < share || count < worker.limits.maximumRequestsPerTurn && !worker.loop.isTurnLong {
      cost += finishOne()
      count += 1
    }
    if !waiting.isEmpty { worker.loop.schedule(timer, after: .zero) }
  }

  /// What closing a connection costs, in the cost of ending an exchange that has none.
  private static let closeCost = 16

  /// What it cost.
  private func finishOne() -> Int {
    let (exchange, generation) = waiting.removeLast()
    // Its upstream may have ended it first, and the exchange may serve another request by now.
    guard exchange.generation == generation else { return 1 }
    let cost = if case .none = exchange.upstream { 1 } else { Self.closeCost }
    exchange.complete()
    return cost
  }
}
