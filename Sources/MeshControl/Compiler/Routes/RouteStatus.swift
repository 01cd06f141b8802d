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
    /// Of a Workload: whether it gets requests, and how it is spoken to.
    case ready = "Ready"
    case meshed = "Meshed"
    /// Of a policy with a rollout: whether it is under way.
    case progressing = "Progressing"
    /// Of a policy with a rollout that needs somebody: it rolled back, or is paused for a reason of its own. Only present when true.
    case degraded = "Degraded"
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
  /// The same with the time at which each condition changed: what was so before keeps its time, and so does what is dated already.
  package func dated(after old: [RouteStatus], now: Int64) -> [RouteStatus] {
    let before = Dictionary(old.map { ($0.key, $0) }, uniquingKeysWith: { first, _ in first })
    return map { $0.isDated ? $0 : $0.dated(after: before[$0.key], now: now) }
  }
}

extension RouteStatus {
  fileprivate var isDated: Bool {
    conditions.allSatisfy { $0.since != 0 } && parents.allSatisfy { $0.conditions.allSatisfy { $0.since != 0 } }
  }

  fileprivate func dated(after old: RouteStatus?, now: Int64) -> RouteStatus {
    var status = self
    for p in parents.indices {
      let before = old?.parents.first { $0.ref == parents[p].ref }
      for c in parents[p].conditions.indices {
        status.parents[p].conditions[c].date(after: before?.conditions ?? [], now: now)
      }
    }
    for c in conditions.indices { status.conditions[c].date(after: old?.conditions ?? [], now: now) }
    return status
  }
}

extension RouteCondition {
  fileprivate mutating func date(after old: [RouteCondition], now: Int64) {
    let before = old.first { $0.kind == kind }
    since = before.flatMap { $0.isTrue == isTrue ? $0.since : nil } ?? now
  }
}
