package import MeshResources

/// What `status` of a route would say in a cluster, for each of its parents.
package struct RouteStatus: Hashable, Sendable {
  package struct Parent: Hashable, Sendable {
    package var ref: RouteParent
    package var conditions: [RouteCondition]
  }

  package var key: ResourceKey
  package var position: ManifestPosition
  /// Seconds since 1970, where the manifest says it.
  package var creationTime: Int64?
  package var generation: Int64?
  package var parents: [Parent] = []
  /// Of kinds without parents.
  package var conditions: [RouteCondition] = []

  init(_ located: Located<Resource>) {
    key = located.value.key
    position = located.position
    creationTime = located.value.metadata.creationTime
    generation = located.value.metadata.generation
  }
}

/// One condition of the Gateway API.
package struct RouteCondition: Hashable, Sendable {
  package enum Kind: String, Hashable, Sendable {
    case accepted = "Accepted"
    case resolvedRefs = "ResolvedRefs"
    /// Of a policy, and only present when true.
    case conflicted = "Conflicted"
    /// Of a FaultInjection: whether it strikes now.
    case active = "Active"
    /// Only present when true.
    case partiallyInvalid = "PartiallyInvalid"
  }

  package var kind: Kind
  package var isTrue: Bool
  package var reason: String
  package var message: String
  /// Unix milliseconds at which `isTrue` came to be what it is.
  package var since: Int64 = 0
}

extension [RouteStatus] {
  /// The same with the time at which each condition changed: what was so before keeps its time.
  package func dated(after old: [RouteStatus], now: Int64) -> [RouteStatus] {
    var times: [ConditionPlace: RouteCondition] = [:]
    for status in old {
      status.forEachCondition { place, condition in times[place] = condition }
    }
    func date(_ condition: inout RouteCondition, _ place: ConditionPlace) {
      let before = times[place]
      condition.since = before.flatMap { $0.isTrue == condition.isTrue ? $0.since : nil } ?? now
    }
    return map { status in
      var status = status
      for (p, parent) in status.parents.enumerated() {
        for (c, condition) in parent.conditions.enumerated() {
          let place = ConditionPlace(key: status.key, parent: parent.ref, kind: condition.kind)
          date(&status.parents[p].conditions[c], place)
        }
      }
      for (c, condition) in status.conditions.enumerated() {
        let place = ConditionPlace(key: status.key, parent: nil, kind: condition.kind)
        date(&status.conditions[c], place)
      }
      return status
    }
  }
}

extension RouteStatus {
  fileprivate func forEachCondition(_ body: (ConditionPlace, RouteCondition) -> Void) {
    for parent in parents {
      for condition in parent.conditions {
        body(ConditionPlace(key: key, parent: parent.ref, kind: condition.kind), condition)
      }
    }
    for condition in conditions { body(ConditionPlace(key: key, parent: nil, kind: condition.kind), condition) }
  }
}

private struct ConditionPlace: Hashable {
  var key: ResourceKey
  var parent: RouteParent?
  var kind: RouteCondition.Kind
}
