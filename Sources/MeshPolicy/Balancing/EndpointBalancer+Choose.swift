import MeshCore

// How the algorithms choose among the eligible endpoints.
extension EndpointBalancer {
  /// Nil when nobody but `excluded` is there.
  func choose(now: Instant, _ random: inout SeededRandom, excluding excluded: Int?) -> Int? {
    switch eligible.count {
    case 0: return nil
    case 1:
      let only = eligible.slots[0]
      guard only == excluded else { return only }
      // The repeat has nobody better than the one that failed, unless that one cannot even be connected to.
      return states[only].rows.connectFailures > 0 ? anyOther(than: only, &random) : nil
    default: break
    }
    switch algorithm {
    case .peakEWMA, .leastRequest:
      let (a, b) = drawTwo(now: now, &random, excluding: excluded)
      if algorithm == .leastRequest { return states[a].backlog <= states[b].backlog ? a : b }
      let (loadA, loadB) = (states[a].load(now: now), states[b].load(now: now))
      // Estimates sink while nobody looks. Without the margin the light ones, asked less often, would win by that alone.
      return loadA <= (eligible.isWeighted ? loadB * Self.alikeLoads : loadB) ? a : b
    case .roundRobin: return nextTurn(now: now, excluding: excluded)
    case .random, .ringHash, .maglev: return draw(now: now, &random, excluding: excluded)
    }
  }

  /// Loads that differ by less are alike where weights are to decide.
  private static var alikeLoads: Double { 1.1 }

  /// Two different ones where all are alike. By weight, the same may be drawn twice: two draws without that would give the light
  /// ones more than their share, at the least of two endpoints half of the requests to each.
  @inline(__always)
  private func drawTwo(now: Instant, _ random: inout SeededRandom, excluding excluded: Int?) -> (Int, Int) {
    if eligible.isWeighted || excluded != nil || now < warmUntil {
      return (
        draw(now: now, &random, excluding: excluded), draw(now: now, &random, excluding: excluded)
      )
    }
    let a = random.next(below: eligible.count)
    var b = random.next(below: eligible.count &- 1)
    if b >= a { b &+= 1 }
    return (eligible.slots[a], eligible.slots[b])
  }

  /// One by weight, of at least two.
  private func draw(now: Instant, _ random: inout SeededRandom, excluding excluded: Int?) -> Int {
    var slot = eligible.draw(&random)
    if excluded == nil, now >= warmUntil { return slot }
    // Those that start slowly give up a part of their draws.
    for _ in 0..<Self.maximumDraws {
      if slot != excluded {
        let share = warmShare(slot, now: now)
        if share >= 1 || random.unit() < share { return slot }
      }
      slot = eligible.draw(&random)
    }
    // Nearly all of the weight is excluded.
    return slot != excluded ? slot : eligible.slots.first { $0 != excluded } ?? slot
  }

  private static let maximumDraws = 64

  private func anyOther(than excluded: Int, _ random: inout SeededRandom) -> Int? {
    guard live.count > 1 else { return nil }
    let start = random.next(below: live.count)
    for step in 0..<live.count {
      let slot = live[(start + step) % live.count]
      if slot != excluded { return slot }
    }
    return nil
  }

  // MARK: - In turn

  /// Everyone saves up its share of a turn whenever the round passes, and is served when it has a whole one: the heaviest every time.
  private func nextTurn(now: Instant, excluding excluded: Int?) -> Int {
    let slots = eligible.slots
    for _ in 0..<(slots.count * Self.maximumRounds) {
      turn = turn &+ 1 < slots.count ? turn &+ 1 : 0
      let slot = slots[turn]
      if slot == excluded { continue }
      let share = eligible.isWeighted ? Double(states[slot].weight) / Double(eligible.heaviest) : 1
      states[slot].credit += now < warmUntil ? share * warmShare(slot, now: now) : share
      guard states[slot].credit >= 1 else { continue }
      states[slot].credit -= 1
      return slot
    }
    // All start slowly, or the heaviest is excluded: nearly nobody has saved up anything.
    return slots.first { $0 != excluded } ?? slots[0]
  }

  private static let maximumRounds = 16

  // MARK: - By hash

  /// Nil when the tables know of nobody who may be used.
  func find(_ key: UInt64, excluding excluded: Int?, isRepeat: Bool) -> Int? {
    func isUsable(_ slot: Int) -> Bool {
      slot != excluded && (states[slot].isEligible || !isRepeat && states[slot].awaitsProbe)
    }
    return algorithm == .ringHash ? ring?.find(key, isUsable) : maglev?.find(key, isUsable)
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

  // MARK: - The look at all endpoints

  /// Finds those that requests may go to. Runs when a phase has changed or an ejection is over.
  func look(now: Instant) {
    isStale = false
    eligible.removeAll()
    probes.removeAll(keepingCapacity: true)
    nextReturn = Self.never
    for slot in live {
      if states[slot].phase == .ejected, states[slot].ejectedUntil <= now { states[slot].enter(.probation) }
      switch states[slot].phase {
      case .ready: if !states[slot].health.isUnhealthy { eligible.append(slot) }
      case .probation: if states[slot].awaitsProbe { probes.append(slot) }
      case .ejected: nextReturn = min(nextReturn, states[slot].ejectedUntil)
      }
      states[slot].isEligible = states[slot].phase == .ready && !states[slot].health.isUnhealthy
    }
    let isPanic = (eligible.count + probes.count) * 100 < panicPercent * live.count
    if isPanic, !isPanicking { note(.panicBegan) }
    isPanicking = isPanic
    if isPanic { admit { !states[$0].refusesConnections } }
    if eligible.count == 0 { admit { _ in true } }
    eligible.seal { states[$0].weight }
  }

  private func admit(_ isAdmitted: (Int) -> Bool) {
    eligible.removeAll()
    for slot in live {
      states[slot].isEligible = isAdmitted(slot)
      if states[slot].isEligible { eligible.append(slot) }
    }
  }
}
