import MeshAPI
import MeshCore
import MeshPolicy
import MeshResources
import SwiftProtobuf

/// What MeshTLS says of the workloads behind each service port. Made when the mesh is compiled, for whoever explains it.
package struct MeshTLSWords: Sendable {
  /// Ports of which nobody says anything are left out.
  private var words: [ServicePort: [MeshTLSTable.Word]] = [:]

  package init() {}

  init(_ table: ServiceTable, _ meshTLS: MeshTLSTable) {
    if meshTLS.entries.isEmpty { return }
    for service in table.services.values {
      for port in service.ports {
        var found: [MeshTLSTable.Word] = []
        for workload in service.members {
          let number = workload.port(for: port, ofMany: service.ports.count) ?? workload.ports.first?.port ?? port.port
          let word = meshTLS.word(for: workload, port: number)
          if word.source != nil, !found.contains(word) { found.append(word) }
        }
        if !found.isEmpty { words[ServicePort(service: service.name, port: port.port)] = found }
      }
    }
  }

  /// As `apus why` and `apus routes` show policies.
  func entries(of port: ServicePort) -> [Apus_V1_PolicyEntry] {
    (words[port] ?? []).map { word in
      .with {
        $0.field = "meshTLS.mode"
        $0.value = word.mode.rawValue
        $0.policy = word.source?.description ?? ""
        $0.level = word.scope.map { "\($0)" } ?? ""
        $0.file = word.position?.file ?? ""
        $0.line = UInt32(clamping: word.position?.line ?? 0)
      }
    }
  }
}

extension WorkloadConfig {
  /// What the proxy beside `workload` has to know of security.
  mutating func secure(_ workload: EffectiveWorkload, _ meshTLS: MeshTLSTable, _ egress: EgressTable) {
    for index in ports.indices { ports[index].meshTLS = meshTLS.word(for: workload, port: ports[index].port).mode }
    self.egress = egress.policy(for: identity)
  }
}

extension Snapshot {
  /// Of services, accounts and workloads. Routes make no namespace: they name services.
  var namespaces: Set<String> {
    let groups: Set = ["", "discovery.k8s.io", "mesh.apus.dev"]
    return Set(manifests.keys.lazy.filter { groups.contains($0.group) }.map(\.namespace))
      .union(workloads.map(\.namespace)).union([PolicyTarget.rootNamespace])
  }
}

extension ContentHasher {
  mutating func add(_ egress: EgressPolicy) {
    add(egress.mode.rawValue)
    for rules in [egress.allow, egress.deny] {
      add(rules) { hasher, rule in
        hasher.add(rule.hosts) { $0.add($1) }
        hasher.add(rule.ports) { $0.add($1) }
        hasher.add(rule.name)
      }
    }
  }
}
