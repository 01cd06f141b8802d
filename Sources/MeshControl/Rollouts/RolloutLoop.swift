import MeshCore
import MeshResources

/// Lets rollouts go on: looks at the mesh, asks the proxies, and has the weights compiled when they change. One task.
struct RolloutLoop: Sendable {
  /// While a rollout is under way, and otherwise.
  static let activePause: Duration = .milliseconds(200)
  static let idlePause: Duration = .seconds(1)

  let rollouts: RolloutController
  let state: MeshState
  let registry: WorkloadRegistry
  let clock: RolloutClock

  func run() async throws {
    var readings: [String: RolloutReadings] = [:]
    while true {
      try await Task.sleep(for: await rollouts.isAnyActive ? Self.activePause : Self.idlePause)
      try await turn(&readings)
    }
  }

  private func turn(_ readings: inout [String: RolloutReadings]) async throws {
    let plans = await state.compiled.rollouts
    let samples = await measure(plans, &readings)
    // A shutdown ends workloads, which is no news of the canary.
    try Task.checkCancellation()
    let isWhole = await !state.manifests.hasErrors
    // Of now: the proxies may have taken their time to answer.
    let newest = await state.compiled.rollouts
    if await rollouts.advance(newest, samples: samples, areManifestsWhole: isWhole) { await state.compile() }
  }

  /// Of the rollouts whose proxies are to be asked now.
  private func measure(
    _ plans: [CompiledRollout], _ readings: inout [String: RolloutReadings]
  ) async -> [String: RolloutSamples] {
    let states = await rollouts.states
    let measured = plans.filter { plan in
      guard let state = states[plan.name] else { return false }
      return plan.rollout.gates != nil && (state.phase == .progressing || state.phase == .paused)
    }
    readings = readings.filter { reading in measured.contains { $0.name == reading.key } }
    let now = clock.now
    let due = measured.filter { plan in
      guard let last = readings[plan.name]?.readAt, let gates = plan.rollout.gates else { return true }
      return now - last >= gates.interval.nanoseconds / 1_000_000
    }
    if due.isEmpty { return [:] }
    let leases = await registry.workloads
    let pages = await RolloutScrape.pages(of: leases)
    var samples: [String: RolloutSamples] = [:]
    for plan in due {
      samples[plan.name] = readings[plan.name, default: RolloutReadings()].increase(pages, of: plan, now: now)
      readings[plan.name]?.forget(workloadsBut: Set(leases.map(\.name)))
    }
    return samples
  }
}
