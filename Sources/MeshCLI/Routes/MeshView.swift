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
  /// Of the one workload that was asked for.
  package var egress = EgressPolicy()
  /// Of rules whose weights are a rollout's.
  package var rollouts: [PolicyPlace: RolloutNote] = [:]

  /// Who may call the endpoints of a port, where there are rules.
  package var authorizations: [ServicePort: [EndpointAuthorization]] = [:]

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
    for part in parts where part.hasEgress { egress = try EgressPolicy(part.egress) }
    for resource in parts.flatMap(\.unready) {
      if case .endpoints(let set) = try MeshResource(resource) { unready[set.key] = set.endpoints }
    }
    for consumer in parts.flatMap(\.consumers) {
      if let port = ServicePort(consumer.service) { consumers[port, default: []].append(consumer.namespace) }
    }
    for rollout in parts.flatMap(\.rollouts) {
      guard let port = ServicePort(rollout.service) else { continue }
      rollouts[PolicyPlace(port: port, rule: rollout.rule)] = RolloutNote(rollout)
    }
    for message in parts.flatMap(\.authorizations) {
      guard let port = ServicePort(message.service) else { continue }
      authorizations[port, default: []].append(
        EndpointAuthorization(endpoints: message.endpoints, authorization: try Authorization(message.authorization)))
    }
    for policy in parts.flatMap(\.policies) {
      guard let port = ServicePort(policy.service) else { continue }
      policies[PolicyPlace(port: port, rule: policy.rule)] = policy.entries.map(PolicyRow.init)
    }
  }
}

/// The rules of some endpoints of one port.
package struct EndpointAuthorization: Hashable, Sendable {
  /// Addresses.
  package var endpoints: [String]
  package var authorization: Authorization

  package init(endpoints: [String], authorization: Authorization) {
    self.endpoints = endpoints
    self.authorization = authorization
  }
}

/// The rollout that sets the weights of a rule.
package struct RolloutNote: Hashable, Encodable, Sendable {
  /// `shop/orders`.
  package var name: String
  package var phase: String
  package var canary: String
  /// Percent of the canary.
  package var weight: UInt32

  package init(name: String, phase: String, canary: String, weight: UInt32) {
    self.name = name
    self.phase = phase
    self.canary = canary
    self.weight = weight
  }

  init(_ rollout: Apus_V1_RolloutInForce) {
    self.init(name: rollout.rollout, phase: rollout.phase, canary: rollout.canary, weight: rollout.weight)
  }

  /// `weights by the rollout shop/orders (Progressing, 25 % to orders-v2)`.
  package var text: String { "weights by the rollout \(name) (\(phase), \(weight) % to \(canary))" }
}
