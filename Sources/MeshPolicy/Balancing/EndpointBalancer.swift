package import MeshCore

/// Names an endpoint of one balancer at one moment. Stays valid while the endpoint stays in the set, whatever else
/// comes and goes; afterwards every call with it is a harmless no-op.
package struct EndpointRef: Hashable, Sendable {
  /// Place in the balancer. Stable for as long as the endpoint is in the set, then reused.
  package let slot: Int
  let generation: UInt32
  /// The ejection phase the endpoint was in when picked: an old request's outcome cannot end a later ejection.
  let phaseCount: UInt32
}

/// How a request to an endpoint ended, as far as the endpoint is to be judged by it.
package enum EndpointOutcome: UInt8, Sendable {
  case success
  /// A 5xx answer of the endpoint itself.
  case serverError
  /// Reset, protocol error or time-out after the connection was there.
  case transportFailure
  /// No connection: refused, unreachable, timed out, TLS failed.
  case connectFailure
  /// Ended from our side; says nothing about the endpoint.
  case cancelled
}

/// Chooses endpoints of one backend: the less loaded of two random ones by peak-sensitive EWMA, with passive ejection.
///
/// Load is `estimated latency * (pending + 1)`, the formula of Finagle and Linkerd. An endpoint is ejected after
/// consecutive failures, for a time that doubles with each failed return, and returns through one probation request.
/// When fewer than half of the endpoints are available the others count again (panic), so that a common fault does
/// not pile all load on the few that look well; endpoints that refuse connections stay out as long as there is any
/// other. Confined to one worker. No limit on the number of endpoints; a pick with nothing ejected takes constant
/// time.
package final class EndpointBalancer {
  package let settings: BalancerSettings
  private var endpoints: [Endpoint] = []
  private var states: [EndpointState] = []
  /// Slots in use, in the order of the endpoint set.
  private var live: [Int] = []
  /// Slots in use that are not in phase `ready`.
  private var unavailable = 0
  private var candidates: [Int] = []
  private var jitter: SeededRandom

  /// `seed` feeds the jitter of ejection times only.
  package init(_ endpoints: [Endpoint] = [], settings: BalancerSettings = .init(), seed: UInt64, now: Instant) {
    self.settings = settings
    jitter = SeededRandom(seed: seed)
    update(endpoints, now: now)
  }

  package var count: Int { live.count }
  package var isEmpty: Bool { live.isEmpty }

  /// Nil when the endpoint has left the set.
  package func endpoint(_ ref: EndpointRef) -> Endpoint? {
    isCurrent(ref) ? endpoints[ref.slot] : nil
  }

  // MARK: - Requests

  /// The endpoint set with the reference of each, in order.
  package var current: [(EndpointRef, Endpoint)] {
    live.map {
      (EndpointRef(slot: $0, generation: states[$0].generation, phaseCount: states[$0].phaseCount), endpoints[$0])
    }
  }

  /// An endpoint for the next request; call `started` with it when the request is really sent there. Nil when there is
  /// none, or none but `excluding`.
  package func pick(
    now: Instant, _ random: inout SeededRandom, excluding excluded: EndpointRef? = nil
  ) -> EndpointRef? {
    if unavailable == 0 && excluded == nil { return choose(live, now: now, &random) }
    let excludedSlot = excluded.flatMap { isCurrent($0) ? $0.slot : nil }
    // A second attempt must not be the experiment; a first one is, as soon as an ejection is over.
    if let probe = gatherCandidates(now: now, excluding: excludedSlot), excluded == nil { return reference(probe) }
    return choose(candidates, now: now, &random)
  }

  /// A request goes to this endpoint. Each call is followed by exactly one `finished`.
  package func started(_ ref: EndpointRef) {
    guard isCurrent(ref) else { return }
    states[ref.slot].pending &+= 1
    if states[ref.slot].phase == .probation { states[ref.slot].isProbing = true }
  }

  /// The request ended, or its response head arrived (then not again at its end). `latency` is the time from
  /// `started` to the first byte of the response, or to the failure.
  package func finished(_ ref: EndpointRef, latency: TimeSpan, outcome: EndpointOutcome, now: Instant) {
    guard isCurrent(ref) else { return }
    let slot = ref.slot
    states[slot].pending = max(0, states[slot].pending &- 1)
    // A failure, and a request given up, can show that an endpoint is slow, but never that it is fast. A failed connect
    // shows neither; an endpoint that returns after a connect time-out should not be avoided for a minute more.
    if outcome != .connectFailure {
      states[slot].latency.observe(latency, now: now, decay: settings.decay, onlyPeaks: outcome != .success)
    }
    if states[slot].phaseCount == ref.phaseCount { judge(slot, outcome, now: now) }
  }

  // MARK: - Endpoint sets

  /// Takes a new endpoint set. Endpoints with the same address and identity keep their slot, state and references.
  package func update(_ set: [Endpoint], now: Instant) {
    var slots: [Key: Int] = [:]
    for slot in live { slots[Key(endpoints[slot])] = slot }
    let wanted = Set(set.map(Key.init))
    for (key, slot) in slots where !wanted.contains(key) {
      states[slot].retire()
      slots[key] = nil
    }
    var free = states.indices.filter { !states[$0].isLive }
    var next: [Int] = []
    var listed: Set<Key> = []
    for endpoint in set where listed.insert(Key(endpoint)).inserted {
      let slot = slots[Key(endpoint)] ?? takeSlot(&free, now: now)
      endpoints[slot] = endpoint
      next.append(slot)
    }
    live = next
    candidates.reserveCapacity(live.count)
    unavailable = live.count { states[$0].phase != .ready }
  }

  /// An unused slot with fresh state; its entry in `endpoints` is the caller's to fill.
  private func takeSlot(_ free: inout [Int], now: Instant) -> Int {
    if let slot = free.popLast() {
      states[slot].revive(settings, now: now)
      return slot
    }
    states.append(EndpointState(settings, now: now))
    endpoints.append(Endpoint(address: .loopback(port: 0), workload: "", identity: nil))
    return states.count - 1
  }

  /// What the admin page shows, in the order of the endpoint set.
  package func endpointStates(now: Instant) -> [EndpointStatus] {
    live.map { slot in EndpointStatus(endpoints[slot], states[slot], settings, now: now) }
  }

  private struct Key: Hashable {
    var address: SocketAddress
    var identity: SPIFFEID?
    var meshPort: UInt16

    init(_ endpoint: Endpoint) {
      address = endpoint.address
      identity = endpoint.identity
      meshPort = endpoint.identity == nil ? 0 : endpoint.meshPort
    }
  }

  // MARK: - Choosing

  @inline(__always)
  private func isCurrent(_ ref: EndpointRef) -> Bool {
    ref.slot < states.count && states[ref.slot].isLive && states[ref.slot].generation == ref.generation
  }

  private func choose(_ slots: [Int], now: Instant, _ random: inout SeededRandom) -> EndpointRef? {
    switch slots.count {
    case 0: return nil
    case 1: return reference(slots[0])
    default:
      let a = random.next(below: slots.count)
      var b = random.next(below: slots.count &- 1)
      if b >= a { b &+= 1 }
      let loadA = states[slots[a]].load(now: now, decay: settings.decay)
      let loadB = states[slots[b]].load(now: now, decay: settings.decay)
      return reference(loadA <= loadB ? slots[a] : slots[b])
    }
  }

  @inline(__always)
  private func reference(_ slot: Int) -> EndpointRef {
    EndpointRef(slot: slot, generation: states[slot].generation, phaseCount: states[slot].phaseCount)
  }

  /// Fills `candidates` with the ready endpoints, or in a panic with more. Returns an endpoint that waits for its
  /// probation request, if there is one.
  private func gatherCandidates(now: Instant, excluding excluded: Int?) -> Int? {
    candidates.removeAll(keepingCapacity: true)
    var available = 0
    var probe: Int?
    for slot in live {
      if states[slot].phase == .ejected && states[slot].ejectedUntil <= now { states[slot].enter(.probation) }
      if states[slot].awaitsProbe {
        available &+= 1
        probe = probe ?? slot
      } else if states[slot].phase == .ready {
        available &+= 1
        if slot != excluded { candidates.append(slot) }
      }
    }
    if available &* 100 < settings.panicPercent &* live.count {
      candidates.removeAll(keepingCapacity: true)
      for slot in live where slot != excluded && !(states[slot].phase != .ready && states[slot].refusesConnections) {
        candidates.append(slot)
      }
    }
    if candidates.isEmpty {
      for slot in live where slot != excluded { candidates.append(slot) }
    }
    return probe
  }

  // MARK: - Ejection

  private func judge(_ slot: Int, _ outcome: EndpointOutcome, now: Instant) {
    switch (states[slot].phase, outcome) {
    case (.ejected, _): break
    case (.ready, .cancelled): break
    case (.probation, .cancelled): states[slot].isProbing = false
    case (.ready, .success): states[slot].failures = 0
    case (.probation, .success):
      states[slot].enter(.ready)
      states[slot].clearRecord()
      unavailable &-= 1
    case (.ready, _):
      states[slot].failures &+= 1
      let threshold = outcome == .connectFailure ? settings.connectFailures : settings.consecutiveFailures
      if states[slot].failures >= threshold {
        unavailable &+= 1
        eject(slot, outcome, now: now)
      }
    case (.probation, _): eject(slot, outcome, now: now)
    }
  }

  private func eject(_ slot: Int, _ outcome: EndpointOutcome, now: Instant) {
    let time = settings.ejectionTime(after: states[slot].ejections, jitter: jitter.unit())
    states[slot].eject(until: now + time, for: outcome)
  }
}
