import MeshCore
import MeshPolicy
import MeshResources

/// What policies say that has no effect, or not the one that their authors may expect.
struct PolicyWarnings {
  private let attachments: PolicyAttachments
  private var keys = Use()
  private var slowStarts = Use()
  private var ofRequests: [PolicyField: Use] = [:]
  private var withoutKey: Set<AttachedPolicy> = []
  /// Of single endpoints and ports.
  private var useless: [ManifestProblem] = []
  /// Ports that the mesh knows.
  var ports: Set<ServicePort> = []

  /// Policies that say something, and those of them that it matters for somewhere.
  private struct Use {
    var said: Set<ResourceKey> = []
    var used: Set<ResourceKey> = []
    var unused: Set<ResourceKey> { said.subtracting(used) }
  }

  init(_ attachments: PolicyAttachments) { self.attachments = attachments }

  /// Looks at what is in force for one service port.
  mutating func look(at effective: EffectivePolicy, _ appProtocol: AppProtocol) {
    for (field, entry) in effective.entries where field.needsRequests || entry.setting.isKeyOfRequests {
      ofRequests[field, default: Use()].said.insert(entry.source.policy)
      if appProtocol != .tcp { ofRequests[field]?.used.insert(entry.source.policy) }
    }
    var algorithm = BalancingPolicy().algorithm
    let chosen = effective.entries[.algorithm]
    if case .algorithm(let said)? = chosen?.setting { algorithm = said }
    if let entry = effective.entries[.hashOn] {
      keys.said.insert(entry.source.policy)
      if algorithm.isHashing { keys.used.insert(entry.source.policy) }
    } else if algorithm.isHashing, let source = chosen?.source {
      withoutKey.insert(AttachedPolicy(key: source.policy, position: source.position, settings: []))
    }
    if let entry = effective.entries[.slowStart], case .slowStart(.some) = entry.setting {
      slowStarts.said.insert(entry.source.policy)
      if !algorithm.isHashing { slowStarts.used.insert(entry.source.policy) }
    }
  }

  /// An endpoint of an ExternalService has nobody to keep a limit.
  mutating func lookAtLimits(_ effective: EffectivePolicy, _ set: EndpointSet) {
    useless += Self.ofLimits(effective, set)
  }

  /// An endpoint without a proxy has nobody to keep a limit.
  static func ofLimits(_ effective: EffectivePolicy, _ set: EndpointSet) -> [ManifestProblem] {
    var found: [ManifestProblem?] = []
    let ofRoute = "write the limit in a policy whose target is a route"
    if !effective.inboundLimits.isEmpty { found.append(tell(.rateLimits, effective, set, fix: ofRoute)) }
    if effective.globalLimit(ofRoutes: false) != nil {
      found.append(tell(.globalRateLimit, effective, set, fix: ofRoute))
    }
    if case .adaptiveConcurrency(.some)? = effective.entries[.adaptiveConcurrency]?.setting {
      found.append(
        tell(.adaptiveConcurrency, effective, set, fix: "run it with a proxy, or write limits.activeRequests"))
    }
    if case .compression(.some)? = effective.entries[.compression]?.setting {
      found.append(
        tell(.compression, effective, set, says: "no proxy compresses its answers", fix: "run it with a proxy"))
    }
    return found.compactMap(\.self)
  }

  private static func tell(
    _ field: PolicyField, _ effective: EffectivePolicy, _ set: EndpointSet,
    says consequence: String = "no proxy limits what it gets", fix: String
  ) -> ManifestProblem? {
    guard let source = effective.entries[field]?.source,
      let bare = set.names?.hosts.first ?? set.endpoints.first(where: { $0.identity == nil })?.address.description
    else { return nil }
    let message = "the endpoint \(bare) of \(set.key) is outside the mesh, so \(consequence)"
    return finding(field, message, fix, .policyWithoutProxy)
      .warning(of: AttachedPolicy(key: source.policy, position: source.position, settings: []))
  }

  /// Hosts that come and go with requests are not asked how they are, and nobody has a session with one.
  mutating func lookAtHosts(_ field: PolicyField, _ effective: EffectivePolicy, _ port: ServicePort) {
    guard let source = effective.entries[field]?.source else { return }
    let loss = field == .healthCheck ? "are not checked" : "have no sessions"
    let message = "\(port) has hosts that requests name, and those \(loss)"
    useless.append(
      Self.finding(field, message, "give the host an ExternalService of its own")
        .warning(of: AttachedPolicy(key: source.policy, position: source.position, settings: [])))
  }

  var problems: [ManifestProblem] {
    var problems = useless
    problems += withoutKey.map { policy in
      PolicyFinding(
        field: "spec.\(PolicyField.algorithm.rawValue)",
        message: "no policy says by what requests are told apart, so their endpoints are chosen at random",
        fix: "write balancer.hashOn", code: .policyFieldUnused
      ).warning(of: policy)
    }
    for policy in attachments.policies {
      let attached = policy.attached
      problems += Set(policy.targets.flatMap(findings)).map { $0.warning(of: attached) }
      for case .globalRateLimit(let limit?) in attached.settings where !ports.contains(limit.service) {
        let message = "the mesh knows no \(limit.service), so nobody counts: every request is treated as onFailure says"
        problems.append(
          Self.finding(.globalRateLimit, message, "add the Service, or correct its name").warning(of: attached))
      }
      if keys.unused.contains(attached.key) {
        problems.append(
          Self.finding(
            .hashOn, "no service that it applies to has a balancer that goes by keys", "choose ringHash or maglev"
          )
          .warning(of: attached))
      }
      for (field, use) in ofRequests where use.unused.contains(attached.key) {
        problems.append(
          Self.finding(
            field, "connections have no requests, and every port it applies to carries TCP",
            field == .hashOn ? "go by sourceAddress" : "remove it"
          )
          .warning(of: attached))
      }
      if slowStarts.unused.contains(attached.key) {
        problems.append(
          Self.finding(
            .slowStart, "ringHash and maglev know none, and every service it applies to has one of them", "remove it"
          )
          .warning(of: attached))
      }
    }
    return problems
  }

  private static func finding(
    _ field: PolicyField, _ message: String, _ fix: String, _ code: FindingCode = .policyFieldUnused
  ) -> PolicyFinding {
    PolicyFinding(field: "spec.\(field.rawValue)", message: message, fix: fix, code: code)
  }

  private func findings(_ target: PolicyAttachments.Target) -> [PolicyFinding] {
    if let missing = target.missing { return [missing] }
    return target.conflicts.map {
      PolicyFinding(field: "", message: $0.text, fix: "keep each field in one policy", code: .policyConflict)
    }
  }
}

extension PolicySetting {
  /// Endpoints are chosen by what requests alone have.
  fileprivate var isKeyOfRequests: Bool {
    if case .hashOn(let source) = self { source != .sourceAddress } else { false }
  }
}
