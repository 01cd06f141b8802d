import MeshCore
import MeshPolicy
import MeshResources

/// One compilation of a whole mesh, step by step. Each step fills in what those before it have left open, so their order matters.
struct MeshBuild {
  let snapshot: Snapshot
  let table: ServiceTable
  let routes: RouteCompiler
  let splits: SplitCompiler
  let attachments: PolicyAttachments
  let faults: FaultTable
  private(set) var authorizations: AuthorizationTable
  private(set) var mesh = CompiledMesh.empty
  let meshTLS: MeshTLSTable
  let egress: EgressTable
  /// But those of routes, endpoints, accounts, MeshTLS and authorizations, which change in parts of a mesh.
  private(set) var warnings: [ManifestProblem] = []
  /// Of services whose endpoints give reason for any.
  private(set) var endpointWarnings: [ServiceName: [ManifestProblem]] = [:]

  private let tls: BackendTLSTable
  private let access: AccessCompiler
  private let externals: ExternalCompiler
  private let tokens: TokenTable
  private var endpoints: EndpointCompiler
  private var rollouts: RolloutCompiler
  private var aliases: AliasCompiler
  private var policies: [ServicePort: EffectivePolicy] = [:]
  private var policyWarnings: PolicyWarnings

  init(_ snapshot: Snapshot) {
    self.snapshot = snapshot
    table = ServiceTable(snapshot, &warnings)
    routes = RouteCompiler(
      snapshot.manifests.values.compactMap { MeshRoute($0) }, table, snapshot.sessionKey)
    splits = SplitCompiler(snapshot, table, routes.attachments)
    attachments = PolicyAttachments(snapshot, table, routes.attachments.routes)
    faults = FaultTable(snapshot, table, routes.attachments.routes)
    authorizations = AuthorizationTable(snapshot, table)
    tls = BackendTLSTable(snapshot, table)
    access = AccessCompiler(snapshot, table)
    policyWarnings = PolicyWarnings(attachments)
    meshTLS = MeshTLSTable(snapshot, table.workloads)
    egress = EgressTable(snapshot)
    endpoints = EndpointCompiler(table: table, meshTLS: meshTLS)
    externals = ExternalCompiler(snapshot, table)
    rollouts = RolloutCompiler(snapshot, table, attachments)
    aliases = AliasCompiler(table: table)
    tokens = TokenTable(snapshot, table)
  }

  mutating func compile() {
    compileServices()
    compileConsumers()
    externals.add(to: &mesh, routes, attachments.table, faults, tls, &policyWarnings)
    // Rules are complete: what changes or copies them comes now.
    rollouts.divide(&mesh)
    aliases.add(to: &mesh)
    compileWorkloads()
    mesh.hashes = mesh.contentHashes()
    mesh.policies = attachments.table
    mesh.meshTLS = MeshTLSWords(table, meshTLS)
    mesh.namespaces = snapshot.namespaces
    mesh.rollouts = rollouts.compiled(mesh)
    addStatuses()
    addWarnings()
  }

  // MARK: - Services

  private mutating func compileServices() {
    for service in table.services.values.sorted(by: { $0.name < $1.name }) {
      for port in service.ports { compile(port, of: service) }
    }
    mesh.unready = endpoints.unready
    HeadlessCompiler.add(to: &mesh, table) { [attachments, faults, snapshot] port, appProtocol in
      RouteRule.direct(port)
        .with(
          attachments.table.effective(for: port), faults.faults(of: port), appProtocol, at: port, snapshot.sessionKey)
    }
  }

  private mutating func compile(_ port: Service.Port, of service: EffectiveService) {
    let key = ServicePort(service: service.name, port: port.port)
    let policy = attachments.table.effective(for: key)
    policyWarnings.look(at: policy, port.appProtocol)
    mesh.services[key] =
      routes.config(of: RouteTarget(port: key, clients: nil), port.appProtocol, attachments.table, faults)
      ?? Compilation.unrouted(key, port.appProtocol, splits, policy, faults, snapshot.sessionKey)
    var set = endpoints.endpoints(of: service, port)
    set.policy = policy.backend
    set.tls = tls.origination(of: key)
    mesh.endpoints[key] = set
    policies[key] = policy
    let unkept = PolicyWarnings.ofLimits(policy, set)
    if !unkept.isEmpty { endpointWarnings[service.name, default: []] += unkept }
  }

  /// What clients of single namespaces get instead.
  private mutating func compileConsumers() {
    for target in routes.attachments.consumerTargets {
      guard let namespace = target.clients,
        let port = table.declared(target.port.service)?.port(target.port.port),
        let config = routes.config(of: target, port.appProtocol, attachments.table, faults)
      else { continue }
      mesh.consumers[ConsumerPort(namespace: namespace, port: target.port)] = config
    }
  }

  // MARK: - Workloads

  private mutating func compileWorkloads() {
    let patience = StreamPatience(mesh)
    for workload in snapshot.workloads {
      var config = WorkloadConfig(workload, endpoints.inbound[workload.name] ?? [:], policies, patience)
      config.locality = table.locality(of: workload.labels)
      config.secure(EffectiveWorkload(workload), meshTLS, egress)
      mesh.workloads[workload.name] = config
    }
    authorizations.note(endpoints.servicePorts)
    authorizations.access = access
    authorizations.authorize(&mesh.workloads)
    tokens.apply(to: &mesh)
  }

  // MARK: - What authors are told

  private mutating func addStatuses() {
    mesh.routes =
      RouteStatus.all(routes, splits, access.targets, snapshot) + access.statuses(snapshot)
      + externals.statuses(snapshot)
    mesh.routes += RouteStatus.workloads(snapshot, mesh) + UDPRouteStatus.statuses(snapshot)
    mesh.routes.sort { $0.key < $1.key }
    mesh.policyStatuses =
      (PolicyStatus.all(attachments, snapshot) + faults.statuses(snapshot) + tls.statuses(snapshot)
      + authorizations.statuses(snapshot) + tokens.statuses(snapshot) + meshTLS.statuses(snapshot)
      + egress.statuses(snapshot))
      .sorted { $0.key < $1.key }
  }

  private mutating func addWarnings() {
    policyWarnings.ports = Set(mesh.services.keys)
    warnings += splits.warnings + SMIUse.warnings(snapshot, splits, access.targets) + access.warnings(snapshot)
    warnings += aliases.warnings + policyWarnings.problems
    warnings += faults.warnings + tls.warnings + externals.warnings + UDPRouteStatus.warnings(snapshot)
    warnings += rollouts.warnings + tokens.warnings
    for more in [endpoints.warnings, table.selectorWarnings] { endpointWarnings.merge(more) { $0 + $1 } }
  }
}
