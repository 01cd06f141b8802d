import MeshCore
import MeshPolicy
import MeshResources

/// Which faults are asked for where, and what became of the targets of every FaultInjection.
struct FaultTable {
  struct Entry {
    var located: Located<Resource>
    var injection: FaultInjection
    var targets: [PolicyAttachments.Target]
    /// What of a target can meet no fault.
    var findings: [PolicyFinding] = []
  }

  /// The older first, as with other policies.
  private(set) var entries: [Entry]
  private var byScope: [PolicyScope: [Int]] = [:]
  private let isStopped: Bool

  init(_ snapshot: Snapshot, _ services: ServiceTable, _ routes: [MeshRoute]) {
    let routesByKey = Dictionary(routes.map { ($0.key, $0) }, uniquingKeysWith: { first, _ in first })
    let resolver = PolicyTargetResolver(services: services, routes: routesByKey)
    isStopped = snapshot.areFaultsStopped
    entries = snapshot.manifests.values.compactMap { located in
      guard case .faultInjection(let injection) = located.value else { return nil }
      let targets = injection.targets.enumerated().map { index, target in
        resolver.resolve(target, namespace: injection.metadata.namespace, field: "spec.targetRefs[\(index)]")
      }
      return Entry(located: located, injection: injection, targets: targets)
    }.sorted { RouteAge.of($0.injection.metadata) < RouteAge.of($1.injection.metadata) }
    for index in entries.indices {
      for scope in Set(entries[index].targets.compactMap(\.scope)) { byScope[scope, default: []].append(index) }
      entries[index].findings = Self.findings(entries[index], services, routesByKey)
    }
  }

  /// Of a rule, which some route may have made. A FaultInjection that reaches it in several ways counts once.
  func faults(of port: ServicePort, _ route: ResourceKey? = nil, rule: String? = nil) -> [FaultPolicy] {
    if byScope.isEmpty || isStopped { return [] }
    var scopes: [PolicyScope] = [.service(port.service), .port(port)]
    if let route { scopes.append(.route(route)) }
    if let route, let rule { scopes.append(.rule(route, rule)) }
    let indices = Set(scopes.flatMap { byScope[$0] ?? [] }).sorted()
    return indices.map { entries[$0].injection.policy }
  }

  var warnings: [ManifestProblem] {
    entries.flatMap { entry in
      (entry.targets.compactMap(\.missing) + entry.findings).map { finding in
        entry.located.warning(finding.field, finding.message, fix: finding.fix, code: finding.code)
      }
    }
  }

  // MARK: - Findings

  private static func findings(
    _ entry: Entry, _ services: ServiceTable, _ routes: [ResourceKey: MeshRoute]
  ) -> [PolicyFinding] {
    entry.targets.enumerated().compactMap { index, target in
      let field = "spec.targetRefs[\(index)]"
      switch target.scope {
      case .service(let name):
        let ports = services.declared(name)?.ports ?? []
        guard !ports.isEmpty, ports.allSatisfy({ $0.appProtocol == .tcp }) else { return nil }
        return opaque(field, "the ports of \(name.path) carry TCP")
      case .port(let port):
        guard services.declared(port.service)?.port(port.port)?.appProtocol == .tcp else { return nil }
        return opaque(field, "port \(port.port) of \(port.service.path) carries TCP")
      case .route(let key): return answered(field, routes[key]?.rules ?? [])
      case .rule(let key, let name): return answered(field, routes[key]?.rules.filter { $0.name == name } ?? [])
      case nil, .mesh, .namespace: return nil
      }
    }
  }

  private static func opaque(_ field: String, _ reason: String) -> PolicyFinding {
    PolicyFinding(
      field: field, message: "\(reason), and faults are for requests",
      fix: "write appProtocol: http, http2 or grpc on the port", code: .faultWithoutEffect)
  }

  /// A redirect is the proxy's answer, and meets no fault.
  private static func answered(_ field: String, _ rules: [MeshRoute.Rule]) -> PolicyFinding? {
    guard !rules.isEmpty, rules.allSatisfy({ $0.filters.answer }) else { return nil }
    return PolicyFinding(
      field: field, message: "all that it names is answered with a redirect, which meets no faults", fix: "remove it",
      code: .faultWithoutEffect)
  }
}

// MARK: - Status

extension FaultTable {
  /// Of every FaultInjection: those in force, and those that were refused and have no earlier version.
  func statuses(_ snapshot: Snapshot) -> [PolicyStatus] {
    let errors = Dictionary(
      grouping: snapshot.problems.filter { $0.severity == .error && $0.key != nil }, by: \.key)
    var statuses = entries.map { entry in
      let stale = (errors[entry.located.value.key] ?? []).filter(\.stale)
      var status = PolicyStatus(
        entry.located, entry.injection.targets,
        conditions: entry.targets.indices.map { conditions(entry, $0) + PolicyStatus.fallBacks(stale) })
      status.schedule = entry.injection.policy.schedule
      return status
    }
    for located in snapshot.rejected.values {
      guard case .faultInjection(let injection) = located.value else { continue }
      statuses.append(PolicyStatus(rejected: located, injection.targets, errors[located.value.key] ?? []))
    }
    return statuses
  }

  private func conditions(_ entry: Entry, _ index: Int) -> [RouteCondition] {
    if let missing = entry.targets[index].missing {
      return [RouteCondition.Kind.accepted, .resolvedRefs].map {
        RouteCondition(kind: $0, isTrue: false, reason: "TargetNotFound", message: missing.text)
      }
    }
    let target = entry.injection.targets[index]
    let resolved = RouteCondition(
      kind: .resolvedRefs, isTrue: true, reason: "ResolvedRefs", message: "the \(target.kind.rawValue) exists")
    if let finding = entry.findings.first(where: { $0.field == "spec.targetRefs[\(index)]" }) {
      return [RouteCondition(kind: .accepted, isTrue: false, reason: "Invalid", message: finding.text), resolved]
    }
    let active =
      isStopped
      ? RouteCondition(
        kind: .active, isTrue: false, reason: "Stopped",
        message: "all faults of the mesh are stopped; start them again with: apus chaos start")
      : RouteCondition(kind: .active, isTrue: true, reason: "Active", message: "injected by the proxies of clients")
    let accepted = RouteCondition(
      kind: .accepted, isTrue: true, reason: "Accepted",
      message: "for requests to the \(target.shown(in: entry.injection.metadata.namespace))")
    return [accepted, resolved, active]
  }
}

extension PolicyStatus {
  /// What a schedule makes of the condition `Active` at the Unix time `now`, in milliseconds. Proxies look at their own clocks.
  package func at(_ now: Int64) -> PolicyStatus {
    guard let schedule else { return self }
    var status = self
    for (a, ancestor) in ancestors.enumerated() {
      for (c, condition) in ancestor.conditions.enumerated() where condition.kind == .active && condition.isTrue {
        status.ancestors[a].conditions[c] = condition.scheduled(schedule, at: now)
      }
    }
    return status
  }
}

extension RouteCondition {
  fileprivate func scheduled(_ schedule: FaultSchedule, at now: Int64) -> RouteCondition {
    var condition = self
    switch schedule.state(at: now) {
    case .active:
      condition.since = max(since, schedule.start ?? since)
      return condition
    case .notStarted:
      condition.reason = "NotStarted"
      condition.message = "its schedule has not begun"
    case .betweenWindows:
      condition.reason = "BetweenWindows"
      condition.message = "its schedule is between two windows"
    case .ended:
      condition.reason = "Ended"
      condition.message = "its schedule has ended; remove it"
      condition.since = max(since, schedule.end ?? since)
    }
    condition.isTrue = false
    return condition
  }
}
