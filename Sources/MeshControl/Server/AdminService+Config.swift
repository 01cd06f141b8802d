package import GRPCCore
package import MeshAPI
import MeshControlAPI
import MeshCore
import MeshPolicy
import MeshResources
import SwiftProtobuf

// MARK: - Configuration, as proxies get it

extension AdminService {
  package func config(
    request: Apus_V1_ConfigRequest, response: RPCWriter<Apus_V1_ConfigResponse>, context: ServerContext
  ) async throws {
    let compiled = await state.compiled
    var services: [ServicePort] = []
    do throws(ConversionError) {
      for name in request.names {
        if case .service(let port) = try DiscoveryKey(name) { services.append(port) }
      }
    } catch {
      throw RPCError(code: .invalidArgument, message: "resource name: \(error)")
    }
    if request.names.isEmpty { services = compiled.services.keys.sorted() }
    let view = ConfigView(
      snapshot: await hub.snapshot, compiled: compiled, namespace: request.namespace, rollouts: await rollouts.states,
      workload: request.workload)
    let named = request.names.isEmpty ? [] : view.authorizations(services)
    for message in view.messages(services) { try await response.write(message) }
    if !named.isEmpty { try await response.write(.with { $0.authorizations = named }) }
  }
}

/// What the discovery session of a workload of `namespace` would send for some services.
struct ConfigView {
  let snapshot: DistributionSnapshot
  let compiled: CompiledMesh
  let namespace: String
  var rollouts: [String: RolloutState] = [:]
  /// Whose egress is asked for.
  var workload = ""

  func messages(_ services: [ServicePort]) -> [Apus_V1_ConfigResponse] {
    var messages: [Apus_V1_ConfigResponse] = []
    var current = Apus_V1_ConfigResponse()
    var bytes = 0
    let backends = add(services)
    for stored in backends.resources {
      if bytes > 0, bytes + stored.bytes > DiscoverySession.messageBytes {
        messages.append(current)
        current = Apus_V1_ConfigResponse()
        bytes = 0
      }
      current.resources.append(stored.message)
      bytes += stored.bytes
    }
    current.unready = backends.ports.sorted().compactMap(unready)
    current.policies = backends.ports.sorted().compactMap(compiled.policyInForce) + services.flatMap(rulePolicies)
    if let table = snapshot[.hosts, namespace]?.message.hosts { current.hosts = table }
    if let policy = compiled.workloads[workload]?.egress { current.egress = Apus_V1_Egress(policy) }
    let asked = Set(services)
    current.consumers = compiled.consumers.keys.filter { asked.contains($0.port) }.sorted().map { consumer in
      .with {
        $0.service = consumer.port.description
        $0.namespace = consumer.namespace
      }
    }
    current.rollouts = rolloutsInForce(asked)
    messages.append(current)
    return messages
  }

  private func rolloutsInForce(_ services: Set<ServicePort>) -> [Apus_V1_RolloutInForce] {
    compiled.rollouts.flatMap { plan in
      plan.rules.filter { services.contains($0.port) }.sorted().map { rule in
        .with {
          $0.service = rule.port.description
          $0.rule = rule.rule
          $0.rollout = plan.name
          $0.phase = (rollouts[plan.name]?.phase ?? .waiting).rawValue
          $0.canary = plan.rollout.versions.canary
          $0.weight = rollouts[plan.name]?.weight ?? 0
        }
      }
    }
  }

  /// The services that exist, then the endpoint sets that come along with them; and the ports of those.
  func add(_ services: [ServicePort]) -> (resources: [DistributionSnapshot.Stored], ports: Set<ServicePort>) {
    let configs = services.compactMap { snapshot[.service($0), namespace] }
    var sets: [DistributionSnapshot.Stored] = []
    var ports: Set<ServicePort> = []
    // The service's own endpoints, too: people ask for them, whatever its rules say.
    for key in configs.flatMap(\.related) + services.map(DiscoveryKey.endpoints) {
      guard case .endpoints(let port) = key, ports.insert(port).inserted, let set = snapshot[key, namespace] else {
        continue
      }
      sets.append(set)
    }
    return (configs + sets, ports)
  }

  private func rulePolicies(_ port: ServicePort) -> [Apus_V1_PolicyInForce] {
    let own = compiled.consumers[ConsumerPort(namespace: namespace, port: port)]
    return (own ?? compiled.services[port])?.rules.compactMap { compiled.policyInForce(for: $0, at: port) } ?? []
  }

  private func unready(_ port: ServicePort) -> Apus_V1_Resource? {
    compiled.unready[port].map { Apus_V1_Resource(.endpoints(EndpointSet(key: port, endpoints: $0))) }
  }
}
