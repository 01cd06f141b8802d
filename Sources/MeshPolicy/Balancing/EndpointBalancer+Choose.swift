import MeshCore

// How the algorithms choose among the eligible endpoints of a group.
extension EndpointBalancer {
  /// Nil when nobody but `excluded`, the latest of which stands last, is there.
  func choose(
    now: Instant, _ random: inout SeededRandom, in group: EndpointGroup, _ tier: Int, excluding excluded: [Int]
  ) -> Int? {
    let part = tiers[tier].part
    if part.count == 0 { return takeOver(from: tier, in: group, &random, excluding: excluded) }
    if let latest = excluded.last, eligible.slots[part.start..<part.end].allSatisfy(excluded.contains) {
      if let other = takeOver(from: tier, in: group, &random, excluding: excluded) { return other }
      // The repeat has nobody better than those that failed, unless the latest cannot even be connected to.
      return group.isWhole && states[latest].rows.connectFailures > 0 ? anyOther(than: excluded, &random) : nil
    }
    if part.count == 1 { return eligible.slots[part.start] }
    switch algorithm {
    case .peakEWMA, .leastRequest:
      let (a, b) = drawTwo(from: part, now: now, &random, excluding: excluded)
      if algorithm == .leastRequest { return states[a].backlog <= states[b].backlog ? a : b }
      let (loadA, loadB) = (states[a].load(now: now), states[b].load(now: now))
      // Estimates sink while nobody looks. Without the margin the light ones, asked less often, would win by that alone.
      return loadA <= (part.isWeighted ? loadB * Self.alikeLoads : loadB) ? a : b
    case .roundRobin: return nextTurn(tier, now: now, excluding: excluded)
    case .random, .ringHash, .maglev: return draw(from: part, now: now, &random, excluding: excluded)
    }
  }

  /// Loads that differ by less are alike where weights are to decide.
  private static var alikeLoads: Double { 1.1 }

  /// Two different ones where all are alike. By weight, the same may be drawn twice: two draws without that would give the light
  /// ones more than their share, at the least of two endpoints half of the requests to each.
  @inline(__always)
  private func drawTwo(
    from part: WeightedSlots.Part, now: Instant, _ random: inout SeededRandom, excluding excluded: [Int]
  ) -> (Int, Int) {
    if part.isWeighted || !excluded.isEmpty || now < warmUntil {
      return (
        draw(from: part, now: now, &random, excluding: excluded),
        draw(from: part, now: now, &random, excluding: excluded)
      )
    }
    let a = random.next(below: part.count)
    var b = random.next(below: part.count &- 1)
    if b >= a { b &+= 1 }
    return (eligible.slots[part.start &+ a], eligible.slots[part.start &+ b])
  }

  /// One by weight, of at least two.
  private func draw(
    from part: WeightedSlots.Part, now: Instant, _ random: inout SeededRandom, excluding excluded: [Int]
  ) -> Int {
    var slot = eligible.draw(from: part, &random)
    if excluded.isEmpty, now >= warmUntil { return slot }
    // Those that start slowly give up a part of their draws.
    for _ in 0..<Self.maximumDraws {
      if !excluded.contains(slot) {
        let share = warmShare(slot, now: now)
        if share >= 1 || random.unit() < share { return slot }
      }
      slot = eligible.draw(from: part, &random)
    }
    // Nearly all of the weight is excluded.
    return !excluded.contains(slot)
      ? slot : eligible.slots[part.start..<part.end].first { !excluded.contains($0) } ?? slot
  }

  private static let maximumDraws = 64

  private func anyOther(than excluded: [Int], _ random: inout SeededRandom) -> Int? {
    let start = random.next(below: live.count)
    for step in 0..<live.count {
      let slot = live[(start + step) % live.count]
      if !excluded.contains(slot) { return slot }
    }
    return nil
  }

  // MARK: - Tiers

  /// The tier whose turn it is by its part of the requests, or the next that has room.
  func chooseTier(_ group: EndpointGroup, _ random: inout SeededRandom, key: UInt64?) -> Int {
    let last = group.tiers.upperBound &- 1
    var tier = group.tiers.lowerBound
    if tier == last { return tier }
    // A key keeps its tier for as long as the parts stay as they are.
    let draw = key.map { Double(StableHash.mix($0) >> 11) * 0x1p-53 } ?? random.unit()
    while tier < last, draw >= tiers[tier].bound { tier &+= 1 }
    guard spillLimit != nil else { return tier }
    for next in tier...last where tiers[next].part.count > 0 && tiers[next].pending < tiers[next].capacity {
      return next
    }
    return tier
  }

  /// Nobody of `tier` can be used: somebody of the next ones, or of those before.
  private func takeOver(
    from tier: Int, in group: EndpointGroup, _ random: inout SeededRandom, excluding excluded: [Int]
  ) -> Int? {
    for next in group.tiers where next != tier {
      let part = tiers[next].part
      guard part.count > 0 else { continue }
      let slot = eligible.draw(from: part, &random)
      if !excluded.contains(slot) { return slot }
      if let other = eligible.slots[part.start..<part.end].first(where: { !excluded.contains($0) }) { return other }
    }
    return nil
  }

  /// One that waits for its probation and may be asked by a request for the group, whoever stands in for it.
  func probe(for number: Int) -> Int? {
    number == 0 ? probes.first : probes.first { states[$0].subset == number }
  }

  // MARK: - In turn

  /// Everyone saves up its share of a turn whenever the round passes, and is served when it has a whole one: the heaviest every time.
  private func nextTurn(_ tier: Int, now: Instant, excluding excluded: [Int]) -> Int {
    let part = tiers[tier].part
    var turn = turns[tier]
    defer { turns[tier] = turn }
    for _ in 0..<(part.count * Self.maximumRounds) {
      turn = turn &+ 1 < part.count ? turn &+ 1 : 0
      let slot = eligible.slots[part.start &+ turn]
      if excluded.contains(slot) { continue }
      let share = part.isWeighted ? Double(states[slot].weight) / Double(part.heaviest) : 1
      states[slot].credit += now < warmUntil ? share * warmShare(slot, now: now) : share
      guard states[slot].credit >= 1 else { continue }
      states[slot].credit -= 1
      return slot
    }
    // All start slowly, or the heaviest is excluded: nearly nobody has saved up anything.
    let slots = eligible.slots[part.start..<part.end]
    return slots.first { !excluded.contains($0) } ?? slots[part.start]
  }

  private static let maximumRounds = 16

  // MARK: - By hash

  /// Nil when the tables know of nobody who may be used.
  func find(
    _ key: UInt64, in group: EndpointGroup, _ tier: Int, excluding excluded: [Int], isRepeat: Bool
  ) -> Int? {
    let isDivided = !group.isWhole || group.tiers.count > 1
    func isUsable(_ slot: Int) -> Bool {
      if isDivided, (group.isWhole ? states[slot].tier : states[slot].subsetTier) != tier { return false }
      return !excluded.contains(slot) && (states[slot].isEligible || !isRepeat && states[slot].awaitsProbe)
    }
    if let slot = algorithm == .ringHash ? ring?.find(key, isUsable) : maglev?.find(key, isUsable) { return slot }
    // A small part of the table may not be met.
    let part = tiers[tier].part
    guard isDivided, part.count > 0 else { return nil }
    let slot = eligible.slots[part.start &+ Int(key % UInt64(part.count))]
    return excluded.contains(slot) ? nil : slot
  }

  // MARK: - Slow start

  /// The part of its share that an endpoint gets.
  func warmShare(_ slot: Int, now: Instant) -> Double {
    guard let since = states[slot].warmSince, let slowStart else { return 1 }
    return slowStart.share(at: now - since)
  }

  /// The endpoint is new, or has returned.
  func startSlowly(_ slot: Int, now: Instant) {
    guard let slowStart, !algorithm.isHashing else { return }
    states[slot].warmSince = now
    states[slot].credit = 0
    warmUntil = max(warmUntil, now + slowStart.window)
  }
}
