package import MeshResources

/// The settings that apply in one place, each with the policy that it comes from.
package struct EffectivePolicy: Hashable, Sendable {
  package struct Source: Hashable, Sendable {
    package var policy: ResourceKey
    package var position: ManifestPosition
    package var level: PolicyLevel
  }

  package struct Entry: Hashable, Sendable {
    package var setting: PolicySetting
    package var source: Source
  }

  /// What no policy says is absent: it has its default.
  package var entries: [PolicyField: Entry] = [:]

  package init() {}

  /// In the order of the manifest's description.
  package var ordered: [Entry] { entries.sorted { $0.key < $1.key }.map(\.value) }
}

/// Joins the policies of one place. Pure.
///
/// Each field has the value of the most specific policy that says it: mesh, namespace, service, port, route, rule. Of two
/// policies for the same thing the older counts, then the first by namespace and name.
package enum PolicyMerge {
  /// A field that a policy says and that an older policy for the same thing says, too.
  package struct Conflict: Hashable, Sendable {
    package var winner: ResourceKey
    /// Ordered.
    package var fields: [PolicyField]
  }

  /// `policies` are those for one thing, in any order; `wider` is what applies around it.
  package static func merge(
    _ policies: [AttachedPolicy], at level: PolicyLevel, over wider: EffectivePolicy = EffectivePolicy()
  ) -> EffectivePolicy {
    var effective = wider
    // The one that counts most is the last to write.
    for policy in policies.sorted(by: { $1.goesBefore($0) }) {
      let source = EffectivePolicy.Source(policy: policy.key, position: policy.position, level: level)
      for setting in policy.settings {
        effective.entries[setting.field] = EffectivePolicy.Entry(setting: setting, source: source)
      }
    }
    return effective
  }

  /// For each policy that loses fields to others for the same thing, to whom. Ordered by age of the winner.
  package static func conflicts(_ policies: [AttachedPolicy]) -> [ResourceKey: [Conflict]] {
    var winners: [PolicyField: ResourceKey] = [:]
    var conflicts: [ResourceKey: [Conflict]] = [:]
    let ordered = policies.sorted { $0.goesBefore($1) }
    for policy in ordered {
      var lost: [ResourceKey: [PolicyField]] = [:]
      for field in policy.settings.map(\.field) {
        if let winner = winners[field] { lost[winner, default: []].append(field) } else { winners[field] = policy.key }
      }
      for winner in ordered {
        guard let fields = lost[winner.key] else { continue }
        conflicts[policy.key, default: []].append(Conflict(winner: winner.key, fields: fields.sorted()))
      }
    }
    return conflicts
  }
}
