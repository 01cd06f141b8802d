package import GRPCCore
package import MeshAPI
import MeshControlAPI
import MeshCore
import MeshResources
import SwiftProtobuf

// MARK: - Rollouts

extension AdminService {
  package func rollouts(
    request: Apus_V1_RolloutsRequest, context: ServerContext
  ) async throws -> Apus_V1_RolloutsResponse {
    if let order = RolloutOrder(request.action) {
      do throws(RolloutRefusal) {
        let changed = try await rollouts.obey(order, "\(request.namespace)/\(request.name)")
        // The proxies know when this returns, as far as they are connected.
        if changed { await state.compile() }
      } catch {
        throw RPCError(code: .failedPrecondition, message: error.description)
      }
    }
    let plans = await state.compiled.rollouts
    let states = await rollouts.states
    let now = rollouts.now
    return .with {
      $0.nowMs = now
      $0.rollouts = plans.filter { request.asksFor($0.key) }.map { plan in
        Apus_V1_RolloutStatus(plan, states[plan.name] ?? RolloutState(plan.rollout, now: now))
      }
    }
  }
}

extension RolloutOrder {
  fileprivate init?(_ action: Apus_V1_RolloutAction) {
    switch action {
    case .unspecified, .UNRECOGNIZED: return nil
    case .pause: self = .pause
    case .resume: self = .resume
    case .promote: self = .promote
    case .abort: self = .abort
    case .restart: self = .restart
    }
  }
}

extension Apus_V1_RolloutsRequest {
  fileprivate func asksFor(_ key: ResourceKey) -> Bool {
    (namespace.isEmpty || namespace == key.namespace) && (name.isEmpty || name == key.name)
  }
}

extension Apus_V1_RolloutStatus {
  fileprivate init(_ plan: CompiledRollout, _ state: RolloutState) {
    self.init()
    namespace = plan.key.namespace
    name = plan.key.name
    file = plan.position.file
    line = UInt32(clamping: plan.position.line)
    targets = plan.targets.map { $0.shown(in: plan.key.namespace) }
    rules = plan.rules.sorted().map { "\($0.rule) of \($0.port)" }
    revision = state.versions.revision ?? ""
    phase = state.phase.rawValue
    (reason, message) = state.report(plan)
    changedMs = state.changed
    steps = plan.rollout.steps.map { step in
      .with {
        $0.weight = step.weight
        $0.pauseMs = (step.pause?.nanoseconds ?? 0) / 1_000_000
      }
    }
    step = UInt32(state.step)
    stepStartedMs = state.stepStarted
    let gates = plan.rollout.gates
    minimumRequests = gates?.minimumRequests ?? 0
    percentile = gates?.latency?.percentile ?? RolloutGates.Latency().percentile
    addVersions(plan, state)
    addJudgement(state)
  }

  private mutating func addVersions(_ plan: CompiledRollout, _ state: RolloutState) {
    let fraction = Double(percentile) / 100
    let judged = state.lastJudgement.flatMap { $0.missing.isEmpty ? $0.samples : nil }
    stable = Apus_V1_RolloutVersion(
      state.versions.stable, weight: 100 - state.weight, endpoints: plan.stableEndpoints, judged?.stable,
      state.samples.stable, fraction)
    canary = Apus_V1_RolloutVersion(
      state.versions.canary, weight: state.weight, endpoints: plan.canaryEndpoints, judged?.canary,
      state.samples.canary, fraction)
  }

  private mutating func addJudgement(_ state: RolloutState) {
    missing = state.lastJudgement?.missing ?? ""
    gates = (state.lastJudgement?.gates ?? []).map { gate in
      .with {
        $0.name = gate.name
        $0.value = gate.value
        $0.limit = gate.limit
        $0.passed = gate.passed
      }
    }
    events = state.events.map { event in
      .with {
        $0.atMs = event.at
        $0.reason = event.reason
        $0.message = event.message
      }
    }
  }
}

extension Apus_V1_RolloutVersion {
  fileprivate init(
    _ service: String, weight: UInt32, endpoints: Int, _ judged: VersionSample?, _ since: VersionSample,
    _ fraction: Double
  ) {
    self.init()
    self.service = service
    self.weight = weight
    self.endpoints = UInt32(clamping: endpoints)
    if let judged { self.judged = Apus_V1_RolloutMeasure(judged, fraction) }
    self.since = Apus_V1_RolloutMeasure(since, fraction)
  }
}

extension Apus_V1_RolloutMeasure {
  fileprivate init(_ sample: VersionSample, _ fraction: Double) {
    self.init()
    requests = sample.requests
    if let rate = sample.successRate { successRate = rate }
    if let latency = sample.latency.quantile(fraction) { latencyMs = latency }
  }
}
