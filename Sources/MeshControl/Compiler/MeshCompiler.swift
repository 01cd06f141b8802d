import MeshCore
import MeshPolicy
import MeshResources

/// Snapshot in, resources out: pure and deterministic.
///
/// Every port of every service gets a `ServiceConfig` and an `EndpointSet`. A service is a `Service` object, or is
/// implied by the workloads registered for it (`ServiceTable`). A port's rules come from the routes attached to it,
/// else from a TrafficSplit of the service, else lead to the service itself. Clients of a namespace with consumer
/// routes for the port get the rules of those instead. Policies say how endpoints are treated, and what the rules do not say themselves; rollouts
/// (`RolloutCompiler`) set the weights of two versions.
package enum MeshCompiler {
  package static func compile(_ snapshot: Snapshot) -> CompiledMesh { Compilation(snapshot).mesh }
}

/// A compiled mesh, with the tables that it was made from.
struct Compilation {
  var snapshot: Snapshot
  let table: ServiceTable
  let attachments: PolicyAttachments
  let faults: FaultTable
  var authorizations: AuthorizationTable
  let splits: SplitCompiler
  var routes: [ResourceKey: MeshRoute]
  var mesh: CompiledMesh
  /// Of routes that have any; `mesh.warnings` has them among the others.
  var routeWarnings: [ResourceKey: [ManifestProblem]]
  let otherWarnings: Set<ManifestProblem>

  init(_ snapshot: Snapshot) {
    var warnings: [ManifestProblem] = []
    let table = ServiceTable(snapshot, &warnings)
    let routes = RouteCompiler(
      snapshot.manifests.values.compactMap { MeshRoute($0) }, table, snapshot.sessionKey)
    let splits = SplitCompiler(snapshot, table, routes.attachments)
    let attachments = PolicyAttachments(snapshot, table, routes.attachments.routes)
    let faults = FaultTable(snapshot, table, routes.attachments.routes)
    var authorizations = AuthorizationTable(snapshot, table)
    let tls = BackendTLSTable(snapshot, table)
    let access = AccessCompiler(snapshot, table)
    var policyWarnings = PolicyWarnings(attachments)
    let meshTLS = MeshTLSTable(snapshot, table.workloads)
    let egress = EgressTable(snapshot)
    var endpoints = EndpointCompiler(table: table, meshTLS: meshTLS)
    var mesh = CompiledMesh.empty
    var policies: [ServicePort: EffectivePolicy] = [:]
    for service in table.services.values.sorted(by: { $0.name < $1.name }) {
      for port in service.ports {
        let key = ServicePort(service: service.name, port: port.port)
        let policy = attachments.table.effective(for: key)
        policyWarnings.look(at: policy, port.appProtocol)
        mesh.services[key] =
          routes.config(of: RouteTarget(port: key, clients: nil), port.appProtocol, attachments.table, faults)
          ?? Self.unrouted(key, port.appProtocol, splits, policy, faults)
        var set = endpoints.endpoints(of: service, port)
        set.policy = policy.backend
        set.tls = tls.origination(of: key)
        mesh.endpoints[key] = set
        policies[key] = policy
        policyWarnings.lookAtLimits(policy, set)
      }
    }
    mesh.unready = endpoints.unready
    HeadlessCompiler.add(to: &mesh, table) { port, appProtocol in
      RouteRule.direct(port).with(attachments.table.effective(for: port), faults.faults(of: port), appProtocol)
    }
    for target in routes.attachments.consumerTargets {
      guard let namespace = target.clients,
        let port = table.services[target.port.service]?.port(target.port.port),
        let config = routes.config(of: target, port.appProtocol, attachments.table, faults)
      else { continue }
      mesh.consumers[ConsumerPort(namespace: namespace, port: target.port)] = config
    }
    let externals = ExternalCompiler(snapshot, table)
    externals.add(to: &mesh, attachments.table, faults, tls, &policyWarnings)
    var rollouts = RolloutCompiler(snapshot, table, attachments)
    rollouts.divide(&mesh)
    var aliases = AliasCompiler(table: table)
    aliases.add(to: &mesh)
    let patience = StreamPatience(mesh)
    for workload in snapshot.workloads {
      mesh.workloads[workload.name] = Self.compile(
        workload, endpoints.inbound[workload.name] ?? [:], policies, patience)
      mesh.workloads[workload.name]?.locality = table.locality(of: workload.labels)
      mesh.workloads[workload.name]?.secure(EffectiveWorkload(workload), meshTLS, egress)
    }
    authorizations.note(endpoints.servicePorts)
    authorizations.access = access
    authorizations.authorize(&mesh.workloads)
    let tokens = TokenTable(snapshot, table)
    tokens.apply(to: &mesh)
    mesh.hashes = mesh.contentHashes()
    mesh.routes =
      RouteStatus.all(routes, splits, access.targets, snapshot) + access.statuses(snapshot)
      + externals.statuses(snapshot)
    mesh.routes += RouteStatus.workloads(snapshot, mesh) + UDPRouteStatus.statuses(snapshot)
    mesh.routes.sort { $0.key < $1.key }
    mesh.policies = attachments.table
    mesh.meshTLS = MeshTLSWords(table, meshTLS)
    mesh.namespaces = snapshot.namespaces
    mesh.rollouts = rollouts.compiled(mesh)
    mesh.policyStatuses =
      (PolicyStatus.all(attachments, snapshot) + faults.statuses(snapshot) + tls.statuses(snapshot)
      + authorizations.statuses(snapshot) + tokens.statuses(snapshot) + meshTLS.statuses(snapshot)
      + egress.statuses(snapshot))
      .sorted { $0.key < $1.key }
    policyWarnings.ports = Set(mesh.services.keys)
    warnings += tokens.warnings
    warnings +=
      splits.warnings + SMIUse.warnings(snapshot, splits, access.targets) + access.warnings(snapshot)
      + endpoints.warnings + aliases.warnings
      + Self.accountWarnings(snapshot) + policyWarnings.problems + faults.warnings + tls.warnings + externals.warnings
      + UDPRouteStatus.warnings(snapshot) + rollouts.warnings + meshTLS.warnings
    self.authorizations = authorizations
    self.snapshot = snapshot
    self.table = table
    self.attachments = attachments
    self.faults = faults
    self.splits = splits
    self.routes = Dictionary(routes.attachments.routes.map { ($0.key, $0) }, uniquingKeysWith: { $1 })
    self.mesh = mesh
    routeWarnings = routes.warnings
    otherWarnings = Set(warnings)
    self.mesh.warnings = orderedWarnings()
  }

  func orderedWarnings() -> [ManifestProblem] {
    otherWarnings.union(routeWarnings.values.joined()).union(authorizations.warnings).sorted {
      ($0.position, $0.field, $0.message) < ($1.position, $1.field, $1.message)
    }
  }

  /// A port that no route applies to: its splits, else the service itself.
  static func unrouted(
    _ key: ServicePort, _ appProtocol: AppProtocol, _ splits: SplitCompiler, _ policy: EffectivePolicy,
    _ faults: FaultTable
  ) -> ServiceConfig {
    let rules = splits.rules(of: key, appProtocol) ?? [.direct(key)]
    return ServiceConfig(
      key: key, appProtocol: appProtocol,
      rules: rules.map { $0.with(policy, faults.faults(of: key), appProtocol) })
  }

  private static func compile(
    _ workload: RegisteredWorkload, _ inbound: [UInt16: InboundPort], _ policies: [ServicePort: EffectivePolicy],
    _ patience: StreamPatience
  ) -> WorkloadConfig {
    var ports = inbound
    for port in workload.ports where ports[port] == nil {
      let service = workload.service.map {
        ServicePort(service: ServiceName(name: $0, namespace: workload.namespace), port: port)
      }
      ports[port] = InboundPort(port: port, appProtocol: .http, service: service)
    }
    for (port, config) in ports {
      ports[port]?.longestIdle = patience.longestIdle(workload.name, port)
      guard let service = config.service, let policy = policies[service] else { continue }
      policy.apply(to: &ports[port, default: config])
    }
    return WorkloadConfig(
      name: workload.name, namespace: workload.namespace, identity: workload.identity,
      ports: ports.values.sorted { $0.port < $1.port })
  }

  /// Where a namespace declares service accounts, a workload of an undeclared one is likely misspelt.
  private static func accountWarnings(_ snapshot: Snapshot) -> [ManifestProblem] {
    var accounts: [String: [Located<Resource>]] = [:]
    for located in snapshot.manifests.values {
      if case .serviceAccount = located.value { accounts[located.value.key.namespace, default: []].append(located) }
    }
    return snapshot.workloads.compactMap { workload in
      guard let declared = accounts[workload.namespace],
        !declared.contains(where: { $0.value.key.name == workload.serviceAccount }),
        let first = declared.min(by: { $0.position < $1.position })
      else { return nil }
      let nearest = Suggestion.nearest(to: workload.serviceAccount, among: declared.map(\.value.key.name).sorted())
      return ManifestProblem(
        position: first.position, object: "ServiceAccount \(workload.namespace)/\(workload.serviceAccount)",
        message: "the workload \(workload.name) runs as this account, which no manifest declares",
        fix: nearest.map { "did you mean \($0)?" } ?? "add a ServiceAccount", severity: .warning,
        code: .accountNotDeclared)
    }
  }
}

extension RouteRule {
  /// Without a route: everything goes to the service itself.
  static func direct(_ port: ServicePort) -> RouteRule {
    RouteRule(name: "service/\(port.service.path)", backends: [WeightedBackend(backend: port, weight: 1)])
  }

  /// A rule that no route made says nothing of retries and time limits itself.
  func with(_ policy: EffectivePolicy, _ faults: [FaultPolicy], _ appProtocol: AppProtocol) -> RouteRule {
    var rule = self
    guard appProtocol != .tcp else {
      rule.timeouts = policy.ofConnections.timeouts(of: timeouts)
      return rule
    }
    rule.timeouts = policy.timeouts(of: timeouts)
    rule.retry = policy.retry
    rule.hedging = policy.hedging
    rule.requestBody = policy.requestBody
    rule.overrides = policy.overrides
    rule.faults = faults
    return rule
  }
}
