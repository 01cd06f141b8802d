package import MeshCore
package import MeshHTTP

/// The faults of one rule as one client's proxy uses them. Confined to one worker loop.
package final class FaultPlan {
  /// All of the rule's, as they were given.
  package let policies: [FaultPolicy]
  private let entries: [Entry]

  private struct Entry {
    var policy: FaultPolicy
    /// Nil: every request.
    var table: RouteTable?

    func matches(_ request: MessageHead) -> Bool { table.map { $0.match(request) != nil } ?? true }
  }

  /// Nil when none of them is for this client, so that a rule without faults costs a look at a pointer. `client` is the
  /// identity of the proxy's own workload.
  package init?(_ policies: [FaultPolicy], client: SPIFFEID?) {
    let own = client.map { "\($0.namespace)/\($0.serviceAccount)" }
    let mine = policies.filter { $0.clients.isEmpty || own.map($0.clients.contains) == true }
    if mine.isEmpty { return nil }
    self.policies = policies
    entries = mine.map { policy in
      Entry(policy: policy, table: policy.match.map { RouteTable([RouteRule(name: "", matches: [$0], backends: [])]) })
    }
  }

  /// What `request` meets at the Unix time `now`, in milliseconds; nil for nothing.
  ///
  /// Of several policies that strike together delays add up, the first abort or reset counts, and of limits the tightest.
  package func strike(
    _ request: MessageHead, isGRPC: Bool, now: Int64, _ random: inout SeededRandom
  ) -> FaultVerdict? {
    var verdict: FaultVerdict?
    for entry in entries {
      let policy = entry.policy
      guard Self.isDrawn(policy.millionths, &random), policy.schedule.state(at: now) == .active,
        entry.matches(request)
      else { continue }
      var sum = verdict ?? FaultVerdict()
      sum.add(policy, isGRPC: isGRPC, &random)
      if !sum.effects.isEmpty { verdict = sum }
    }
    return verdict
  }

  /// The policies that some such requests meet, whenever their schedules say so: for people who ask.
  package func policies(for request: MessageHead) -> [FaultPolicy] {
    entries.filter { $0.matches(request) }.map(\.policy)
  }

  static func isDrawn(_ millionths: UInt32, _ random: inout SeededRandom) -> Bool {
    millionths >= 1_000_000 || random.next(below: 1_000_000) < Int(millionths)
  }
}

/// What one request meets.
package struct FaultVerdict: Sendable {
  package enum Kind: UInt8, Sendable, CaseIterable { case delay, abort, reset, bandwidth, truncate, corrupt }

  /// One fault and the policy that asked for it, by name.
  package struct Effect: Hashable, Sendable {
    package var policy: String
    package var kind: Kind

    package init(policy: String, kind: Kind) {
      self.policy = policy
      self.kind = kind
    }
  }

  package var delay = TimeSpan.zero
  package var abort: FaultAbort?
  package var isReset = false
  package var requestRate: UInt64?
  package var responseRate: UInt64?
  package var truncateAfter: UInt64?
  package var corruptMillionths: UInt32?
  /// Unix milliseconds at which the faults that last as long as a body end.
  package var end: Int64?
  package private(set) var effects: [Effect] = []

  /// No backend is asked.
  package var isFinal: Bool { abort != nil || isReset }

  package init() {}

  mutating func add(_ policy: FaultPolicy, isGRPC: Bool, _ random: inout SeededRandom) {
    func note(_ kind: Kind) { effects.append(Effect(policy: policy.name, kind: kind)) }
    if let distribution = policy.delay {
      delay = delay + distribution.value(at: random.unit())
      note(.delay)
    }
    if let own = policy.abort, !isFinal, own.applies(toGRPC: isGRPC) {
      abort = own
      note(.abort)
    }
    if policy.isReset, !isFinal {
      isReset = true
      note(.reset)
    }
    if policy.requestRate != nil || policy.responseRate != nil {
      requestRate = Self.tighter(requestRate, policy.requestRate)
      responseRate = Self.tighter(responseRate, policy.responseRate)
      note(.bandwidth)
    }
    if let own = policy.truncateAfter {
      truncateAfter = Self.tighter(truncateAfter, own)
      note(.truncate)
    }
    if let own = policy.corruptMillionths {
      corruptMillionths = max(corruptMillionths ?? 0, own)
      note(.corrupt)
    }
    end = Self.tighter(end, policy.schedule.end)
  }

  private static func tighter<Value: Comparable>(_ a: Value?, _ b: Value?) -> Value? {
    guard let a, let b else { return a ?? b }
    return min(a, b)
  }
}
