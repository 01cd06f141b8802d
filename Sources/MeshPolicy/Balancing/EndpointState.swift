import MeshCore

/// What a balancer knows of one slot. Plain data in a contiguous array.
struct EndpointState {
  enum Phase: UInt8 { case ready, ejected, probation }

  // Of every request.
  var latency: PeakEWMA
  var pending = 0
  /// The mean weight divided by this endpoint's: how much one request weighs on it.
  var pendingScale = 1.0
  var generation: UInt32 = 0
  private(set) var phaseCount: UInt32 = 0
  private(set) var phase = Phase.ready
  private(set) var isLive = true
  /// By active checks.
  var health = EndpointHealth.unknown
  /// Requests go there, by the balancer's latest look at all endpoints.
  var isEligible = false
  /// Its tier among all endpoints, and in its subset; -1 without one.
  var tier = -1
  var subsetTier = -1
  /// The number of its subset's group; 0 without one.
  var subset = 0
  /// By the plan for zones.
  var level = 0
  /// Not in the zone of the clients.
  var isElsewhere = false
  /// Some group sends a part of its requests to the tier.
  var isWanted = true
  /// The one request of the probation is under way.
  var isProbing = false
  var rows = FailureRows()
  /// Since the present interval began.
  var sample = EndpointSample()

  // Of its life.
  var weight: UInt32 = 1
  /// Round robin: the part of a turn that it has saved up.
  var credit = 0.0
  /// From when its slow start counts; nil when it needs none.
  var warmSince: Instant?
  /// Ejections, less one for each interval without one.
  private(set) var ejections = 0
  private(set) var ejectedUntil = Instant(nanoseconds: 0)
  private var returned = Instant(nanoseconds: 0)
  private(set) var reason: EjectionReason?

  init(now: Instant) { latency = PeakEWMA(now: now) }

  /// Latency estimate times the requests that wait for it, scaled by weight.
  @inline(__always)
  func load(now: Instant) -> Double { latency.value(now: now) * (Double(pending) * pendingScale + 1) }

  /// The same where latencies do not matter.
  @inline(__always)
  var backlog: Double { Double(pending) * pendingScale }

  var awaitsProbe: Bool { phase == .probation && !isProbing && !health.isUnhealthy }
  /// Even in a panic nothing is gained by asking it.
  var refusesConnections: Bool {
    phase != .ready && reason == .connectFailures || health == .unhealthy(.connectFailure)
  }

  mutating func enter(_ phase: Phase) {
    self.phase = phase
    phaseCount &+= 1
    isProbing = false
  }

  /// Forgets an earlier ejection for each interval since its end.
  mutating func forgive(now: Instant, interval: TimeSpan) {
    guard ejections > 0, phase == .ready else { return }
    let quiet = (now - returned).nanoseconds / max(interval.nanoseconds, 1)
    ejections -= Int(min(max(quiet, 0), Int64(ejections)))
  }

  mutating func eject(until time: Instant, for reason: EjectionReason) {
    enter(.ejected)
    ejections += 1
    ejectedUntil = time
    self.reason = reason
  }

  /// The probation went well.
  mutating func comeBack(now: Instant) {
    enter(.ready)
    rows = FailureRows()
    sample = EndpointSample()
    reason = nil
    returned = now
  }

  /// The endpoint left: references to this slot become stale.
  mutating func retire() {
    isLive = false
    isEligible = false
    generation &+= 1
  }

  /// Another endpoint takes the slot.
  mutating func revive(now: Instant) {
    let generation = self.generation
    self = EndpointState(now: now)
    self.generation = generation
  }
}
