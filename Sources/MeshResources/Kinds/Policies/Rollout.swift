package import MeshCore

/// The block `rollout` of a `TrafficPolicy`: how requests move from one version of a service to another, step by step, and what
/// stops them.
package struct Rollout: Hashable, Sendable {
  /// Which versions: another pair is another rollout.
  package struct Versions: Hashable, Sendable, Codable {
    /// Services of the policy's namespace.
    package var stable: String
    package var canary: String
    /// What the canary's service runs, for a service whose program changes under one name. Means nothing to the mesh.
    package var revision: String?

    package init(stable: String, canary: String, revision: String? = nil) {
      self.stable = stable
      self.canary = canary
      self.revision = revision
    }
  }

  package struct Step: Hashable, Sendable {
    /// Percent of the requests that go to the canary.
    package var weight: UInt32
    /// How long the step lasts at least. Nil: until somebody resumes the rollout.
    package var pause: TimeSpan?

    package init(weight: UInt32, pause: TimeSpan?) {
      self.weight = weight
      self.pause = pause
    }
  }

  package enum OnFailure: String, Hashable, Sendable, CaseIterable {
    /// Every request goes to the stable version again.
    case rollback
    /// The weights stay until somebody decides.
    case pause
  }

  package var versions: Versions
  /// Never empty.
  package var steps: [Step]
  /// Nil: time alone moves it.
  package var gates: RolloutGates?
  package var onFailure: OnFailure

  package init(
    versions: Versions, steps: [Step], gates: RolloutGates? = nil, onFailure: OnFailure = .rollback
  ) {
    self.versions = versions
    self.steps = steps
    self.gates = gates
    self.onFailure = onFailure
  }
}

/// What the canary must measure up to before it gets more.
package struct RolloutGates: Hashable, Sendable {
  package struct SuccessRate: Hashable, Sendable {
    /// In thousandths of a percent.
    package var minimum: UInt32?
    /// Below the stable version's, in thousandths of a percentage point.
    package var maximumDrop: UInt32?

    package init(minimum: UInt32? = nil, maximumDrop: UInt32? = nil) {
      self.minimum = minimum
      self.maximumDrop = maximumDrop
    }
  }

  package struct Latency: Hashable, Sendable {
    package var percentile: UInt32 = 99
    package var maximum: TimeSpan?
    /// In percent of the stable version's.
    package var factorPercent: UInt32?
    /// A canary faster than this is never too slow compared with the stable version.
    package var floor = TimeSpan.milliseconds(10)

    package init(maximum: TimeSpan? = nil, factorPercent: UInt32? = nil) {
      self.maximum = maximum
      self.factorPercent = factorPercent
    }
  }

  /// How often the proxies are asked. A judgement is made of the requests since the one before, when there are enough.
  package var interval = TimeSpan.seconds(10)
  /// Requests of each version that a judgement needs.
  package var minimumRequests: UInt32 = 100
  /// Judgements of one step that may fail before the rollout does.
  package var toleratedFailures: UInt32 = 0
  /// How long a step may wait, past its pause, for a judgement that passes. Zero: without limit.
  package var maximumWait = TimeSpan.seconds(600)
  package var successRate: SuccessRate?
  package var latency: Latency?

  package init() {}

  /// Whether the stable version's numbers are needed.
  package var compares: Bool { successRate?.maximumDrop != nil || latency?.factorPercent != nil }
}

extension Rollout {
  /// `5%/30s 25%/1m 50%/manual`: two lists of steps are the same when this is.
  package var stepsText: String { steps.map(\.text).joined(separator: " ") }
}

extension Rollout.Step {
  fileprivate var text: String { "\(weight)%/\(pause.map(GatewayDuration.text) ?? Self.manual)" }

  /// The word of manifests for a pause until somebody resumes.
  package static let manual = "manual"
}
