package import Logging
import MeshCore
import MeshResources

/// Holds the state of every rollout, the only writer of `rollouts.json`. `RolloutLoop` brings time and samples, people bring
/// commands; the compiler reads the weights.
package actor RolloutController {
  /// A rollout is forgotten when its policy has been away for this long: an editor may move a file.
  static let forgetAfter: Int64 = 60_000
  /// Samples alone are written this often.
  static let saveInterval: Int64 = 10_000

  package private(set) var states: [String: RolloutState] { didSet { number += 1 } }
  /// Of `states`.
  private var number: UInt64 = 1
  /// As they stand in the manifests.
  private var plans: [String: CompiledRollout] = [:]
  private var missingSince: [String: Int64] = [:]
  private var lastSave: Int64 = 0
  private var isUnsaved = false
  /// Told once until it works again.
  private var isDiskFailing = false
  private var isFrozen = false
  private let file: RolloutFile
  private let clock: RolloutClock
  private let log: Logger

  package init(file: RolloutFile, clock: RolloutClock, log: Logger) throws {
    self.file = file
    self.clock = clock
    self.log = log
    let now = clock.now
    states = try file.read().mapValues { state in
      var state = state
      state.takeUp(now: now)
      return state
    }
  }

  /// What the compiler needs.
  package var shares: RolloutShares {
    RolloutShares(
      number: number, byPolicy: states.mapValues { RolloutShare(versions: $0.versions, weight: $0.weight) })
  }

  package var isAnyActive: Bool { states.values.contains { !$0.phase.isFinal } }

  /// Of the clock that all its times are of.
  package nonisolated var now: Int64 { clock.now }

  // MARK: - What changes states

  /// True: the weights differ from before. `areManifestsWhole`: what stands in no manifest is not wanted any more.
  package func advance(
    _ compiled: [CompiledRollout], samples: [String: RolloutSamples], areManifestsWhole: Bool
  ) -> Bool {
    if isFrozen { return false }
    let now = clock.now
    plans = Dictionary(compiled.map { ($0.name, $0) }) { first, _ in first }
    var next = states
    for (name, plan) in plans {
      let input = plan.input(now: now, samples: samples[name])
      next[name, default: RolloutState(plan.rollout, now: now)].advance(plan.rollout, input)
    }
    forget(&next, now: now, areManifestsWhole: areManifestsWhole)
    return commit(next, now: now)
  }

  /// True: the weights differ from before.
  package func obey(_ order: RolloutOrder, _ name: String) throws(RolloutRefusal) -> Bool {
    guard !isFrozen, let plan = plans[name], var state = states[name] else {
      throw RolloutRefusal(description: "there is no rollout \(name)")
    }
    let before = state.weight
    let now = clock.now
    try state.obey(order, plan.rollout, plan.input(now: now, samples: nil))
    var next = states
    next[name] = state
    let changed = commit(next, now: now)
    if state.weight > before, states[name]?.weight == before {
      throw RolloutRefusal(
        description: "its state cannot be written (see the controller's log), so it stays where it is")
    }
    return changed
  }

  private func forget(_ next: inout [String: RolloutState], now: Int64, areManifestsWhole: Bool) {
    missingSince = missingSince.filter { next[$0.key] != nil && plans[$0.key] == nil }
    guard areManifestsWhole else { return missingSince.removeAll() }
    for name in next.keys where plans[name] == nil {
      let since = missingSince[name] ?? now
      missingSince[name] = since
      if now - since >= Self.forgetAfter { next[name] = nil }
    }
  }

  // MARK: - Keeping

  /// Takes `next` as it is where it is on disk. Where that fails, no canary gets more than a controller that starts would know
  /// of; a way back is taken all the same.
  private func commit(_ next: [String: RolloutState], now: Int64) -> Bool {
    guard next != states else {
      if isUnsaved { save(now) }
      return false
    }
    tell(next)
    let before = states
    let isUrgent = next.mapValues(\.withoutSamples) != states.mapValues(\.withoutSamples)
    states = next
    isUnsaved = true
    if isUrgent || now - lastSave >= Self.saveInterval { save(now) }
    if isUnsaved, isUrgent {
      for (name, state) in next where state.weight > before[name]?.weight ?? 0 { states[name] = before[name] }
    }
    return states.contains {
      $0.value.weight != before[$0.key]?.weight || $0.value.versions != before[$0.key]?.versions
    }
  }

  private func save(_ now: Int64) {
    lastSave = now
    do {
      try file.write(states)
      isUnsaved = false
      isDiskFailing = false
    } catch {
      if isDiskFailing { return }
      isDiskFailing = true
      log.error("cannot write the state of rollouts", metadata: ["error": "\(error)"])
    }
  }

  /// Keeps what there is for the next controller: the workloads that a shutdown ends are no failure of the canary.
  package func freeze() {
    if isUnsaved { save(clock.now) }
    isFrozen = true
  }

  private func tell(_ next: [String: RolloutState]) {
    for (name, state) in next.sorted(by: { $0.key < $1.key }) {
      let known = states[name]?.events.last
      for event in state.events.reversed().prefix(while: { $0 != known }).reversed() {
        log.notice("rollout \(event.reason)", metadata: ["rollout": "\(name)", "message": "\(event.message)"])
      }
    }
  }
}

extension RolloutState {
  /// What must be on disk before it counts.
  fileprivate var withoutSamples: RolloutState {
    var state = self
    state.forgetSamples(now: 0)
    return state
  }
}

/// Unix milliseconds that neither jump nor go back while the controller runs.
package struct RolloutClock: Sendable {
  private let clock: ControlClock
  private let origin: Int64

  package init(_ clock: ControlClock) {
    self.clock = clock
    origin = clock.milliseconds - Int64(clock.monotonic().nanoseconds / 1_000_000)
  }

  package var now: Int64 { origin + Int64(clock.monotonic().nanoseconds / 1_000_000) }
}
