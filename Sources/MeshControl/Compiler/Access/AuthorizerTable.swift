import MeshCore
import MeshPolicy
import MeshResources

/// Finds the providers that policies with the action `custom` name: ExternalAuthorizers of the policy's own namespace, else of the
/// root namespace.
struct AuthorizerTable {
  private let providers: [ResourceKey: Located<DeclaredAuthorizer>]
  private let services: ServiceTable

  init(_ snapshot: Snapshot, _ table: ServiceTable) {
    services = table
    var providers: [ResourceKey: Located<DeclaredAuthorizer>] = [:]
    for (key, located) in snapshot.manifests {
      guard case .externalAuthorizer(let authorizer) = located.value else { continue }
      providers[key] = Located(authorizer, at: located.position)
    }
    self.providers = providers
  }

  /// The policies of a port, each with its provider. Without one it refuses what it matches.
  func resolve(_ policies: [AuthorizationPolicy], of port: InboundPort) -> [AuthorizationPolicy] {
    guard policies.contains(where: { $0.provider != nil }) else { return policies }
    return policies.compactMap { policy in
      guard let name = policy.provider else { return policy }
      var policy = policy
      policy.authorizer = provider(name, for: policy.namespace)?.value.authorizer
      // Who decides is not asked about calls to itself, or that would have no end.
      let isItself = policy.authorizer != nil && policy.authorizer?.service.service == port.service?.service
      return isItself ? nil : policy
    }
  }

  func provider(_ name: String, for namespace: String) -> Located<DeclaredAuthorizer>? {
    for namespace in [namespace, PolicyTarget.rootNamespace] {
      let key = ResourceKey(group: "mesh.apus.dev", kind: "ExternalAuthorizer", namespace: namespace, name: name)
      if let provider = providers[key] { return provider }
    }
    return nil
  }

  /// Of the services that the mesh does not have.
  var warnings: [ManifestProblem] {
    providers.sorted { $0.key < $1.key }.compactMap { key, located in
      finding(of: located.value)?.warning(of: key, at: located.position)
    }
  }

  func statuses(_ snapshot: Snapshot) -> [RouteStatus] {
    providers.compactMap { key, located in
      guard let object = snapshot.manifests[key] else { return nil }
      var status = RouteStatus(object)
      let finding = finding(of: located.value)
      let authorizer = located.value.authorizer
      status.conditions = [
        RouteCondition(
          kind: .accepted, isTrue: true, reason: "Accepted", message: "asks \(authorizer.service) by \(authorizer.text)"
        ),
        RouteCondition(
          kind: .resolvedRefs, isTrue: finding == nil, reason: finding == nil ? "ResolvedRefs" : "BackendNotFound",
          message: finding?.text ?? "the service exists"),
      ]
      return status
    }
  }

  private func finding(of declared: DeclaredAuthorizer) -> RouteFinding? {
    let service = declared.authorizer.service
    if services.services[service.service]?.port(service.port) != nil { return nil }
    return RouteFinding(
      field: "spec.service",
      message: "there is no port \(service.port) of a Service \(service.service.path); "
        + (declared.authorizer.failure == .allow ? "requests pass without being asked about" : "requests are refused"),
      fix: "create it, or correct the name", code: .authorizerNotFound)
  }
}

extension AuthorizationPolicy {
  /// Of `custom`.
  var provider: String? { if case .custom(let provider) = action { provider } else { nil } }
  var namespace: String { String(name.prefix { $0 != "/" }) }
}

extension ExternalAuthorizer {
  /// `gRPC, 200ms, deny with 403 on failure`
  var text: String {
    let wire = if case .grpc = wire { "gRPC" } else { "HTTP" }
    let failure =
      switch failure {
      case .allow: "allow"
      case .deny(let status): "deny with \(status)"
      }
    return "\(wire), within \(timeout.nanoseconds / 1_000_000)ms; without an answer: \(failure)"
  }
}

extension AuthorizationTable {
  /// Custom policies whose provider does not exist.
  var missingProviders: [ManifestProblem] {
    entries.compactMap { entry in
      guard entry.errors.isEmpty, case .custom(let name)? = entry.policy.action,
        access?.authorizers.provider(name, for: entry.policy.metadata.namespace) == nil
      else { return nil }
      return entry.located.warning(
        "spec.provider",
        "there is no ExternalAuthorizer \(name) here or in \(PolicyTarget.rootNamespace): what the policy matches is refused",
        fix: "create it, or correct the name", code: .authorizerNotFound)
    }
  }
}
