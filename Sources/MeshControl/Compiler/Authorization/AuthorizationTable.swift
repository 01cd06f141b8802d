import MeshCore
import MeshPolicy
import MeshResources

/// Which AuthorizationPolicies concern which port of which workload, and what became of their targets.
///
/// Policies of all levels apply beside each other; of the modes the most specific one does: that of a port, its service, the namespace, the mesh.
/// A policy that cannot be used as written, and has no version before, closes its targets: a mistake must not open what somebody meant to close.
struct AuthorizationTable {
  struct Entry {
    var located: Located<Resource>
    var policy: DeclaredAuthorization
    var targets: [PolicyAttachments.Target]
    /// What of it has no effect, or not the one that its author may expect.
    var findings: [PolicyFinding] = []
    /// Of the manifest, where none of its versions could be used.
    var errors: [ManifestProblem] = []

    var closes: Bool { !errors.isEmpty && !policy.isAuditAlone }
  }

  /// Ordered by name: of several policies that decide alike, the first is told.
  private(set) var entries: [Entry]
  private var byScope: [PolicyScope: [Int]] = [:]
  /// Of each workload's ports, the service ports that lead to them.
  private var servicePorts: [String: [UInt16: Set<ServicePort>]] = [:]
  /// Without routes: no policy has one as its target.
  private let resolver: PolicyTargetResolver

  init(_ snapshot: Snapshot, _ services: ServiceTable) {
    resolver = PolicyTargetResolver(services: services, routes: [:])
    entries = snapshot.manifests.values.compactMap { [resolver] in Self.entry($0, resolver) }
    for located in snapshot.rejected.values {
      let errors = snapshot.problems.filter { $0.severity == .error && $0.key == located.value.key }
      if let entry = Self.entry(located, resolver, errors) { entries.append(entry) }
    }
    arrange()
  }

  private static func entry(
    _ located: Located<Resource>, _ resolver: PolicyTargetResolver, _ errors: [ManifestProblem] = []
  ) -> Entry? {
    guard case .authorizationPolicy(let policy) = located.value else { return nil }
    let targets = policy.targets.enumerated().map { index, target in
      resolver.resolve(target, namespace: policy.metadata.namespace, field: "spec.targetRefs[\(index)]")
    }
    var entry = Entry(located: located, policy: policy, targets: targets, errors: errors)
    entry.findings = AuthorizationFindings.of(entry, resolver.services)
    return entry
  }

  private mutating func arrange() {
    entries.sort { $0.policy.name < $1.policy.name }
    byScope = [:]
    for index in entries.indices {
      for scope in Set(entries[index].targets.compactMap(\.scope)) { byScope[scope, default: []].append(index) }
    }
  }

  /// The same with other versions of the policies `changed`. Returns what their targets were and are.
  mutating func replace(_ changed: Set<ResourceKey>, _ snapshot: Snapshot) -> Set<PolicyScope> {
    let old = entries.filter { changed.contains($0.located.value.key) }
    let new = changed.compactMap { key in snapshot.manifests[key].flatMap { Self.entry($0, resolver) } }
    entries.removeAll { changed.contains($0.located.value.key) }
    entries += new
    arrange()
    return Set((old + new).flatMap { $0.targets.compactMap(\.scope) })
  }

  /// Whether a policy with one of these targets says something of a workload.
  func concerns(_ workload: WorkloadConfig, _ scopes: Set<PolicyScope>) -> Bool {
    if scopes.contains(.mesh) || scopes.contains(.namespace(workload.namespace)) { return true }
    return workload.ports.contains { port in
      services(of: port, workload).contains { scopes.contains(.port($0)) || scopes.contains(.service($0.service)) }
    }
  }

  /// The service ports that lead to a port.
  private func services(of port: InboundPort, _ workload: WorkloadConfig) -> Set<ServicePort> {
    var services = servicePorts[workload.name]?[port.port] ?? []
    if let service = port.service { services.insert(service) }
    return services
  }

  /// What SMI's targets say besides, and the providers of custom policies.
  var access: AccessCompiler?

  mutating func note(_ servicePorts: [String: [UInt16: Set<ServicePort>]]) { self.servicePorts = servicePorts }

  /// Of one workload; empty for one that is gone.
  mutating func note(_ ports: [UInt16: Set<ServicePort>], of workload: String) {
    servicePorts[workload] = ports.isEmpty ? nil : ports
  }

  // MARK: - Ports

  var saysAnything: Bool { !byScope.isEmpty || access?.targets.isEmpty == false }

  func authorize(_ workloads: inout [String: WorkloadConfig]) {
    if !saysAnything { return }
    for name in workloads.keys { authorize(&workloads[name]) }
  }

  /// What policies say of each port of a workload.
  func authorize(_ workload: inout WorkloadConfig?) {
    guard let config = workload else { return }
    for (index, port) in config.ports.enumerated() {
      let own = authorization(of: port, config)
      workload?.ports[index].authorization = access?.complete(own, of: port, config.name) ?? own
    }
  }

  private func authorization(of port: InboundPort, _ workload: WorkloadConfig) -> Authorization? {
    let services = services(of: port, workload)
    let levels: [[PolicyScope]] = [
      services.map { .port($0) }, Set(services.map(\.service)).map { .service($0) }, [.namespace(workload.namespace)],
      [.mesh],
    ]
    let numbers = Set(services.map(\.port)).union([port.port])
    var result = Authorization()
    var isSaid = false
    for level in levels {
      // A port of several services has the strictest of what they say.
      let modes = indices(level).filter { entries[$0].errors.isEmpty }.compactMap { index in
        entries[index].policy.mode.map { (mode: $0, name: entries[index].policy.name) }
      }
      guard let strictest = modes.max(by: { ($0.mode.strictness, $1.name) < ($1.mode.strictness, $0.name) }) else {
        continue
      }
      (result.mode, result.modeSource, isSaid) = (strictest.mode, strictest.name, true)
      break
    }
    result.policies = indices(levels.flatMap(\.self)).compactMap { entries[$0].authorization(forPort: numbers) }
    return isSaid || !result.policies.isEmpty ? result : nil
  }

  private func indices(_ scopes: [PolicyScope]) -> [Int] { Set(scopes.flatMap { byScope[$0] ?? [] }).sorted() }

  var warnings: [ManifestProblem] {
    entries.flatMap { entry in
      (entry.targets.compactMap(\.missing) + entry.findings).map { finding in
        entry.located.warning(finding.field, finding.message, fix: finding.fix, code: finding.code)
      }
    } + missingProviders
  }
}

extension AuthorizationTable.Entry {
  fileprivate func authorization(forPort numbers: Set<UInt16>) -> AuthorizationPolicy? {
    if errors.isEmpty { return policy.policy(forPort: numbers) }
    return closes ? .broken(policy.name) : nil
  }
}

extension AuthorizationMode {
  fileprivate var strictness: Int {
    switch self {
    case .allow: 0
    case .meshOnly: 1
    case .deny: 2
    }
  }
}

// MARK: - Status

extension AuthorizationTable {
  /// Of every AuthorizationPolicy: those in force, and those that were refused and have no earlier version.
  func statuses(_ snapshot: Snapshot) -> [PolicyStatus] {
    let errors = Dictionary(
      grouping: snapshot.problems.filter { $0.severity == .error && $0.key != nil }, by: \.key)
    return entries.map { entry in
      guard entry.errors.isEmpty else {
        return PolicyStatus(
          rejected: entry.located, entry.policy.targets, entry.errors,
          consequence: entry.closes ? AuthorizationFindings.closed : "")
      }
      let stale = PolicyStatus.fallBacks((errors[entry.located.value.key] ?? []).filter(\.stale))
      return PolicyStatus(
        entry.located, entry.policy.targets, conditions: entry.targets.indices.map { conditions(entry, $0) + stale })
    }
  }

  private func conditions(_ entry: Entry, _ index: Int) -> [RouteCondition] {
    if let missing = entry.targets[index].missing {
      return [RouteCondition.Kind.accepted, .resolvedRefs].map {
        RouteCondition(kind: $0, isTrue: false, reason: "TargetNotFound", message: missing.text)
      }
    }
    let target = entry.policy.targets[index]
    return [
      RouteCondition(
        kind: .accepted, isTrue: true, reason: "Accepted",
        message: "for calls of the \(target.shown(in: entry.policy.metadata.namespace))"),
      RouteCondition(
        kind: .resolvedRefs, isTrue: true, reason: "ResolvedRefs", message: "the \(target.kind.rawValue) exists"),
    ]
  }
}

// MARK: - Edits

extension AuthorizationTable {
  /// Whether nothing but AuthorizationPolicies changed: they concern the ports of workloads, and nothing else is made of them.
  static func isConcernedAlone(by changed: Set<ResourceKey>, _ old: Snapshot, _ new: Snapshot) -> Bool {
    !changed.isEmpty
      && changed.allSatisfy { key in
        [old.manifests[key], new.manifests[key]].allSatisfy { located in
          if case .authorizationPolicy? = located?.value { return true }
          return located == nil && key.kind == "AuthorizationPolicy"
        }
      }
  }
}

extension Compilation {
  /// Compiles the ports anew that these policies say something of.
  mutating func replaceAuthorizations(
    _ changed: Set<ResourceKey>, _ snapshot: Snapshot, _ now: Int64
  ) -> CompiledDifference {
    var difference = CompiledDifference(changed: [], removed: [])
    let oldWarnings = authorizations.warnings
    let scopes = authorizations.replace(changed, snapshot)
    let concerned = mesh.workloads.values.filter { authorizations.concerns($0, scopes) }.map(\.name).sorted()
    for name in concerned {
      let old = mesh.workloads[name]?.ports.map(\.authorization)
      authorizations.authorize(&mesh.workloads[name])
      guard let config = mesh.workloads[name], config.ports.map(\.authorization) != old else { continue }
      mesh.hashes[.workload(name)] = ContentHash(of: config)
      difference.changed.append(.workload(name))
    }
    let isAuthorization = { (status: PolicyStatus) in status.key.kind == "AuthorizationPolicy" }
    let old = mesh.policyStatuses.filter(isAuthorization)
    mesh.policyStatuses.removeAll(where: isAuthorization)
    mesh.policyStatuses += authorizations.statuses(snapshot).dated(after: old, now: now)
    mesh.policyStatuses.sort { $0.key < $1.key }
    self.snapshot = snapshot
    if authorizations.warnings != oldWarnings { mesh.warnings = orderedWarnings() }
    return difference
  }
}
