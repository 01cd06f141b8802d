package import MeshCore
package import MeshResources

/// Every policy by what it applies to, and what is in force where. Immutable; `CompiledMesh.policies` holds it for
/// whoever explains a request.
package struct PolicyTable: Sendable {
  private var attached: [PolicyScope: [AttachedPolicy]] = [:]
  private var mesh = EffectivePolicy()
  /// Services that themselves ask for endpoints of the client's zone (`trafficDistribution`).
  private var zoneServices: [ServiceName: EffectivePolicy.Entry] = [:]
  /// Of the namespaces that have policies of their own.
  private var namespaces: [String: EffectivePolicy] = [:]

  package init() {}

  init(_ attached: [PolicyScope: [AttachedPolicy]], zoneServices: [ServiceName: EffectivePolicy.Entry] = [:]) {
    self.attached = attached
    self.zoneServices = zoneServices
    mesh = merge(.mesh, over: EffectivePolicy())
    for case .namespace(let name) in attached.keys { namespaces[name] = merge(.namespace(name), over: mesh) }
  }

  /// Nothing applies anywhere.
  package var isEmpty: Bool { attached.isEmpty }

  /// For a service port: `backend` is what its endpoints have, `retry` and `timeouts(of:)` are for the rules of its requests.
  package func effective(for port: ServicePort) -> EffectivePolicy {
    if attached.isEmpty, zoneServices.isEmpty { return mesh }
    var wider = namespaces[port.service.namespace] ?? mesh
    // More specific than what is for all services, and less than a policy that is for this one.
    if let entry = zoneServices[port.service] { wider.entries[.locality] = entry }
    return merge(.port(port), over: merge(.service(port.service), over: wider))
  }

  /// For a rule, by its name if it has one, of a route. `wider` is what is in force for the port whose requests it takes.
  package func effective(for rule: String?, of route: ResourceKey, over wider: EffectivePolicy) -> EffectivePolicy {
    if attached.isEmpty { return wider }
    let ofRoute = merge(.route(route), over: wider)
    guard let rule else { return ofRoute }
    return merge(.rule(route, rule), over: ofRoute)
  }

  private func merge(_ scope: PolicyScope, over wider: EffectivePolicy) -> EffectivePolicy {
    guard let policies = attached[scope] else { return wider }
    return PolicyMerge.merge(policies, at: scope.level, over: wider)
  }
}
