package import MeshCore
package import MeshPolicy

/// `apus endpoints`: what stands behind service ports, ready or not.
package struct EndpointsReport: Encodable, Sendable {
  package struct Port: Encodable, Sendable {
    package var service: String
    package var namespace: String
    package var port: UInt16
    package var balancer: String
    /// Whose addresses the proxies find by the DNS, each for itself; absent: the endpoints are all.
    package var hosts: [String]?
    /// Whose certificate those must show; absent: none.
    package var tls: String?
    package var endpoints: [EndpointRow]
  }

  package var ports: [Port]

  /// Shares and priorities are those for clients in `home`.
  package init(_ view: MeshView, of services: Set<ServicePort>, for home: Locality = Locality()) {
    self.init(view, of: services, for: EndpointClients(home: home))
  }

  init(_ view: MeshView, of services: Set<ServicePort>, for clients: EndpointClients) {
    ports = view.endpoints.values.filter { services.contains($0.key) }.sorted { $0.key < $1.key }.map { set in
      Port(
        service: set.key.service.name, namespace: set.key.service.namespace, port: set.key.port,
        balancer: "\(set.policy.balancing.algorithm)", hosts: set.names?.hosts,
        tls: set.names == nil ? nil : view.tlsName(set.key),
        endpoints: view.rows(set.key, for: clients))
    }
  }

  package func encode(to encoder: any Encoder) throws { try ports.encode(to: encoder) }

  // MARK: - Text

  package func render() -> String {
    if ports.isEmpty { return "no services\n" }
    let columns = self.columns
    var table = TextTable([TextTable.Column("SERVICE")] + columns.map(\.column))
    for port in ports {
      let name = "\(port.service).\(port.namespace):\(port.port)"
      if let hosts = port.hosts {
        let security = port.tls.map { "TLS \($0)" } ?? "plaintext"
        table.rows.append(
          [name, "by DNS", hosts.joined(separator: ",")] + columns.dropFirst(4).map { _ in "" } + [security])
      } else if port.endpoints.isEmpty {
        table.rows.append([name, "none"])
      }
      for row in port.endpoints { table.rows.append([name] + columns.map { $0.text(row) }) }
    }
    return table.render()
  }

  private struct Column {
    var column: TextTable.Column
    var text: (EndpointRow) -> String

    init(_ title: String, _ alignment: TextTable.Alignment = .left, _ text: @escaping (EndpointRow) -> String) {
      column = .init(title, alignment)
      self.text = text
    }
  }

  /// Those of zones and subsets where some policy asks for them.
  private var columns: [Column] {
    let rows = ports.flatMap(\.endpoints)
    var columns = [
      Column("ADDRESS") { $0.address }, Column("WORKLOAD") { $0.workload },
      Column("READY") { $0.ready ? "yes" : "no" }, Column("ZONE") { $0.zone ?? "" },
      Column("WEIGHT", .right) { "\($0.weight)" },
    ]
    if rows.contains(where: { $0.subset != nil }) { columns.append(Column("SUBSET") { $0.subset ?? "" }) }
    if rows.contains(where: { $0.priority != nil }) {
      columns.append(Column("PRIORITY", .right) { row in row.priority.map { "\($0)" } ?? "" })
      columns.append(Column("SHARE", .right) { row in row.share.map(RuleText.percent) ?? "" })
    }
    if rows.contains(where: { $0.state != nil }) { columns.append(Column("STATE") { $0.state ?? "" }) }
    columns.append(Column("IDENTITY") { $0.security })
    columns.append(Column("LABELS") { $0.ownLabels })
    return columns
  }
}

extension EndpointRow {
  /// Without those that other columns and the service's name say.
  fileprivate var ownLabels: String {
    let shown = ["apus.dev/service", Locality.zoneLabel, Locality.regionLabel]
    return labels.filter { !shown.contains($0.key) }.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
      .joined(separator: ",")
  }
}

extension EndpointRow {
  /// The identity, or what there is in its place.
  var security: String { identity ?? tls.map { "TLS \($0)" } ?? "plaintext" }
}
