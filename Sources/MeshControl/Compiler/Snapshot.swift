package import MeshCore
package import MeshResources

/// A workload that `apus run` registered and whose lease is alive.
package struct RegisteredWorkload: Hashable, Sendable {
  package var name: String
  package var namespace: String
  /// What `--service` named; the workload carries the labels `app` and `apus.dev/service` with this value.
  package var service: String?
  package var serviceAccount: String
  /// The workload's own address; the port is without meaning.
  package var address: SocketAddress
  /// In the order they were declared.
  package var ports: [UInt16]
  package var labels: [String: String]
  package var ready: Bool
  package var identity: SPIFFEID

  package init(
    name: String, namespace: String, service: String?, serviceAccount: String, address: SocketAddress,
    ports: [UInt16], labels: [String: String] = [:], ready: Bool = true, identity: SPIFFEID
  ) {
    self.name = name
    self.namespace = namespace
    self.service = service
    self.serviceAccount = serviceAccount
    self.address = address
    self.ports = ports
    self.labels = labels
    self.ready = ready
    self.identity = identity
  }
}

/// All that the compiler sees. Immutable; the order of its parts has no meaning.
package struct Snapshot: Hashable, Sendable {
  package var manifests: [ResourceKey: Located<Resource>]
  package var workloads: [RegisteredWorkload]
  package var trustDomain: String
  /// The mesh's secret for the tokens of sessions.
  package var sessionKey = SipKey(0, 0)
  /// Somebody has stopped all faults of the mesh.
  package var areFaultsStopped = false
  /// Where each rollout stands, by `namespace/name` of its policy. What is missing here has not begun.
  package var rollouts: [String: RolloutShare] = [:]
  /// For the status of routes only: what `ManifestSet` says of the same names.
  package var rejected: [ResourceKey: Located<Resource>]
  package var problems: [ManifestProblem]

  package init(
    manifests: [ResourceKey: Located<Resource>] = [:], workloads: [RegisteredWorkload] = [],
    trustDomain: String = SPIFFEID.defaultTrustDomain, rejected: [ResourceKey: Located<Resource>] = [:],
    problems: [ManifestProblem] = []
  ) {
    self.manifests = manifests
    self.rejected = rejected
    self.problems = problems
    self.workloads = workloads
    self.trustDomain = trustDomain
  }

  /// Whether only `manifests` and `workloads` may differ.
  func isLike(_ other: Snapshot) -> Bool {
    var (mine, others) = (self, other)
    (mine.manifests, mine.workloads) = ([:], [])
    (others.manifests, others.workloads) = ([:], [])
    return mine == others
  }

  /// Of manifests alone, without a mesh.
  package init(_ manifests: ManifestSet) {
    self.init(manifests: manifests.objects, rejected: manifests.rejected, problems: manifests.problems)
  }
}
