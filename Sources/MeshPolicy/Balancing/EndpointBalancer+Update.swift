package import MeshCore

// Changes of the endpoint set and of its policy.
extension EndpointBalancer {
  /// Takes a new endpoint set. Endpoints with the same address and identity keep their slot, state and references.
  package func update(_ set: [Endpoint], policy: BackendPolicy, now: Instant) {
    let isFirst = live.isEmpty
    locality = policy.balancing.locality
    take(policy, now: now)
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
      let known = slots[Key(endpoint)]
      let slot = known ?? takeSlot(&free, now: now)
      endpoints[slot] = endpoint
      states[slot].weight = max(endpoint.weight, 1)
      if known == nil, !isFirst { startSlowly(slot, now: now) }
      next.append(slot)
    }
    live = next
    if policy.healthCheck == nil { forgetHealth() }
    unavailable = live.count { states[$0].phase != .ready }
    isStale = true
    scaleLoads()
    buildTables()
    subsets = SubsetMembers(policy.balancing.subset, live, endpoints)
    for slot in live {
      states[slot].subset = 0
      states[slot].subsetTier = -1
    }
    for (number, members) in subsets.members.enumerated() {
      for slot in members { states[slot].subset = number + 1 }
    }
    placeEndpoints()
  }

  /// The clients are in another zone than before.
  package func move(to home: Locality) {
    guard home != self.home else { return }
    self.home = home
    isStale = true
    placeEndpoints()
  }

  private func placeEndpoints() {
    plan = locality.flatMap { LocalityPlan($0, home: home) }
    spillLimit = plan == nil ? nil : locality?.activeRequestsPerEndpoint
    guard let plan else { return }
    for slot in live {
      states[slot].level = plan.level(of: endpoints[slot].locality)
      states[slot].isElsewhere = endpoints[slot].locality.zone != home.zone
    }
  }

  private func take(_ policy: BackendPolicy, now: Instant) {
    algorithm = policy.balancing.algorithm
    slowStart = policy.balancing.slowStart
    panicPercent = Int(policy.balancing.panicPercent)
    outliers = policy.outliers
    let end = now + outliers.interval
    if intervalEnd <= now || intervalEnd > end { intervalEnd = end }
    if !outliers.isEnabled {
      for slot in live where states[slot].phase != .ready { states[slot].comeBack(now: now) }
    }
  }

  /// An unused slot with fresh state; its entry in `endpoints` is the caller's to fill.
  private func takeSlot(_ free: inout [Int], now: Instant) -> Int {
    if let slot = free.popLast() {
      states[slot].revive(now: now)
      return slot
    }
    states.append(EndpointState(now: now))
    endpoints.append(Endpoint(address: .loopback(port: 0), workload: "", identity: nil))
    return states.count - 1
  }

  private func scaleLoads() {
    let sum = live.reduce(0.0) { $0 + Double(states[$1].weight) }
    let mean = sum / Double(max(live.count, 1))
    for slot in live { states[slot].pendingScale = mean / Double(states[slot].weight) }
  }

  /// Only where the algorithm needs a table, and endpoints or weights have changed.
  private func buildTables() {
    guard algorithm.isHashing else {
      targets = []
      ring = nil
      maglev = nil
      return
    }
    let next = live.map { slot in
      var hash = StableHash()
      hash.add(endpoints[slot].address, withPort: true)
      return HashTarget(slot: Int32(slot), hash: hash.value, weight: states[slot].weight)
    }
    let hasTable = algorithm == .ringHash ? ring != nil : maglev != nil
    if hasTable, next == targets { return }
    targets = next
    ring = algorithm == .ringHash ? HashRing(next) : nil
    maglev = algorithm == .maglev ? MaglevTable(next) : nil
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
}
