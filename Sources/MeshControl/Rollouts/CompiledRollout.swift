package import MeshCore
package import MeshResources

/// How far a rollout has come, for the compiler.
package struct RolloutShare: Hashable, Sendable {
  /// It counts for these only: after a change of the versions nothing goes to the new canary yet.
  package var versions: Rollout.Versions
  /// Percent of the requests that go to the canary.
  package var weight: UInt32

  package init(versions: Rollout.Versions, weight: UInt32) {
    self.versions = versions
    self.weight = weight
  }
}

/// How far all of them have come.
package struct RolloutShares: Sendable {
  /// Greater than that of all before.
  package var number: UInt64 = 0
  /// By `namespace/name`.
  package var byPolicy: [String: RolloutShare] = [:]
}

/// A rollout as the compiler found it in the mesh.
package struct CompiledRollout: Hashable, Sendable {
  package struct Rule: Hashable, Comparable, Sendable {
    package var port: ServicePort
    package var rule: String

    package static func < (a: Rule, b: Rule) -> Bool { (a.port, a.rule) < (b.port, b.rule) }
  }

  package var key: ResourceKey
  package var position: ManifestPosition
  package var rollout: Rollout
  package var targets: [PolicyTarget] = []
  /// Whose backends it divides.
  package var rules: Set<Rule> = []
  /// Services that are asked for in those rules, in the policy's namespace.
  package var services: Set<String> = []
  package var stablePorts: Set<ServicePort> = []
  package var canaryPorts: Set<ServicePort> = []
  /// Ready, behind the port that has the fewest.
  package var stableEndpoints = 0
  package var canaryEndpoints = 0
  /// Why nothing can go to the canary; else empty.
  package var obstacle = ""

  package init(key: ResourceKey, position: ManifestPosition, rollout: Rollout) {
    self.key = key
    self.position = position
    self.rollout = rollout
  }

  /// `shop/orders`.
  package var name: String { Self.name(of: key) }

  package static func name(of policy: ResourceKey) -> String { "\(policy.namespace)/\(policy.name)" }

  package func input(now: Int64, samples: RolloutSamples?) -> RolloutInput {
    RolloutInput(
      now: now, obstacle: obstacle, stableEndpoints: stableEndpoints, canaryEndpoints: canaryEndpoints,
      samples: samples)
  }
}
