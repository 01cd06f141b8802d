package import MeshCore
internal import MeshPolicy

/// `apus endpoints`: what stands behind service ports, ready or not.
package struct EndpointsReport: Encodable, Sendable {
  package struct Port: Encodable, Sendable {
    package var service: String
    package var namespace: String
    package var port: UInt16
    package var balancer: String
    package var endpoints: [EndpointRow]
  }

  package var ports: [Port]

  package init(_ view: MeshView, of services: Set<ServicePort>) {
    ports = view.endpoints.values.filter { services.contains($0.key) }.sorted { $0.key < $1.key }.map { set in
      Port(
        service: set.key.service.name, namespace: set.key.service.namespace, port: set.key.port,
        balancer: "\(set.policy.balancing.algorithm)", endpoints: view.rows(set.key))
    }
  }

  package func encode(to encoder: any Encoder) throws { try ports.encode(to: encoder) }

  package func render() -> String {
    if ports.isEmpty { return "no services\n" }
    var table = TextTable([
      .init("SERVICE"), .init("ADDRESS"), .init("WORKLOAD"), .init("READY"), .init("ZONE"), .init("WEIGHT", .right),
      .init("IDENTITY"),
    ])
    for port in ports {
      let name = "\(port.service).\(port.namespace):\(port.port)"
      if port.endpoints.isEmpty { table.add(name, "none", "", "", "", "", "") }
      for row in port.endpoints {
        table.add(
          name, row.address, row.workload, row.ready ? "yes" : "no", row.zone ?? "", "\(row.weight)",
          row.security)
      }
    }
    return table.render()
  }
}

extension EndpointRow {
  /// The identity, or what there is in its place.
  var security: String { identity ?? tls.map { "TLS \($0)" } ?? "plaintext" }
}
