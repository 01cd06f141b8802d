import MeshAPI
import MeshCore
import MeshPolicy

extension ConfigView {
  /// Who may call the endpoints of these services and of the backends of their rules. Those with the same rules are told together.
  func authorizations(_ services: [ServicePort]) -> [Apus_V1_EndpointAuthorization] {
    add(services).ports.sorted().flatMap { port -> [Apus_V1_EndpointAuthorization] in
      var endpoints: [Authorization: [String]] = [:]
      for endpoint in (compiled.endpoints[port]?.endpoints ?? []) + (compiled.unready[port] ?? []) {
        guard let ports = compiled.workloads[endpoint.workload]?.ports,
          let authorization = ports.first(where: { $0.port == endpoint.address.port })?.authorization
        else { continue }
        endpoints[authorization, default: []].append(endpoint.address.description)
      }
      return endpoints.sorted { $0.value.joined() < $1.value.joined() }.map { authorization, addresses in
        var message = Apus_V1_EndpointAuthorization()
        message.service = port.description
        message.endpoints = addresses
        message.authorization = Apus_V1_Authorization(authorization)
        return message
      }
    }
  }
}
