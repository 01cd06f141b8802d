import MeshAPI
import MeshCore
import MeshPolicy
import MeshResources
import SwiftProtobuf

// The policies of a request's way with the source of each field, for `apus why`.
extension CompiledMesh {
  /// Of the endpoints of a port; nil when no policy says anything of them.
  func policyInForce(_ port: ServicePort) -> Apus_V1_PolicyInForce? {
    let entries = policies.effective(for: port).ordered.filter(\.setting.field.isOfBackend)
    let words = meshTLS.entries(of: port)
    var policy = Apus_V1_PolicyInForce(port, rule: "", entries)
    if !words.isEmpty {
      if policy == nil { policy = .with { $0.service = port.description } }
      policy?.entries += words
    }
    guard let tokens = tokens.effective(for: port) else { return policy }
    return tokens.added(to: policy, of: port)
  }

  /// Of the requests that a rule takes.
  func policyInForce(for rule: RouteRule, at port: ServicePort) -> Apus_V1_PolicyInForce? {
    let policy = policies.effective(for: rule, at: port)
    let entries = policy.ordered.filter { entry in
      if entry.setting.field == .sessionPersistence { return rule.followsSession(of: policy, at: port) }
      return !entry.setting.field.isOfBackend && rule.follows(entry.setting)
    }
    return Apus_V1_PolicyInForce(port, rule: rule.name, entries)
  }
}

extension PolicyTable {
  /// For the requests that a compiled rule takes.
  func effective(for rule: RouteRule, at port: ServicePort) -> EffectivePolicy {
    let ofPort = effective(for: port)
    guard let (route, name) = rule.route else { return ofPort }
    return effective(for: name, of: route, over: ofPort)
  }
}

extension RouteRule {
  /// The route that it comes from, and its name or number there; nil for a rule of something else.
  fileprivate var route: (key: ResourceKey, rule: String)? {
    let parts = name.split(separator: "#", maxSplits: 1)
    let path = parts[0].split(separator: "/")
    let kinds = ["httproute": "HTTPRoute", "grpcroute": "GRPCRoute"]
    guard parts.count == 2, path.count == 3, let kind = kinds[String(path[0])] else { return nil }
    let key = ResourceKey(
      group: "gateway.networking.k8s.io", kind: kind, namespace: String(path[1]), name: String(path[2]))
    return (key, String(parts[1]))
  }

  /// False where the route says something else itself.
  func follows(_ setting: PolicySetting) -> Bool {
    switch setting {
    case .requestTimeout(let limit): timeouts.request == (limit == .zero ? nil : limit)
    case .backendRequestTimeout(let limit): timeouts.backendRequest == (limit == .zero ? nil : limit)
    case .hedging(let hedging): self.hedging == hedging
    case .idleTimeout(let limit): timeouts.idle == limit
    case .streamTimeout(let limit): timeouts.stream == (limit == .zero ? nil : limit)
    case .retryAttempts(let count): (retry?.attempts ?? 0) == count
    case .retryConditions(let conditions):
      retry.map { RetryConditions(statuses: $0.statusCodes, grpcStatuses: $0.grpcStatuses, failures: $0.failures) }
        == conditions
    case .retryBackoff(let wait): retry?.backoff == wait
    case .maximumRetryAfter(let limit): retry?.maximumRetryAfter == limit
    default: true
    }
  }
}

extension Apus_V1_PolicyInForce {
  fileprivate init?(_ port: ServicePort, rule: String, _ entries: [EffectivePolicy.Entry]) {
    if entries.isEmpty { return nil }
    self.init()
    service = port.description
    self.rule = rule
    self.entries = entries.map { entry in
      .with {
        $0.field = entry.setting.field.rawValue
        $0.value = entry.setting.text
        $0.policy = entry.source.policy.description
        $0.level = entry.source.level.rawValue
        $0.file = entry.source.position.file
        $0.line = UInt32(clamping: entry.source.position.line)
      }
    }
  }
}
