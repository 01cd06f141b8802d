import MeshCore
import MeshPolicy
import MeshResources

/// What becomes of ExternalServices: endpoint sets, and who reaches them by which names.
///
/// An ExternalService is for the clients of its own namespace, and one of the root namespace for those of every namespace. So nobody
/// takes the name of a server from the programs of another namespace.
struct ExternalCompiler {
  private struct Entry {
    var located: Located<Resource>
    var service: ExternalService
    var name: ServiceName
    /// Why it is not in force.
    var refusal: String?
    var findings: [RouteFinding] = []
    var authorityFindings: [AuthorityResolver.Finding] = []
  }

  /// The older first.
  private var entries: [Entry]
  private let table: ServiceTable
  private let sessionKey: SipKey
  /// Ordered by service and port. Without policies.
  private(set) var endpoints: [(ServicePort, EndpointSet)] = []

  init(_ snapshot: Snapshot, _ table: ServiceTable) {
    self.table = table
    sessionKey = snapshot.sessionKey
    entries = snapshot.manifests.compactMap { key, located in
      guard case .externalService(let service) = located.value else { return nil }
      let name = ServiceName(name: key.name, namespace: key.namespace)
      var entry = Entry(located: located, service: service, name: name)
      if table.externals[name] == nil { entry.refusal = "there is a Service of that name; give this one another" }
      return entry
    }.sorted { RouteAge.of($0.service.metadata) < RouteAge.of($1.service.metadata) }
    findRivals()
    let authorities = AuthorityResolver(snapshot)
    for index in entries.indices where entries[index].refusal == nil { compile(index, authorities) }
    endpoints.sort { $0.0 < $1.0 }
  }

  private mutating func compile(_ index: Int, _ authorities: AuthorityResolver) {
    let entry = entries[index]
    for (place, port) in entry.service.ports.enumerated() {
      let key = ServicePort(service: entry.name, port: port.port)
      var set = EndpointSet(
        key: key, endpoints: entry.service.endpoints(of: port), appProtocol: port.appProtocol)
      if case .dns(let minimum, let maximum) = entry.service.resolution {
        set.names = NameResolution(
          hosts: entry.service.hosts, port: port.targetPort, minimumTTL: minimum, maximumTTL: maximum)
      }
      if let tls = port.tls {
        let (trust, findings) = authorities.resolve(tls.authorities, namespace: entry.name.namespace)
        set.tls = TLSOrigination(
          trust: trust, hostname: tls.hostname ?? entry.service.onlyHost ?? "",
          alternativeHosts: tls.alternativeHosts, alternativeURIs: tls.alternativeURIs,
          minimumVersion: tls.minimumVersion, clientCertificate: port.clientCertificate)
        entries[index].authorityFindings += findings.map { finding in
          var finding = finding
          finding.field = "spec.ports[\(place)].tls.\(finding.field)"
          return finding
        }
      }
      endpoints.append((key, set))
    }
  }

  /// With what policies say. A BackendTLSPolicy goes before the service's own word.
  func add(
    to mesh: inout CompiledMesh, _ routes: RouteCompiler, _ policies: PolicyTable, _ faults: FaultTable,
    _ tls: BackendTLSTable, _ warnings: inout PolicyWarnings
  ) {
    for (key, var set) in endpoints {
      let policy = policies.effective(for: key)
      warnings.look(at: policy, set.appProtocol)
      set.policy = policy.backend
      if var origination = tls.origination(of: key) {
        // A policy says whom to trust; what the proxy itself shows is the service's word alone.
        origination.clientCertificate = set.tls?.clientCertificate
        set.tls = origination
      }
      let isByRequests = set.names != nil && set.names?.onlyHost == nil
      if isByRequests, set.policy.healthCheck != nil {
        warnings.lookAtHosts(.healthCheck, policy, key)
        set.policy.healthCheck = nil
      }
      var direct = RouteRule.direct(key).with(policy, faults.faults(of: key), set.appProtocol, at: key, sessionKey)
      if isByRequests, direct.session != nil {
        warnings.lookAtHosts(.sessionPersistence, policy, key)
        direct.session = nil
      }
      mesh.endpoints[key] = set
      mesh.services[key] =
        routes.config(of: RouteTarget(port: key, clients: nil), set.appProtocol, policies, faults)
        ?? ServiceConfig(key: key, appProtocol: set.appProtocol, rules: [direct])
      warnings.lookAtLimits(policy, set)
    }
    mesh.hosts = hosts()
  }

  // MARK: - Names

  /// A name of a service in the mesh stays one, and of two external services of a namespace the older has a name.
  private mutating func findRivals() {
    var takers: [ExternalHosts.Entry: Int] = [:]
    for index in entries.indices where entries[index].refusal == nil {
      let entry = entries[index]
      for (place, host) in entry.service.hosts.enumerated() {
        let field = "spec.hosts[\(place)]"
        if let service = Self.service(host), table.services[service] != nil || table.aliases[service] != nil {
          entries[index].findings.append(
            RouteFinding(
              field: field, message: "\(host) is the Service \(service.path), and stays so",
              fix: "remove it, or rename the Service"))
        }
        for port in entry.service.ports {
          // Of every namespace its own.
          let shared = ServicePort(
            service: ServiceName(name: "", namespace: entry.name.namespace), port: port.port)
          let claim = ExternalHosts.Entry(host: host, service: shared)
          guard let taker = takers[claim] else {
            takers[claim] = index
            continue
          }
          entries[index].findings.append(
            RouteFinding(
              field: field, message: "the older \(entries[taker].located.value.key) has \(host):\(port.port)",
              fix: "remove one of the two"))
        }
      }
    }
  }

  private static func service(_ host: String) -> ServiceName? {
    host.hasPrefix("*") ? nil : ServiceName(host: host, namespace: "").flatMap { $0.namespace.isEmpty ? nil : $0 }
  }

  /// By the clients' namespace.
  func hosts() -> [String: ExternalHosts] {
    var byNamespace: [String: [ExternalHosts.Entry]] = [:]
    for entry in entries where entry.refusal == nil {
      for host in entry.service.hosts {
        if let service = Self.service(host), table.services[service] != nil || table.aliases[service] != nil {
          continue
        }
        byNamespace[entry.name.namespace, default: []] += entry.service.ports.map {
          ExternalHosts.Entry(host: host, service: ServicePort(service: entry.name, port: $0.port))
        }
      }
    }
    let shared = byNamespace.removeValue(forKey: PolicyTarget.rootNamespace) ?? []
    var hosts = byNamespace.mapValues { ExternalHosts($0 + shared) }
    if !shared.isEmpty { hosts[""] = ExternalHosts(shared) }
    return hosts
  }

  // MARK: - What is told

  var warnings: [ManifestProblem] {
    entries.flatMap { entry in
      (entry.refusal.map { [entry.located.warning("metadata.name", $0)] } ?? [])
        + entry.findings.map { entry.located.warning($0.field, $0.message, fix: $0.fix) }
        + entry.authorityFindings.map { entry.located.warning($0.field, $0.message, fix: $0.fix) }
    }
  }

  func statuses(_ snapshot: Snapshot) -> [RouteStatus] {
    let errors = Dictionary(
      grouping: snapshot.problems.filter { $0.severity == .error && $0.key != nil }, by: \.key)
    var statuses = entries.map { entry in
      var status = RouteStatus(entry.located)
      status.conditions =
        [accepted(entry), resolved(entry)]
        + RouteStatus.partiallyInvalid((errors[status.key] ?? []).filter(\.stale))
      return status
    }
    for (key, located) in snapshot.rejected {
      guard case .externalService = located.value else { continue }
      var status = RouteStatus(located)
      status.conditions = [RouteStatus.refused(errors[key] ?? [])]
      statuses.append(status)
    }
    return statuses
  }

  private func accepted(_ entry: Entry) -> RouteCondition {
    if let refusal = entry.refusal {
      return RouteCondition(kind: .accepted, isTrue: false, reason: "Conflicted", message: refusal)
    }
    let isShared = entry.name.namespace == PolicyTarget.rootNamespace
    let clients = isShared ? "every namespace" : "the namespace \(entry.name.namespace)"
    let hosts = ConditionText.list(entry.service.hosts)
    let notes = entry.findings.map(\.text)
    return RouteCondition(
      kind: .accepted, isTrue: true, reason: "Accepted",
      message: (["for programs of \(clients) that call \(hosts)"] + notes).joined(separator: "; "))
  }

  private func resolved(_ entry: Entry) -> RouteCondition {
    guard let first = entry.authorityFindings.first else {
      return RouteCondition(
        kind: .resolvedRefs, isTrue: true, reason: "ResolvedRefs", message: "every authority can be used")
    }
    return RouteCondition(
      kind: .resolvedRefs, isTrue: false, reason: first.reason.rawValue,
      message: ConditionText.list(entry.authorityFindings.map(\.text)))
  }
}

extension ExternalService {
  fileprivate func endpoints(of port: Port) -> [MeshPolicy.Endpoint] {
    endpoints.map { endpoint in
      let number = endpoint.address.port == 0 ? port.targetPort : endpoint.address.port
      return MeshPolicy.Endpoint(
        address: endpoint.address.withPort(number), workload: onlyHost ?? "", identity: nil, labels: endpoint.labels,
        weight: endpoint.weight)
    }.sorted { ($0.address.high, $0.address.low, $0.address.port) < ($1.address.high, $1.address.low, $1.address.port) }
  }
}
