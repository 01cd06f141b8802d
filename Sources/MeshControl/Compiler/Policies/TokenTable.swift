import MeshCore
import MeshPolicy
import MeshResources

/// Which tokens requests to every service port may or must have, and what became of the targets of every RequestAuthentication.
///
/// What is said for a port goes before what is said for its service, that before its namespace, and that before the mesh; of several for the same
/// thing the rules add up. A manifest that cannot be used as written, and has no version before, leaves its targets without any rule: they take
/// no request until it is mended.
struct TokenTable: Sendable {
  private struct Entry: Sendable {
    var located: Located<Resource>
    var authentication: RequestAuthentication
    var targets: [PolicyAttachments.Target]
    /// Of the manifest, where none of its versions could be used.
    var errors: [ManifestProblem] = []
  }

  /// What is in force for a service port.
  struct Effective {
    var policy: TokenPolicy
    var level: PolicyLevel
    /// The manifests that it comes from.
    var sources: [Located<Resource>]
  }

  /// The older first.
  private var entries: [Entry] = []
  private var byScope: [PolicyScope: [Int]] = [:]
  private var opaque: [PolicyScope: String] = [:]

  /// Without any.
  init() {}

  init(_ snapshot: Snapshot, _ services: ServiceTable) {
    let resolver = PolicyTargetResolver(services: services, routes: [:])
    func add(_ located: Located<Resource>, errors: [ManifestProblem] = []) {
      guard case .requestAuthentication(let authentication) = located.value else { return }
      let namespace = authentication.metadata.namespace
      let targets = authentication.targets.enumerated().map { index, target in
        resolver.resolve(target, namespace: namespace, field: "spec.targetRefs[\(index)]")
      }
      entries.append(Entry(located: located, authentication: authentication, targets: targets, errors: errors))
    }
    for located in snapshot.manifests.values { add(located) }
    for located in snapshot.rejected.values {
      add(located, errors: snapshot.problems.filter { $0.severity == .error && $0.key == located.value.key })
    }
    entries.sort { RouteAge.of($0.authentication.metadata) < RouteAge.of($1.authentication.metadata) }
    for index in entries.indices {
      for scope in Set(entries[index].targets.compactMap(\.scope)) {
        byScope[scope, default: []].append(index)
        opaque[scope] = Self.opaqueText(scope, services)
      }
    }
  }

  /// Requests are in HTTP only.
  private static func opaqueText(_ scope: PolicyScope, _ services: ServiceTable) -> String? {
    switch scope {
    case .service(let name):
      let ports = services.services[name]?.ports ?? []
      return !ports.isEmpty && ports.allSatisfy { $0.appProtocol == .tcp } ? "the ports of \(name.path) carry TCP" : nil
    case .port(let port):
      let isOpaque = services.services[port.service]?.port(port.port)?.appProtocol == .tcp
      return isOpaque ? "port \(port.port) of \(port.service.path) carries TCP" : nil
    default: return nil
    }
  }

  /// Nobody looks at tokens anywhere.
  var isEmpty: Bool { byScope.isEmpty }

  // MARK: - What is in force

  /// Nil: nobody looks at tokens.
  func effective(for port: ServicePort) -> Effective? {
    if byScope.isEmpty { return nil }
    let scopes: [PolicyScope] = [
      .port(port), .service(port.service), .namespace(port.service.namespace), .mesh,
    ]
    for scope in scopes {
      guard let indices = byScope[scope] else { continue }
      var effective = Effective(policy: TokenPolicy(issuers: []), level: scope.level, sources: [])
      for index in indices {
        effective.add(entries[index].authentication.policy, isUsable: entries[index].errors.isEmpty)
        effective.sources.append(entries[index].located)
      }
      return effective
    }
    return nil
  }

  /// Gives every workload's ports what is said for the services that lead to them: a request may come by any of them, so the rules of
  /// all of them hold.
  func apply(to mesh: inout CompiledMesh) {
    mesh.tokens = self
    if byScope.isEmpty { return }
    var wanted: [String: [UInt16: Set<ServicePort>]] = [:]
    for (key, set) in mesh.endpoints {
      for endpoint in set.endpoints + (mesh.unready[key] ?? []) where endpoint.identity != nil {
        wanted[endpoint.workload, default: [:]][endpoint.address.port, default: []].insert(key)
      }
    }
    for (name, workload) in mesh.workloads {
      for (index, port) in workload.ports.enumerated() where port.appProtocol != .tcp {
        var keys = wanted[name]?[port.port] ?? []
        if let own = port.service { keys.insert(own) }
        let own = ServicePort(service: ServiceName(name: name, namespace: workload.namespace), port: port.port)
        let found = (keys.isEmpty ? [own] : keys.sorted()).compactMap(effective(for:))
        mesh.workloads[name]?.ports[index].tokens = Self.together(found)
      }
    }
  }

  private static func together(_ found: [Effective]) -> TokenPolicy? {
    guard var policy = found.first?.policy else { return nil }
    for other in found.dropFirst() {
      policy.issuers += other.policy.issuers.filter { !policy.issuers.contains($0) }
      policy.isRequired = policy.isRequired || other.policy.isRequired
    }
    return policy
  }

  // MARK: - What is told

  var warnings: [ManifestProblem] {
    entries.flatMap { entry in
      entry.targets.enumerated().compactMap { index, target in
        if let missing = target.missing {
          return entry.located.warning(missing.field, missing.message, fix: missing.fix, code: missing.code)
        }
        guard let reason = target.scope.flatMap({ opaque[$0] }) else { return nil }
        return entry.located.warning(
          "spec.targetRefs[\(index)]", "\(reason), and tokens stand in requests",
          fix: "write appProtocol: http, http2 or grpc on the Service's port", code: .policyFieldUnused)
      }
    }
  }

  /// Of every RequestAuthentication.
  func statuses(_ snapshot: Snapshot) -> [PolicyStatus] {
    let errors = Dictionary(
      grouping: snapshot.problems.filter { $0.severity == .error && $0.key != nil }, by: \.key)
    return entries.map { entry in
      guard entry.errors.isEmpty else {
        return PolicyStatus(rejected: entry.located, entry.authentication.targets, entry.errors)
      }
      let stale = PolicyStatus.fallBacks((errors[entry.located.value.key] ?? []).filter(\.stale))
      return PolicyStatus(
        entry.located, entry.authentication.targets,
        conditions: entry.targets.indices.map { conditions(entry, $0) + stale })
    }
  }

  private func conditions(_ entry: Entry, _ index: Int) -> [RouteCondition] {
    if let missing = entry.targets[index].missing {
      return [RouteCondition.Kind.accepted, .resolvedRefs].map {
        RouteCondition(kind: $0, isTrue: false, reason: "TargetNotFound", message: missing.text)
      }
    }
    let target = entry.authentication.targets[index]
    let resolved = RouteCondition(
      kind: .resolvedRefs, isTrue: true, reason: "ResolvedRefs", message: "the \(target.kind.rawValue) exists")
    if let reason = entry.targets[index].scope.flatMap({ opaque[$0] }) {
      return [RouteCondition(kind: .accepted, isTrue: false, reason: "Invalid", message: reason), resolved]
    }
    let message =
      "requests to the \(target.shown(in: entry.authentication.metadata.namespace)) are judged by their tokens"
    return [RouteCondition(kind: .accepted, isTrue: true, reason: "Accepted", message: message), resolved]
  }
}

extension TokenTable.Effective {
  fileprivate mutating func add(_ other: TokenPolicy, isUsable: Bool) {
    if isUsable { policy.issuers += other.issuers }
    policy.isRequired = policy.isRequired || other.isRequired || !isUsable
  }

  /// For people.
  var text: String {
    let who = policy.issuers.map(\.issuer)
    if who.isEmpty { return "no request is accepted until the manifest is mended" }
    let issuers = "a token of \(who.joined(separator: " or "))"
    return policy.isRequired ? "\(issuers) is required" : "\(issuers), or none; any other token is refused"
  }
}
