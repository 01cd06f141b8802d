import MeshCore

// Who may be used, and how much of the requests goes where.
extension EndpointBalancer {
  /// Finds those that requests may go to. Runs when a phase has changed or an ejection is over.
  func look(now: Instant) {
    isStale = false
    probes.removeAll(keepingCapacity: true)
    nextReturn = Self.never
    var ready = 0
    for slot in live {
      if states[slot].phase == .ejected, states[slot].ejectedUntil <= now { states[slot].enter(.probation) }
      switch states[slot].phase {
      case .ready: break
      case .probation: if states[slot].awaitsProbe { probes.append(slot) }
      case .ejected: nextReturn = min(nextReturn, states[slot].ejectedUntil)
      }
      states[slot].isEligible = states[slot].phase == .ready && !states[slot].health.isUnhealthy
      if states[slot].isEligible { ready += 1 }
    }
    let isPanic = (ready + probes.count) * 100 < panicPercent * live.count
    if isPanic, !isPanicking { note(.panicBegan) }
    isPanicking = isPanic
    if isPanic { ready = admit(live) { !states[$0].refusesConnections } }
    let isDesperate = ready == 0
    if isDesperate { _ = admit(live) { _ in true } }
    // Where nobody knows any more who is well, nobody knows which zone is.
    arrange(by: isPanic || isDesperate ? nil : plan)
  }

  /// How many there are.
  private func admit(_ slots: [Int], _ isAdmitted: (Int) -> Bool) -> Int {
    var count = 0
    for slot in slots {
      states[slot].isEligible = isAdmitted(slot)
      if states[slot].isEligible { count += 1 }
    }
    return count
  }

  // MARK: - Groups

  private func arrange(by plan: LocalityPlan?) {
    eligible.removeAll()
    tiers.removeAll(keepingCapacity: true)
    groups.removeAll(keepingCapacity: true)
    if plan != nil { for slot in live { states[slot].isWanted = false } }
    groups.append(EndpointGroup(tiers: addTiers(of: live, by: plan, isWhole: true)))
    if subsets.policy != nil { addSubsets(by: plan) }
    while turns.count < tiers.count { turns.append(firstTurn) }
    if plan != nil { probes.removeAll { !states[$0].isWanted } }
  }

  private func addSubsets(by plan: LocalityPlan?) {
    for members in subsets.members {
      let isOut = !members.contains { states[$0].isEligible }
      if isOut, subsets.policy?.fallback != SubsetPolicy.Fallback.none {
        groups.append(EndpointGroup(tiers: 0..<0, isFallback: true))
      } else {
        let tiers = addTiers(of: members, by: isOut ? nil : plan, isWhole: false, evenIfOut: isOut)
        groups.append(EndpointGroup(tiers: tiers, isWhole: false))
      }
    }
    // The last one is for requests whose subset nobody is in.
    groups.append(EndpointGroup(tiers: 0..<0, isFallback: true))
    let fallback = fallback()
    for i in groups.indices where groups[i].isFallback { groups[i] = fallback }
  }

  /// What stands in for a subset of which nobody is available.
  private func fallback() -> EndpointGroup {
    var group = groups[0]
    if subsets.policy?.fallback == .default, let number = subsets.defaultGroup, !groups[number].isFallback {
      group = groups[number]
    }
    group.isFallback = true
    return group
  }

  /// At least one, which may be empty.
  private func addTiers(
    of slots: [Int], by plan: LocalityPlan?, isWhole: Bool, evenIfOut: Bool = false
  ) -> Range<Int> {
    let first = tiers.count
    guard let plan else {
      let start = eligible.count
      for slot in slots {
        if evenIfOut || states[slot].isEligible { eligible.append(slot) }
        enter(slot, first, isWhole)
      }
      tiers.append(EndpointTier(part: eligible.seal(from: start) { states[$0].weight }))
      return first..<tiers.count
    }
    let health = self.health(of: slots, plan)
    var bound = 0.0
    for (level, share) in plan.shares(health).enumerated() where health[level].total > 0 {
      let start = eligible.count
      var tier = EndpointTier()
      for slot in slots where states[slot].level == level {
        tier.pending += states[slot].pending
        if states[slot].isEligible { eligible.append(slot) }
        if share > 0 { states[slot].isWanted = true }
        enter(slot, tiers.count, isWhole)
      }
      bound += share
      tier.bound = bound
      tier.part = eligible.seal(from: start) { states[$0].weight }
      tier.capacity = capacity(of: tier.part.count)
      tiers.append(tier)
    }
    if tiers.count == first { tiers.append(EndpointTier()) }
    return first..<tiers.count
  }

  /// An endpoint that waits for its probation counts: it is there, as soon as somebody asks it.
  private func health(of slots: [Int], _ plan: LocalityPlan) -> [LocalityPlan.Health] {
    var health = [LocalityPlan.Health](repeating: .init(), count: plan.levelCount)
    for slot in slots {
      let weight = Double(states[slot].weight)
      health[states[slot].level].total += weight
      if states[slot].isEligible || states[slot].awaitsProbe { health[states[slot].level].available += weight }
    }
    return health
  }

  private func enter(_ slot: Int, _ tier: Int, _ isWhole: Bool) {
    if isWhole { states[slot].tier = tier } else { states[slot].subsetTier = tier }
  }

  // MARK: - Load

  /// This worker's part of what a zone takes, at least one request for each endpoint.
  private func capacity(of endpoints: Int) -> Int {
    guard let spillLimit else { return .max }
    return max(endpoints, endpoints * Int(spillLimit) / max(workerCount, 1))
  }

  /// A request has begun (1) or ended (-1).
  func countLoad(_ slot: Int, _ change: Int) {
    guard spillLimit != nil else { return }
    if tiers.indices.contains(states[slot].tier) { tiers[states[slot].tier].pending &+= change }
    if tiers.indices.contains(states[slot].subsetTier) { tiers[states[slot].subsetTier].pending &+= change }
  }
}
