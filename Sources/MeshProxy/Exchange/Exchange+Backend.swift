import MeshCore
import MeshHTTP
import MeshPolicy
import MeshRuntime
import MeshTelemetry

// What an exchange takes of its backend, and what the backend's balancer learns from it.
extension Exchange {
  // MARK: - Limits

  /// Takes a place among the active requests of `backend`. False: there is none.
  func enter(_ backend: BackendEntry) -> Bool {
    guard backend.use.active < backend.use.maximumActive else {
      backend.count(.activeOverflow, worker)
      return false
    }
    backend.use.active &+= 1
    isActive = true
    return true
  }

  /// The exchange is over.
  func leaveBackend() {
    stopWaiting()
    guard isActive else { return }
    isActive = false
    backend?.use.active &-= 1
  }

  /// Takes a place among those that wait for a connection. False: there is none. Without effect for one that waits already.
  func startWaiting() -> Bool {
    guard !isPending, let backend else { return true }
    guard backend.use.pending < backend.use.maximumPending else {
      backend.count(.pendingOverflow, worker)
      return false
    }
    backend.use.pending &+= 1
    isPending = true
    return true
  }

  /// The connection is there, or the wait has ended without.
  func stopWaiting() {
    guard isPending else { return }
    isPending = false
    backend?.use.pending &-= 1
  }

  /// A connection may be opened for the exchange.
  func mayConnect() -> Bool {
    guard let backend, !backend.makesRoomForConnection() else { return true }
    backend.count(.connectionOverflow, worker)
    return false
  }

  // MARK: - The key

  /// Finds what the balancer goes by. A client without its cookie is given one, and sent where that will send it again.
  func findHashKey(_ source: RequestKey) {
    hashKey = source.find(in: request, client: downstream.peerAddress)
    guard hashKey == nil, let cookie = source.cookie, !isTunnel, !isMirror else { return }
    let issued = IssuedCookie(cookie, draw: worker.loop.random.next())
    hashKey = issued.key
    issuedCookie = issued
    isFiltered = true
  }

  // MARK: - The balancer

  /// The endpoint has answered.
  func settleTicket(status: UInt16) {
    let outcome: EndpointOutcome
    if flag == .upstreamConnectionFailure {
      outcome = .connectFailure
    } else if flag == .concurrencyLimited {
      // Nothing is wrong with an endpoint that does what it can; without it the others would have even more to do.
      outcome = .cancelled
    } else if grpcOutcome.isServerFault {
      let isGateway = grpcOutcome == .status(.unavailable) || grpcOutcome == .status(.deadlineExceeded)
      outcome = isGateway ? .gatewayError : .serverError
    } else {
      outcome = EndpointOutcome(status: status)
    }
    settleTicket(outcome)
  }

  /// The attempt has failed, or ended from our side (nil). What the proxy itself would not do tells nothing about the endpoint.
  func settleTicket(after error: ProxyError?) {
    let isEndpoints = error.map { $0.origin != .internal } ?? false
    settleTicket(!isEndpoints ? .cancelled : phase == .connecting ? .connectFailure : .transportFailure)
  }

  private func settleTicket(_ outcome: EndpointOutcome) {
    guard let ticket, let backend else { return }
    self.ticket = nil
    backend.finished(ticket, latency: worker.loop.now - attemptTime, outcome, worker)
  }
}
