import MeshCore
import MeshResources

@testable import MeshControl

/// A rollout on a clock that the test moves.
struct RolloutBench {
  var rollout: Rollout
  var state: RolloutState
  /// Milliseconds.
  var now: Int64 = 1_000_000
  var stableEndpoints = 1
  var canaryEndpoints = 1
  var obstacle = ""

  /// 5 % for 30 s, 50 % for 60 s.
  static let steps = [Rollout.Step(weight: 5, pause: .seconds(30)), Rollout.Step(weight: 50, pause: .seconds(60))]

  init(steps: [Rollout.Step] = RolloutBench.steps, gates: RolloutGates? = nil, onFailure: Rollout.OnFailure = .rollback)
  {
    rollout = Rollout(
      versions: .init(stable: "orders-v1", canary: "orders-v2"), steps: steps, gates: gates, onFailure: onFailure)
    state = RolloutState(rollout, now: now)
  }

  /// Success rate at least 99.5 % and at most 1 point below the stable version's, every 10 s, of 100 requests.
  static var gates: RolloutGates {
    var gates = RolloutGates()
    gates.successRate = .init(minimum: 99_500, maximumDrop: 1_000)
    return gates
  }

  /// `successes` and `failures` of the canary, among as many flawless requests of the stable version.
  static func samples(_ successes: Double, _ failures: Double = 0, stableFailures: Double = 0) -> RolloutSamples {
    var samples = RolloutSamples()
    samples.canary = sample(successes, failures)
    samples.stable = sample(successes + failures, stableFailures)
    return samples
  }

  static func sample(_ successes: Double, _ failures: Double = 0, milliseconds: Double = 3) -> VersionSample {
    var sample = VersionSample()
    sample.successes = successes
    sample.failures = failures
    let count = successes + failures
    for bound in [1, 2, 3, 4, 5, 10, 100, 1000, Double.infinity] {
      sample.latency.add(bound >= milliseconds ? count : 0, atOrBelow: bound)
    }
    return sample
  }

  mutating func advance(seconds: Double = 0, _ samples: RolloutSamples? = nil) {
    now += Int64(seconds * 1000)
    state.advance(rollout, input(samples))
  }

  func input(_ samples: RolloutSamples? = nil) -> RolloutInput {
    RolloutInput(
      now: now, obstacle: obstacle, stableEndpoints: stableEndpoints, canaryEndpoints: canaryEndpoints, samples: samples
    )
  }

  mutating func obey(_ order: RolloutOrder) throws(RolloutRefusal) { try state.obey(order, rollout, input()) }

  /// `Progressing 5`, or with the reason: `Paused(StepPause) 5`.
  var place: String { "\(state.phase.rawValue)\(state.pause.map { "(\($0.rawValue))" } ?? "") \(state.weight)" }
  var reasons: [String] { state.events.map(\.reason) }
  var lastMessage: String { state.events.last?.message ?? "" }
}
