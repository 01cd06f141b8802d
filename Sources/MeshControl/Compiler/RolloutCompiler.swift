import MeshCore
import MeshPolicy
import MeshResources

/// Divides the requests for a service between two versions of it, as its rollout stands.
///
/// In each rule that the rollout's policy is for: what goes to the service itself, or to both versions, goes to the versions by the
/// rollout's weight; of the rule's other backends each keeps its part. A rule that names one version only is a pin, which stays.
/// Without a canary that exists everything goes to the stable version; without a stable version the rule stays as it is written.
struct RolloutCompiler {
  private struct Use {
    var plan: CompiledRollout
    /// The port's number is in the rule, and the version lacks it.
    var missing: Set<ServicePort> = []
  }

  private let table: ServiceTable
  private let policies: PolicyTable
  private let shares: [String: RolloutShare]
  private var uses: [ResourceKey: Use] = [:]
  private(set) var warnings: [ManifestProblem] = []

  init(_ snapshot: Snapshot, _ table: ServiceTable, _ attachments: PolicyAttachments) {
    self.table = table
    policies = attachments.table
    shares = snapshot.rollouts
    for policy in attachments.policies {
      guard let rollout = policy.located.value.rollout else { continue }
      let key = policy.attached.key
      var plan = CompiledRollout(key: key, position: policy.attached.position, rollout: rollout)
      plan.targets = policy.located.value.targets
      if let missing = policy.targets.compactMap(\.missing).first { plan.obstacle = missing.message }
      for conflict in policy.targets.flatMap(\.conflicts) where conflict.fields.contains(.rollout) {
        plan.obstacle = "the rollout of the \(conflict.winner) goes before"
      }
      uses[key] = Use(plan: plan)
    }
  }

  // MARK: - Rules

  mutating func divide(_ mesh: inout CompiledMesh) {
    // A mesh without rollouts pays nothing for them.
    if uses.isEmpty { return }
    for (port, config) in mesh.services { mesh.services[port]?.rules = divide(config) }
    for (consumer, config) in mesh.consumers { mesh.consumers[consumer]?.rules = divide(config) }
  }

  private mutating func divide(_ config: ServiceConfig) -> [RouteRule] {
    config.rules.map { rule in
      guard let entry = policies.effective(for: rule, at: config.key).entries[.rollout],
        case .rollout(let rollout) = entry.setting
      else { return rule }
      return divide(rule, of: config.key, rollout, entry.source.policy)
    }
  }

  private mutating func divide(
    _ rule: RouteRule, of port: ServicePort, _ rollout: Rollout, _ key: ResourceKey
  ) -> RouteRule {
    let stable = ServiceName(name: rollout.versions.stable, namespace: key.namespace)
    let canary = ServiceName(name: rollout.versions.canary, namespace: key.namespace)
    let places = rule.backends.indices.filter {
      [port.service, stable, canary].contains(rule.backends[$0].backend.service)
    }
    let named = Set(places.map { rule.backends[$0].backend.service })
    guard let first = places.first, named.contains(port.service) || named.isSuperset(of: [stable, canary]) else {
      return rule
    }
    let model = rule.backends[first]
    func backend(_ service: ServiceName) -> WeightedBackend {
      let own = places.map { rule.backends[$0] }.first { $0.backend.service == service }
      // Of the service itself only the number of its port is meant.
      var backend = own ?? model
      backend.backend.service = service
      backend.failureStatus = nil
      return backend
    }
    let pair = (stable: backend(stable), canary: backend(canary))
    let hasCanary = exists(pair.canary.backend, key)
    guard exists(pair.stable.backend, key) else { return rule }
    let share = shares[CompiledRollout.name(of: key)]
    let weight = hasCanary && share?.versions == rollout.versions ? share?.weight ?? 0 : 0
    let divided = Self.divide(rule, places, pair, weight: weight, hasCanary: hasCanary)
    note(divided, of: port, pair.stable.backend, hasCanary ? pair.canary.backend : nil, key)
    return divided
  }

  private static func divide(
    _ rule: RouteRule, _ places: [Int], _ pair: (stable: WeightedBackend, canary: WeightedBackend), weight: UInt32,
    hasCanary: Bool
  ) -> RouteRule {
    var rule = rule
    var (stable, canary) = pair
    let isAll = places.count == rule.backends.count
    let whole = isAll ? 1 : places.reduce(UInt64(0)) { $0 + UInt64(rule.backends[$1].weight) }
    stable.weight = UInt32(clamping: whole * UInt64(100 - weight))
    canary.weight = UInt32(clamping: whole * UInt64(weight))
    var backends: [WeightedBackend] = []
    for (index, backend) in rule.backends.enumerated() {
      if index == places[0] {
        // Sessions go before weights: from a version that gets nothing they are to move, too.
        backends += (hasCanary ? [stable, canary] : [stable]).filter { rule.session == nil || $0.weight > 0 }
      } else if !places.contains(index) {
        var other = backend
        other.weight = UInt32(clamping: UInt64(backend.weight) * 100)
        backends.append(other)
      }
    }
    rule.backends = backends
    if backends.contains(where: { $0.weight > 0 && $0.failureStatus == nil }) { rule.failureStatus = nil }
    return rule
  }

  // MARK: - What it has found

  private mutating func exists(_ port: ServicePort, _ key: ResourceKey) -> Bool {
    if table.services[port.service]?.port(port.port) != nil { return true }
    uses[key]?.missing.insert(port)
    return false
  }

  private mutating func note(
    _ rule: RouteRule, of port: ServicePort, _ stable: ServicePort, _ canary: ServicePort?, _ key: ResourceKey
  ) {
    uses[key]?.plan.rules.insert(.init(port: port, rule: rule.name))
    uses[key]?.plan.services.insert(port.service.name)
    uses[key]?.plan.stablePorts.insert(stable)
    if let canary { uses[key]?.plan.canaryPorts.insert(canary) }
  }

  /// Ordered by key. Also finds what is wrong with each.
  mutating func compiled(_ mesh: CompiledMesh) -> [CompiledRollout] {
    uses.sorted { $0.key < $1.key }.map { _, use in
      var plan = use.plan
      let findings = findings(use)
      warnings += findings.map { $0.warning(of: plan.key, at: plan.position) }
      if plan.obstacle.isEmpty { plan.obstacle = findings.first?.message ?? "" }
      plan.count(mesh.endpoints)
      return plan
    }
  }

  private func findings(_ use: Use) -> [RouteFinding] {
    var findings: [RouteFinding] = []
    let versions = use.plan.rollout.versions
    for (field, name) in [("stable", versions.stable), ("canary", versions.canary)] {
      let service = ServiceName(name: name, namespace: use.plan.key.namespace)
      let place = "spec.rollout.\(field).service"
      guard let found = table.services[service] else {
        findings.append(
          RouteFinding(
            field: place, message: "there is no Service \(service.path)", fix: table.fix(forMissing: service),
            code: .rolloutVersionNotFound))
        continue
      }
      for port in use.missing.filter({ $0.service == service }).sorted() {
        findings.append(
          RouteFinding(
            field: place, message: "the Service \(service.path) has no port \(port.port)",
            fix: "its ports: \(found.portList)", code: .rolloutPortNotFound))
      }
    }
    if findings.isEmpty, use.plan.obstacle.isEmpty, use.plan.rules.isEmpty {
      findings.append(
        RouteFinding(
          field: "spec.rollout",
          message: "no rule of its target sends requests to the service itself, or to both versions",
          fix: "name \(versions.stable) and \(versions.canary) in the backendRefs of one rule",
          code: .rolloutWithoutRule))
    }
    return findings
  }
}

extension TrafficPolicy {
  fileprivate var rollout: Rollout? {
    for case .rollout(let rollout) in settings { return rollout }
    return nil
  }
}
