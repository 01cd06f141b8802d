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
  package var parents: [Parent]
}

/// One condition of the Gateway API.
package struct RouteCondition: Hashable, Sendable {
  package enum Kind: String, Hashable, Sendable {
    case accepted = "Accepted"
    case resolvedRefs = "ResolvedRefs"
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
      for parent in status.parents {
        for condition in parent.conditions {
          times[ConditionPlace(key: status.key, parent: parent.ref, kind: condition.kind)] = condition
        }
      }
    }
    return map { status in
      var status = status
      for (p, parent) in status.parents.enumerated() {
        for (c, condition) in parent.conditions.enumerated() {
          let before = times[ConditionPlace(key: status.key, parent: parent.ref, kind: condition.kind)]
          let since = before.flatMap { $0.isTrue == condition.isTrue ? $0.since : nil } ?? now
          status.parents[p].conditions[c].since = since
        }
      }
      return status
    }
  }
}

private struct ConditionPlace: Hashable {
  var key: ResourceKey
  var parent: RouteParent
  var kind: RouteCondition.Kind
}
