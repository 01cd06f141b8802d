package import MeshCore

/// One endpoint's state for the admin page. Times in milliseconds.
package struct EndpointStatus: Hashable, Sendable {
  package enum State: String, Sendable { case ready, ejected, probation }

  package let address: SocketAddress
  package let workload: String
  package let weight: UInt32
  package let latencyMilliseconds: Double
  package let pending: Int
  package let state: State
  /// Why it was ejected, in words; empty when it was not.
  package let reason: String
  package let consecutiveFailures: Int
  package let ejectionMillisecondsLeft: Double
  package let health: EndpointHealth
  package let locality: Locality
  /// Of the endpoint's zone for this client, from 0; nil where zones do not count.
  package let level: Int?

  init(_ endpoint: Endpoint, _ state: EndpointState, hasLevels: Bool, now: Instant) {
    locality = endpoint.locality
    level = hasLevels ? state.level : nil
    address = endpoint.address
    workload = endpoint.workload
    weight = endpoint.weight
    latencyMilliseconds = state.latency.value(now: now) / 1e6
    pending = state.pending
    health = state.health
    consecutiveFailures = Int(state.rows.longest)
    let isDue = state.ejectedUntil <= now
    self.state =
      switch state.phase {
      case .ready: .ready
      case .probation: .probation
      case .ejected: isDue ? .probation : .ejected
      }
    reason = state.reason.map { "\($0.text)" } ?? ""
    ejectionMillisecondsLeft = state.phase == .ejected && !isDue ? (state.ejectedUntil - now).inMilliseconds : 0
  }
}
