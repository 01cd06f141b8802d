package import MeshCore

/// What a balancer knows of one slot. Plain data in a contiguous array.
struct EndpointState {
  enum Phase: UInt8 { case ready, ejected, probation }

  var latency: PeakEWMA
  var pending = 0
  var generation: UInt32 = 0
  private(set) var phaseCount: UInt32 = 0
  private(set) var phase = Phase.ready
  private(set) var isLive = true
  /// The one request of the probation is under way.
  var isProbing = false
  /// Failures in a row.
  var failures = 0
  /// Ejections in a row without a success between.
  private(set) var ejections = 0
  private(set) var ejectedUntil = Instant(nanoseconds: 0)
  private(set) var reason: EndpointOutcome?

  init(_ settings: BalancerSettings, now: Instant) {
    latency = PeakEWMA(initial: settings.initialLatency, now: now)
  }

  @inline(__always)
  func load(now: Instant, decay: TimeSpan) -> Double {
    latency.value(now: now, decay: decay) * Double(pending &+ 1)
  }

  var awaitsProbe: Bool { phase == .probation && !isProbing }
  var refusesConnections: Bool { reason == .connectFailure }

  mutating func enter(_ phase: Phase) {
    self.phase = phase
    phaseCount &+= 1
    isProbing = false
  }

  mutating func eject(until time: Instant, for outcome: EndpointOutcome) {
    enter(.ejected)
    ejections += 1
    ejectedUntil = time
    reason = outcome
  }

  mutating func clearRecord() {
    failures = 0
    ejections = 0
    reason = nil
  }

  /// The endpoint left: references to this slot become stale.
  mutating func retire() {
    isLive = false
    generation &+= 1
  }

  /// Another endpoint takes the slot.
  mutating func revive(_ settings: BalancerSettings, now: Instant) {
    let generation = self.generation
    self = EndpointState(settings, now: now)
    self.generation = generation
  }
}

/// One endpoint's state for the admin page. Times in milliseconds.
package struct EndpointStatus: Hashable, Sendable {
  package enum State: String, Sendable { case ready, ejected, probation }

  package let address: SocketAddress
  package let workload: String
  package let latencyMilliseconds: Double
  package let pending: Int
  package let state: State
  /// Why it was ejected, in words; empty when it was not.
  package let reason: String
  package let consecutiveFailures: Int
  package let ejectionMillisecondsLeft: Double

  init(_ endpoint: Endpoint, _ state: EndpointState, _ settings: BalancerSettings, now: Instant) {
    address = endpoint.address
    workload = endpoint.workload
    latencyMilliseconds = state.latency.value(now: now, decay: settings.decay) / 1e6
    pending = state.pending
    consecutiveFailures = state.failures
    let isDue = state.ejectedUntil <= now
    self.state =
      switch state.phase {
      case .ready: .ready
      case .probation: .probation
      case .ejected: isDue ? .probation : .ejected
      }
    reason =
      switch state.reason {
      case .serverError: "5xx responses"
      case .transportFailure: "transport failures"
      case .connectFailure: "connect failed"
      case .success, .cancelled, nil: ""
      }
    ejectionMillisecondsLeft = state.phase == .ejected && !isDue ? (state.ejectedUntil - now).inMilliseconds : 0
  }
}
