package import MeshAPI
package import MeshCore
package import MeshPolicy

/// What the proxies of one namespace have for some services, converted and validated as they do it.
package struct MeshView: Sendable {
  package var services: [ServicePort: ServiceConfig] = [:]
  package var endpoints: [ServicePort: EndpointSet] = [:]
  /// What is in no set while it is not ready.
  package var unready: [ServicePort: [Endpoint]] = [:]
  /// Namespaces whose clients have rules of their own for a port.
  package var consumers: [ServicePort: [String]] = [:]

  /// What TrafficPolicies say of the endpoints of a port, and, by the rule's name, of the requests that a rule takes.
  package var policies: [PolicyPlace: [PolicyRow]] = [:]

  /// The hosts outside the mesh that clients of the namespace reach as services of it.
  package var hosts = ExternalHosts()

  package init() {}

  package init(_ parts: [Apus_V1_ConfigResponse]) throws(ConversionError) {
    for resource in parts.flatMap(\.resources) {
      switch try MeshResource(resource) {
      case .service(let config): services[config.key] = config
      case .endpoints(let set): endpoints[set.key] = set
      case .workload, .trust, .hosts: continue
      }
    }
    for part in parts where part.hasHosts {
      var resource = Apus_V1_Resource()
      resource.name = Apus_V1_ResourceName(.hosts)
      resource.hosts = part.hosts
      if case .hosts(let table) = try MeshResource(resource) { hosts = table }
    }
    for resource in parts.flatMap(\.unready) {
      if case .endpoints(let set) = try MeshResource(resource) { unready[set.key] = set.endpoints }
    }
    for consumer in parts.flatMap(\.consumers) {
      if let port = ServicePort(consumer.service) { consumers[port, default: []].append(consumer.namespace) }
    }
    for policy in parts.flatMap(\.policies) {
      guard let port = ServicePort(policy.service) else { continue }
      policies[PolicyPlace(port: port, rule: policy.rule)] = policy.entries.map(PolicyRow.init)
    }
  }
}
