package import MeshCore

/// Names an endpoint of one balancer at one moment. Stays valid while the endpoint stays in the set, whatever else
/// comes and goes; afterwards every call with it is a harmless no-op.
package struct EndpointRef: Hashable, Sendable {
  /// Place in the balancer. Stable for as long as the endpoint is in the set, then reused.
  package let slot: Int
  let generation: UInt32
  /// The ejection phase the endpoint was in when picked: an old request's outcome cannot end a later ejection.
  let phaseCount: UInt32

  package func isSameEndpoint(as other: EndpointRef) -> Bool { slot == other.slot && generation == other.generation }
}

/// Chooses endpoints of one backend by its policy, and leaves out those that fail.
///
/// The algorithms are in `EndpointBalancer+Choose`, who is eligible in `EndpointBalancer+Look`, the ejections in `EndpointBalancer+Outliers`, changes of the set in
/// `EndpointBalancer+Update`. An ejected endpoint gets nothing until its time is over, then one request, its probation: with the
/// hashing algorithms the next of its own keys, else the next of all. When too few endpoints are available the others count again
/// (panic), so that a common fault does not pile all load on the few that look well; endpoints that refuse connections stay out as
/// long as there is any other. An endpoint that active checks found unhealthy is not available, either.
///
/// Endpoints stand in groups, all of them and each subset, and in each group in tiers by zone (`LocalityPlan`); mostly there is one of
/// both. In a panic zones do not count.
///
/// Confined to one worker. No limit on the number of endpoints. A pick takes constant time, logarithmic with unequal weights or on
/// a ring, and allocates nothing; the endpoints are looked at one by one only after one of them was ejected or came back.
package final class EndpointBalancer {
  var endpoints: [Endpoint] = []
  var states: [EndpointState] = []
  /// Slots in use, in the order of the endpoint set.
  var live: [Int] = []
  /// Slots in use that are not in phase `ready`.
  var unavailable = 0

  // Of the policy.
  var algorithm = BalancingPolicy.Algorithm.peakEWMA
  var slowStart: SlowStart?
  var panicPercent = 50
  var outliers = OutlierPolicy()
  var locality: LocalityPolicy?
  /// Of a policy that goes by zones, for a client whose own is known.
  var plan: LocalityPlan?
  /// Requests that a zone takes for each of its endpoints, where the plan knows such a number.
  var spillLimit: UInt32?
  var subsets = SubsetMembers()

  /// Where the clients are.
  var home: Locality
  /// Workers that have a balancer for the same backend.
  let workerCount: Int

  // The latest look at all endpoints.
  var eligible = WeightedSlots()
  var tiers: [EndpointTier] = []
  /// All endpoints, then each subset.
  var groups: [EndpointGroup] = []
  /// Slots that wait for their probation request.
  var probes: [Int] = []
  /// When the next ejection ends.
  var nextReturn = EndpointBalancer.never
  /// A phase has changed since the look.
  var isStale = true
  var isPanicking = false

  /// No slow start lasts longer.
  var warmUntil = Instant(nanoseconds: 0)
  /// Round robin: for each tier the place of the latest turn in it, at first `firstTurn`.
  var turns: [Int] = []
  let firstTurn: Int
  var targets: [HashTarget] = []
  var ring: HashRing?
  var maglev: MaglevTable?

  /// End of the interval in which endpoints are compared.
  var intervalEnd = Instant(nanoseconds: 0)
  var jitter: SeededRandom
  /// What has happened since `takeEvents`. Empty nearly always.
  private(set) var events: [BalancerEvent] = []

  static let never = Instant(nanoseconds: .max)

  /// `seed` feeds the jitter of ejection times and the first turn of round robin.
  package init(
    _ endpoints: [Endpoint] = [], policy: BackendPolicy = .init(), home: Locality = Locality(), workerCount: Int = 1,
    seed: UInt64, now: Instant
  ) {
    self.home = home
    self.workerCount = workerCount
    jitter = SeededRandom(seed: seed)
    firstTurn = jitter.next(below: 1 << 16)
    update(endpoints, policy: policy, now: now)
  }

  package var count: Int { live.count }
  package var isEmpty: Bool { live.isEmpty }

  /// Nil when the endpoint has left the set.
  package func endpoint(_ ref: EndpointRef) -> Endpoint? {
    isCurrent(ref) ? endpoints[ref.slot] : nil
  }

  /// The endpoint set with the reference of each, in order.
  package var current: [(EndpointRef, Endpoint)] { live.map { (reference($0), endpoints[$0]) } }

  // MARK: - Requests

  /// An endpoint for the next request; call `started` with it when the request is really sent there. Nil when there is
  /// none, or none but those `tried` by the request before. `key` is what the hashing algorithms go by, and the others do not look
  /// at; `subset` is the hash of the subset's name (`RequestKey`), nil for a request that names none.
  package func pick(
    now: Instant, _ random: inout SeededRandom, key: UInt64? = nil, subset: UInt64? = nil,
    excluding tried: [EndpointRef] = []
  ) -> EndpointRef? {
    if isStale || now >= nextReturn { look(now: now) }
    let excluded = tried.isEmpty ? [] : tried.compactMap { isCurrent($0) ? $0.slot : nil }
    guard let number = groupNumber(subset) else { return nil }
    let group = groups[number]
    if group.isFallback { note(.subsetFellBack) }
    let key = algorithm.isHashing ? key : nil
    let tier = chooseTier(group, &random, key: key)
    if let key, let slot = find(key, in: group, tier, excluding: excluded, isRepeat: !tried.isEmpty) {
      return reference(slot)
    }
    // A second attempt must not be the experiment; a first one is, as soon as an ejection is over.
    if tried.isEmpty, !probes.isEmpty, let probe = probe(for: number) { return reference(probe) }
    guard let slot = choose(now: now, &random, in: group, tier, excluding: excluded) else { return nil }
    return reference(slot)
  }

  /// The endpoint of a session, for its next request; nil when it has left the set or may not be used now. One in probation may: its
  /// session asks for it.
  package func pin(_ ref: EndpointRef, now: Instant) -> EndpointRef? {
    if isStale || now >= nextReturn { look(now: now) }
    guard isCurrent(ref), states[ref.slot].isEligible || states[ref.slot].awaitsProbe else { return nil }
    return reference(ref.slot)
  }

  /// A request goes to this endpoint. Each call is followed by exactly one `finished`.
  package func started(_ ref: EndpointRef) {
    guard isCurrent(ref) else { return }
    states[ref.slot].pending &+= 1
    if plan != nil {
      countLoad(ref.slot, 1)
      if states[ref.slot].isElsewhere { note(.leftZone) }
    }
    if states[ref.slot].phase == .probation {
      states[ref.slot].isProbing = true
      isStale = true
    }
  }

  /// The request ended, or its response head arrived (then not again at its end). `latency` is the time from
  /// `started` to the first byte of the response, or to the failure.
  package func finished(_ ref: EndpointRef, latency: TimeSpan, outcome: EndpointOutcome, now: Instant) {
    guard isCurrent(ref) else { return }
    let slot = ref.slot
    if plan != nil, states[slot].pending > 0 { countLoad(slot, -1) }
    states[slot].pending = max(0, states[slot].pending &- 1)
    // A failure, and a request given up, can show that an endpoint is slow, but never that it is fast. A failed connect
    // shows neither; an endpoint that returns after a connect time-out should not be avoided for a minute more.
    if outcome != .connectFailure {
      states[slot].latency.observe(latency, now: now, onlyPeaks: outcome != .success)
    }
    guard outliers.isEnabled else { return }
    if states[slot].phaseCount == ref.phaseCount { judge(slot, outcome, latency, now: now) }
    if now >= intervalEnd { endInterval(now: now) }
  }

  // MARK: - For people

  /// What the admin page shows, in the order of the endpoint set.
  package func endpointStates(now: Instant) -> [EndpointStatus] {
    live.map { slot in EndpointStatus(endpoints[slot], states[slot], hasLevels: plan != nil, now: now) }
  }

  /// Available or not.
  package var endpointCount: Int { live.count }

  package var hasEvents: Bool { !events.isEmpty }

  package func takeEvents() -> [BalancerEvent] {
    defer { events.removeAll() }
    return events
  }

  /// Nobody may be there to take them.
  func note(_ event: BalancerEvent) {
    if events.count < 1_024 { events.append(event) }
  }

  // MARK: - References

  @inline(__always)
  func isCurrent(_ ref: EndpointRef) -> Bool {
    ref.slot < states.count && states[ref.slot].isLive && states[ref.slot].generation == ref.generation
  }

  @inline(__always)
  func reference(_ slot: Int) -> EndpointRef {
    EndpointRef(slot: slot, generation: states[slot].generation, phaseCount: states[slot].phaseCount)
  }
}
