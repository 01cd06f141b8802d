import MeshCore
import MeshPolicy
import MeshResources

/// Finds what the targets of policies are, and which policies stand in each other's way (GEP-713).
struct PolicyAttachments {
  /// What became of one target of a policy.
  struct Target {
    /// Nil: there is no such thing.
    var scope: PolicyScope?
    /// Why there is none.
    var missing: PolicyFinding?
    var conflicts: [PolicyMerge.Conflict] = []
  }

  struct Policy {
    var located: Located<TrafficPolicy>
    var targets: [Target]

    var attached: AttachedPolicy {
      AttachedPolicy(
        key: Resource.trafficPolicy(located.value).key, position: located.position,
        creationTime: located.value.metadata.creationTime, settings: located.value.settings)
    }
  }

  /// Ordered by key.
  private(set) var policies: [Policy]
  let table: PolicyTable

  init(_ snapshot: Snapshot, _ services: ServiceTable, _ routes: [MeshRoute]) {
    let resolver = PolicyTargetResolver(
      services: services, routes: Dictionary(routes.map { ($0.key, $0) }, uniquingKeysWith: { first, _ in first }))
    policies = snapshot.manifests.values.compactMap { located in
      guard case .trafficPolicy(let policy) = located.value else { return nil }
      return Policy(
        located: Located(policy, at: located.position),
        targets: policy.targets.indices.map { resolver.resolve(policy, $0) })
    }.sorted { $0.attached.key < $1.attached.key }
    var attached: [PolicyScope: [AttachedPolicy]] = [:]
    for policy in policies {
      // By number and by name a port is the same port.
      for scope in Set(policy.targets.compactMap(\.scope)) { attached[scope, default: []].append(policy.attached) }
    }
    table = PolicyTable(attached, zoneServices: services.services.compactMapValues { EffectivePolicy.Entry($0) })
    let conflicts = attached.filter { $0.value.count > 1 }.mapValues { PolicyMerge.conflicts($0) }
    for (p, policy) in policies.enumerated() {
      for (t, target) in policy.targets.enumerated() {
        guard let scope = target.scope else { continue }
        policies[p].targets[t].conflicts = conflicts[scope]?[policy.attached.key] ?? []
      }
    }
  }
}

extension EffectivePolicy.Entry {
  /// What `trafficDistribution` of a Service says, in the words of a policy.
  init?(_ service: EffectiveService) {
    guard let manifest = service.manifest, manifest.value.prefersOwnZone else { return nil }
    self.init(
      setting: .locality(LocalityPolicy()),
      source: .init(policy: Resource.service(manifest.value).key, position: manifest.position, level: .service))
  }
}

/// Something about a policy that is not as its author may think.
struct PolicyFinding: Hashable {
  /// Below the object.
  var field: String
  var message: String
  var fix = ""
  var code: FindingCode?

  /// For a condition.
  var text: String { fix.isEmpty ? message : "\(message); \(fix)" }

  func warning(of policy: AttachedPolicy) -> ManifestProblem {
    ManifestProblem(
      position: policy.position, object: policy.key.description, field: field, message: message, fix: fix,
      severity: .warning, key: policy.key, code: code)
  }
}

struct PolicyTargetResolver {
  let services: ServiceTable
  let routes: [ResourceKey: MeshRoute]

  func resolve(_ policy: TrafficPolicy, _ index: Int) -> PolicyAttachments.Target {
    resolve(policy.targets[index], namespace: policy.metadata.namespace, field: "spec.targetRefs[\(index)]")
  }

  func resolve(_ target: PolicyTarget, namespace: String, field: String) -> PolicyAttachments.Target {
    switch target.kind {
    case .mesh: return .init(scope: .mesh)
    case .namespace: return .init(scope: .namespace(target.name))
    case .service, .externalService:
      return service(target, ServiceName(name: target.name, namespace: namespace), field)
    case .httpRoute, .grpcRoute:
      let key = ResourceKey(
        group: target.kind.group, kind: target.kind.rawValue, namespace: namespace, name: target.name)
      return route(target, key, field)
    }
  }

  private func service(_ target: PolicyTarget, _ name: ServiceName, _ field: String) -> PolicyAttachments.Target {
    let kind = target.kind.rawValue
    guard let service = target.kind == .service ? services.services[name] : services.externals[name] else {
      return missing(field, "there is no \(kind) \(name.path)", services.fix(forMissing: name, target.kind))
    }
    guard let section = target.sectionName else { return .init(scope: .service(name)) }
    let number = UInt16(section)
    let found = service.ports.first { port in number.map { $0 == port.port } ?? (port.name == section) }
    guard let port = found else {
      return missing(field, "the \(kind) \(name.path) has no port \(section)", "its ports: \(service.portList)")
    }
    return .init(scope: .port(ServicePort(service: name, port: port.port)))
  }

  private func route(_ target: PolicyTarget, _ key: ResourceKey, _ field: String) -> PolicyAttachments.Target {
    guard let route = routes[key] else {
      let here = routes.keys.filter { $0.kind == key.kind && $0.namespace == key.namespace }.map(\.name).sorted()
      let nearest = Suggestion.nearest(to: key.name, among: here)
      return missing(
        field, "there is no \(key)", nearest.map { "did you mean \($0)?" } ?? "create it, or correct the name")
    }
    guard let section = target.sectionName else { return .init(scope: .route(key)) }
    let names = route.rules.compactMap(\.name)
    guard names.contains(section) else {
      let fix = names.isEmpty ? "give the rule the name \(section)" : "its rules: \(names.joined(separator: ", "))"
      return missing(field, "the \(key) has no rule with the name \(section)", fix)
    }
    return .init(scope: .rule(key, section))
  }

  private func missing(_ field: String, _ message: String, _ fix: String) -> PolicyAttachments.Target {
    .init(missing: PolicyFinding(field: field, message: message, fix: fix, code: .policyTargetNotFound))
  }
}
