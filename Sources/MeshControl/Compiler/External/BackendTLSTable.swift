import MeshCore
import MeshPolicy
import MeshResources

/// Which BackendTLSPolicy is in force where, and what became of every target.
///
/// One for a port goes before one for the whole service; of two for the same thing the older counts (GEP-1897). One that cannot be used
/// as written leaves its targets without any trust: never does a mistake in a policy bring plaintext.
struct BackendTLSTable {
  private struct Entry {
    var located: Located<Resource>
    var policy: BackendTLSPolicy
    var targets: [PolicyAttachments.Target]
    var trust: TLSOrigination.Trust
    var findings: [AuthorityResolver.Finding] = []
    /// The older policies, by target.
    var winners: [Int: ResourceKey] = [:]
    /// Of the manifest, where none of its versions could be used.
    var errors: [ManifestProblem] = []

    var key: ResourceKey { located.value.key }
  }

  /// The older first.
  private var entries: [Entry] = []
  private var byScope: [PolicyScope: Int] = [:]
  private let services: ServiceTable

  init(_ snapshot: Snapshot, _ services: ServiceTable) {
    self.services = services
    let resolver = PolicyTargetResolver(services: services, routes: [:])
    let authorities = AuthorityResolver(snapshot)
    func add(_ located: Located<Resource>, errors: [ManifestProblem] = []) {
      guard case .backendTLSPolicy(let policy) = located.value else { return }
      let namespace = policy.metadata.namespace
      let targets = policy.targets.enumerated().map { index, target in
        resolver.resolve(target, namespace: namespace, field: "spec.targetRefs[\(index)]")
      }
      var entry = Entry(located: located, policy: policy, targets: targets, trust: .nobody, errors: errors)
      if errors.isEmpty {
        (entry.trust, entry.findings) = authorities.resolve(policy.validation.authorities, namespace: namespace)
      }
      entries.append(entry)
    }
    for located in snapshot.manifests.values { add(located) }
    for located in snapshot.rejected.values {
      add(located, errors: snapshot.problems.filter { $0.severity == .error && $0.key == located.value.key })
    }
    entries.sort { RouteAge.of($0.policy.metadata) < RouteAge.of($1.policy.metadata) }
    for index in entries.indices {
      for (target, scope) in entries[index].targets.map(\.scope).enumerated() {
        guard let scope else { continue }
        if let winner = byScope[scope] {
          if winner != index { entries[index].winners[target] = entries[winner].key }
        } else {
          byScope[scope] = index
        }
      }
    }
  }

  /// How endpoints of a service port that are outside the mesh are spoken to; nil where no policy says it.
  func origination(of port: ServicePort) -> TLSOrigination? {
    if byScope.isEmpty { return nil }
    guard let index = byScope[.port(port)] ?? byScope[.service(port.service)] else { return nil }
    let validation = entries[index].policy.validation
    return TLSOrigination(
      trust: entries[index].trust, hostname: validation.hostname ?? "", alternativeHosts: validation.alternativeHosts,
      alternativeURIs: validation.alternativeURIs, minimumVersion: validation.minimumVersion)
  }

  // MARK: - What is told

  var warnings: [ManifestProblem] {
    entries.filter(\.errors.isEmpty).flatMap { entry in
      entry.targets.compactMap(\.missing).map {
        entry.located.warning($0.field, $0.message, fix: $0.fix, code: .policyTargetNotFound)
      }
        + entry.findings.map { entry.located.warning("spec.validation.\($0.field)", $0.message, fix: $0.fix) }
        + entry.targets.indices.compactMap { target in
          entry.winners[target].map { winner in
            entry.located.warning(
              "spec.targetRefs[\(target)]", "the older \(winner) has the same target", fix: "remove one of the two",
              code: .policyConflict)
          }
        } + opaque(entry)
    }
  }

  /// Programs that speak TLS themselves would speak it inside of the proxy's.
  private func opaque(_ entry: Entry) -> [ManifestProblem] {
    entry.targets.enumerated().compactMap { target, found in
      guard case .port(let port)? = found.scope,
        let service = services.services[port.service] ?? services.externals[port.service],
        service.port(port.port)?.appProtocol == .tcp
      else { return nil }
      return entry.located.warning(
        "spec.targetRefs[\(target)]",
        "port \(port.port) of \(port.service.path) carries TCP: proxies put what programs send there into TLS as it is",
        fix: "write appProtocol: http, http2 or grpc on the port if programs send plain requests")
    }
  }

  func statuses(_ snapshot: Snapshot) -> [PolicyStatus] {
    let errors = Dictionary(
      grouping: snapshot.problems.filter { $0.severity == .error && $0.key != nil }, by: \.key)
    return entries.map { entry in
      guard entry.errors.isEmpty else {
        return PolicyStatus(rejected: entry.located, entry.policy.targets, entry.errors)
      }
      let stale = PolicyStatus.fallBacks((errors[entry.key] ?? []).filter(\.stale))
      return PolicyStatus(
        entry.located, entry.policy.targets, conditions: entry.targets.indices.map { conditions(entry, $0) + stale })
    }
  }

  private func conditions(_ entry: Entry, _ index: Int) -> [RouteCondition] {
    [accepted(entry, index), resolved(entry)]
  }

  private func accepted(_ entry: Entry, _ index: Int) -> RouteCondition {
    func refused(_ reason: String, _ message: String) -> RouteCondition {
      RouteCondition(kind: .accepted, isTrue: false, reason: reason, message: message)
    }
    if let missing = entry.targets[index].missing { return refused("TargetNotFound", missing.text) }
    if let winner = entry.winners[index] { return refused("Conflicted", "the older \(winner) has the same target") }
    if entry.trust == .nobody {
      return refused("NoValidCACertificate", "no authority can be used, so no connection is opened")
    }
    let target = entry.policy.targets[index].shown(in: entry.policy.metadata.namespace)
    return RouteCondition(
      kind: .accepted, isTrue: true, reason: "Accepted",
      message: "TLS to the endpoints of the \(target) that are outside the mesh; those in it keep the mesh's own")
  }

  private func resolved(_ entry: Entry) -> RouteCondition {
    guard let first = entry.findings.first else {
      return RouteCondition(
        kind: .resolvedRefs, isTrue: true, reason: "ResolvedRefs", message: "every authority can be used")
    }
    return RouteCondition(
      kind: .resolvedRefs, isTrue: false, reason: first.reason.rawValue,
      message: ConditionText.list(entry.findings.map(\.text)))
  }
}
