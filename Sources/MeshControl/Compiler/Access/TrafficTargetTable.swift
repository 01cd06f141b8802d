import MeshCore
import MeshPolicy
import MeshResources

/// Compiles SMI's TrafficTargets to the rules of AuthorizationPolicies.
///
/// Each target is an `allow` policy on every port of its destination's workloads: what none of them admits is refused. A target with
/// an error still protects its destination, and admits nobody: leaving it out would open what its author wanted closed.
struct TrafficTargetTable {
  /// A target with what it names.
  struct Target {
    var value: TrafficTarget
    var key: ResourceKey
    var position: ManifestPosition
    /// Refused, without an earlier version.
    var isRefused = false
    /// SPIFFE ids.
    var principals: [String] = []
    /// Of HTTP; empty and no port of TCP: it admits nothing.
    var requests: [AuthorizationRule] = []
    var namesGroups = false
    /// Of TCPRoutes: nil: it names none; empty: those that it names admit no port.
    var ports: TargetPorts?
    /// Workloads that it protects.
    var workloads: [String] = []
    var findings: [RouteFinding] = []

    /// `traffictarget/shop/orders-read`: AuthorizationPolicies have names of two parts.
    var policyName: String { "traffictarget/\(key.namespace)/\(key.name)" }
  }

  let identities: AccessIdentities
  /// Ordered by key.
  private(set) var targets: [Target] = []
  /// By a workload's name, the targets that protect it.
  private var byWorkload: [String: [Int]] = [:]

  init(_ snapshot: Snapshot, _ table: ServiceTable) {
    identities = AccessIdentities(snapshot, table)
    let specs = AccessSpecs(snapshot)
    for (located, isRefused) in snapshot.manifests.values.map({ ($0, false) })
      + snapshot.rejected.values.map({ ($0, true) })
    {
      guard case .trafficTarget(let value) = located.value else { continue }
      let key = located.value.key
      // A version before the refused one is in force.
      if isRefused, snapshot.manifests[key] != nil { continue }
      var target = Target(value: value, key: key, position: located.position, isRefused: isRefused)
      if !isRefused { target.resolve(identities, specs) }
      targets.append(target)
    }
    targets.sort { $0.key < $1.key }
    findWorkloads(snapshot)
  }

  private mutating func findWorkloads(_ snapshot: Snapshot) {
    var byAccount: [String: [Int]] = [:]
    var byBinding: [Int] = []
    for (index, target) in targets.enumerated() {
      let destination = target.value.destination
      if destination.kind == .identityBinding {
        byBinding.append(index)
      } else {
        byAccount["\(destination.namespace)/\(destination.name)", default: []].append(index)
      }
    }
    if targets.isEmpty { return }
    for workload in snapshot.workloads {
      let account = byAccount["\(workload.identity.namespace)/\(workload.identity.serviceAccount)"] ?? []
      let bound = byBinding.filter { identities.includes(workload, in: targets[$0].value.destination) }
      let found = (account + bound).sorted()
      if found.isEmpty { continue }
      byWorkload[workload.name] = found
      for index in found { targets[index].workloads.append(workload.name) }
    }
  }

  var isEmpty: Bool { byWorkload.isEmpty }

  /// What the targets say of one port of a workload.
  func policies(forPort port: UInt16, of workload: String) -> [AuthorizationPolicy] {
    byWorkload[workload]?.map { targets[$0].policy(forPort: port) } ?? []
  }

  /// The targets that name a group or a TCPRoute.
  func users(of key: ResourceKey) -> [ResourceKey] {
    targets.filter { target in
      target.key.namespace == key.namespace
        && target.value.rules.contains { $0.kind.rawValue == key.kind && $0.name == key.name }
    }.map(\.key)
  }

  /// The targets that name a binding.
  func users(ofBinding key: ResourceKey) -> [ResourceKey] {
    targets.filter { target in
      ([target.value.destination] + target.value.sources).contains {
        $0.kind == .identityBinding && $0.namespace == key.namespace && $0.name == key.name
      }
    }.map(\.key)
  }
}

/// Ports that TCPRoutes admit.
enum TargetPorts: Hashable {
  case all
  case some(Set<UInt16>)

  func contains(_ port: UInt16) -> Bool {
    switch self {
    case .all: true
    case .some(let ports): ports.contains(port)
    }
  }

  func union(_ ports: [UInt16]) -> TargetPorts {
    guard case .some(let mine) = self, !ports.isEmpty else { return .all }
    return .some(mine.union(ports))
  }
}

extension TrafficTargetTable.Target {
  /// What it says of a port of the destination. Nothing it says refuses by itself; as an `allow` policy without rules it admits nobody.
  func policy(forPort port: UInt16) -> AuthorizationPolicy {
    AuthorizationPolicy(name: policyName, action: .allow, rules: admits(port) ? rules : [])
  }

  /// TCPRoutes beside HTTPRouteGroups only restrict the ports: in the specification's own example both stand in one target, which admits nothing
  /// but the paths.
  private func admits(_ port: UInt16) -> Bool {
    if let own = value.port, own != port { return false }
    guard let ports else { return namesGroups }
    return ports.contains(port)
  }

  private var rules: [AuthorizationRule] {
    // Without a source a rule would be for everybody.
    if principals.isEmpty { return [] }
    let source = AuthorizationSource(principals: Selection(principals))
    guard namesGroups else { return [AuthorizationRule(sources: [source])] }
    return requests.map { rule in
      var rule = rule
      rule.sources = [source]
      return rule
    }
  }

  fileprivate mutating func resolve(_ identities: AccessIdentities, _ specs: AccessSpecs) {
    if !identities.exists(value.destination) { miss(value.destination, at: "spec.destination") }
    var found: Set<String> = []
    for (place, source) in value.sources.enumerated() {
      if !identities.exists(source) { miss(source, at: "spec.sources[\(place)]") }
      if let binding = identities.binding(source), source.kind == .identityBinding {
        tellDivided(identities.divided(by: binding), of: source, at: "spec.sources[\(place)]")
      }
      found.formUnion(identities.principals(of: source))
    }
    principals = found.sorted()
    for (place, rule) in value.rules.enumerated() { resolve(rule, at: "spec.rules[\(place)]", specs) }
  }

  private mutating func resolve(_ rule: TrafficTarget.Rule, at field: String, _ specs: AccessSpecs) {
    switch rule.kind {
    case .httpRouteGroup:
      namesGroups = true
      guard let group = specs.group(rule.name, key.namespace) else { return miss(rule, at: field, specs) }
      let wanted = rule.matches.isEmpty ? group.matches.map(\.name) : rule.matches
      for name in wanted {
        guard let match = group.matches.first(where: { $0.name == name }) else {
          findings.append(
            RouteFinding(
              reason: .matchNotFound, field: "\(field).matches",
              message: "the HTTPRouteGroup \(key.namespace)/\(rule.name) has no match \(name); it admits nothing",
              fix: Suggestion.nearest(to: name, among: group.matches.map(\.name)).map { "did you mean \($0)?" } ?? "",
              code: .targetRuleNotFound))
          continue
        }
        requests.append(match.authorization)
      }
    case .tcpRoute:
      let before = ports ?? .some([])
      guard let route = specs.route(rule.name, key.namespace, .tcp) else {
        ports = before
        return miss(rule, at: field, specs)
      }
      ports = before.union(route.ports)
    case .udpRoute:
      if specs.route(rule.name, key.namespace, .udp) == nil { return miss(rule, at: field, specs) }
      findings.append(
        RouteFinding(
          field: field,
          message: "the mesh carries TCP only, so the UDPRoute \(rule.name) admits nothing: UDP goes its own way",
          code: .smiWithoutEffect))
    }
  }

  private mutating func miss(_ rule: TrafficTarget.Rule, at field: String, _ specs: AccessSpecs) {
    findings.append(
      RouteFinding(
        reason: .matchNotFound, field: "\(field).name",
        message: "there is no \(rule.kind.rawValue) \(key.namespace)/\(rule.name); it admits nothing",
        fix: Suggestion.nearest(to: rule.name, among: specs.names(rule.kind, key.namespace))
          .map { "did you mean \($0)?" } ?? "create it, or correct the name", code: .targetRuleNotFound))
  }

  private mutating func miss(_ subject: TrafficTarget.Subject, at field: String) {
    findings.append(
      RouteFinding(
        reason: .matchNotFound, field: "\(field).name",
        message: "there is no IdentityBinding \(subject.namespace)/\(subject.name); it stands for nobody",
        fix: "create it, or correct the name", code: .targetIdentityNotFound))
  }

  private mutating func tellDivided(_ accounts: [String], of source: TrafficTarget.Subject, at field: String) {
    if accounts.isEmpty { return }
    findings.append(
      RouteFinding(
        field: field,
        message:
          "the IdentityBinding \(source.name) selects some of the workloads of \(accounts.joined(separator: ", ")) and not all, "
          + "and labels prove nothing: they are not admitted",
        fix: "give them a service account of their own", code: .bindingIsNarrower))
  }
}

extension HTTPRouteGroup.Match {
  /// The same as a rule, for anybody. It holds for requests only, even if it asks for nothing.
  fileprivate var authorization: AuthorizationRule {
    let path = pathRegex.map { PathPattern.regularExpression(Self.wholePath($0)) }
    let anything = path == nil && methods.isEmpty && headers.isEmpty
    let paths = [path ?? (anything ? .regularExpression(".*") : nil)].compactMap(\.self)
    let operation = AuthorizationOperation(methods: Selection(methods), paths: Selection(paths))
    return AuthorizationRule(
      operations: operation.isEmpty ? [] : [operation],
      conditions: headers.compactMap { header in
        guard case .regularExpression(let pattern) = header.value else { return nil }
        return AuthorizationCondition(.headerPattern(header.name), Selection([pattern]))
      })
  }
}

/// The objects of SMI's specs by name.
struct AccessSpecs {
  private var groups: [ResourceKey: HTTPRouteGroup] = [:]
  private var routes: [ResourceKey: PortRoute] = [:]

  init(_ snapshot: Snapshot) {
    for (key, located) in snapshot.manifests {
      switch located.value {
      case .httpRouteGroup(let group): groups[key] = group
      case .portRoute(let route): routes[key] = route
      default: continue
      }
    }
  }

  func group(_ name: String, _ namespace: String) -> HTTPRouteGroup? {
    groups[ResourceKey(group: "specs.smi-spec.io", kind: "HTTPRouteGroup", namespace: namespace, name: name)]
  }

  func route(_ name: String, _ namespace: String, _ transport: PortRoute.Transport) -> PortRoute? {
    routes[
      ResourceKey(group: "specs.smi-spec.io", kind: "\(transport.rawValue)Route", namespace: namespace, name: name)]
  }

  func names(_ kind: TrafficTarget.Rule.Kind, _ namespace: String) -> [String] {
    (Array(groups.keys) + Array(routes.keys)).filter { $0.kind == kind.rawValue && $0.namespace == namespace }
      .map(\.name).sorted()
  }
}
