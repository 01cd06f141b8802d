import MeshCore
import MeshRuntime
import MeshTelemetry

/// Bounds the bytes of bodies and large heads that one worker holds for slow receivers, over all exchanges.
///
/// Flow control bounds each stream, and a hostile client opens many. Past the budget, the connection that makes us hold
/// most loses its largest exchanges until all fits again: whoever holds little is not touched, whatever others do.
/// Told of every change by `Exchange`; acts at the end of the turn, when no exchange is in the middle of anything.
/// Output of a stream's own upstream connection, which flow control has let pass, is counted by the loop once a flush has
/// left it there.
/// Limit: `ProxyLimits.maximumBufferedBytes`, passed by at most what one turn reads.
final class BufferBudget: TurnHandler {
  private unowned(unsafe) let worker: ProxyWorker
  private let maximum: Int
  private(set) var held = 0
  private var isDue = false

  init(_ worker: ProxyWorker) {
    self.worker = worker
    maximum = worker.limits.maximumBufferedBytes
  }

  /// What exchanges hold, and what waits in the outputs to their upstreams.
  private var total: Int { held &+ worker.loop.waitingOutput }

  @inline(__always) func changed(by difference: Int) {
    held &+= difference
    if held > maximum, !isDue { becomeDue() }
  }

  /// More is on its way to an upstream, which may not have taken what went before.
  func outputGrew() {
    if total > maximum, !isDue { becomeDue() }
  }

  private func becomeDue() {
    isDue = true
    worker.loop.endOfTurn(self)
  }

  func turnEnded() {
    isDue = false
    // Before anybody loses a stream that is wanted.
    if total > maximum { worker.departures.finishAll() }
    if total > maximum { dropCopies() }
    while total > maximum {
      let before = total
      shed()
      // Nothing to take away: what is held belongs to no exchange in flight.
      if total == before { return }
    }
  }

  /// Copies go before anybody's request: bodies kept for repeats, and those of mirrors.
  private func dropCopies() {
    var mirrors: [Exchange] = []
    worker.forEachExchange { exchange in
      if exchange.keptBytes > 0 { exchange.giveUpRepeats() }
      if exchange.isMirror, exchange.heldBytes > 0 { mirrors.append(exchange) }
    }
    for mirror in mirrors { mirror.giveUpMirror() }
  }

  /// Takes exchanges from the connection that holds most, largest first, until all fits or it holds half as much.
  private func shed() {
    var totals: [ObjectIdentifier: Int] = [:]
    var largest: (id: ObjectIdentifier, bytes: Int)?
    worker.forEachExchange { exchange in
      guard exchange.heldBytes > 0, let id = exchange.downstream.connectionID else { return }
      let total = totals[id, default: 0] + exchange.heldBytes
      totals[id] = total
      if total > largest?.bytes ?? 0 { largest = (id, total) }
    }
    guard let largest else { return }
    var its: [Exchange] = []
    worker.forEachExchange { if $0.heldBytes > 0, $0.downstream.connectionID == largest.id { its.append($0) } }
    its.sort { $0.heldBytes > $1.heldBytes }
    var left = largest.bytes
    for exchange in its where total > maximum && left > largest.bytes / 2 {
      left -= exchange.heldBytes
      worker.metrics.limitHit("buffered_bytes")
      exchange.fail(.overloaded)
    }
  }
}
