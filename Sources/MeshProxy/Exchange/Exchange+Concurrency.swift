import MeshCore
import MeshPolicy
import MeshRuntime
import MeshTelemetry

/// A place among the requests that the application has, and where it is given back. Made only for ports with an adaptive limit.
struct ConcurrencyPlace {
  let limiter: ConcurrencyLimiter
  var permit: ConcurrencyLimiter.Permit
}

// The adaptive limit of the own workload's port (docs/design/0017-requests.md). A place is held until the head of the answer:
// who reads slowly keeps no application busy, and a stream that lasts for hours is not work for hours.
extension Exchange {
  /// False: the request was answered, as the application has as many as it does at a time.
  func enters(_ limiter: ConcurrencyLimiter) -> Bool {
    guard let permit = limiter.enter(now: worker.loop.now) else {
      countRefusal()
      fail(.concurrencyLimited)
      return false
    }
    place = ConcurrencyPlace(limiter: limiter, permit: permit)
    return true
  }

  /// The last of the request is here: what took its sender time took the application none.
  func requestIsWhole() { place?.permit.start = worker.loop.now }

  /// The application has answered, or will not.
  func leavePlace(_ outcome: ConcurrencyLimiter.Outcome) {
    guard let place else { return }
    self.place = nil
    place.limiter.leave(place.permit, outcome, now: worker.loop.now)
  }

  private func countRefusal() {
    guard let port = inboundPort else { return }
    worker.metrics.countBackend(
      BackendSeriesKey(backend: port.serviceLabel, namespace: port.namespaceLabel, event: .concurrencyRefused))
  }
}
