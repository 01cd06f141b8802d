internal import Foundation
package import MeshAPI
internal import MeshControl
internal import MeshCore

/// What a proxy's `/plaintext_callers` page says: who has called its program without a certificate of the mesh.
package struct PlaintextReport: Codable, Hashable, Sendable {
  package struct Port: Codable, Hashable, Sendable {
    package var port: UInt16
    package var mode: String
  }

  package struct Process: Codable, Hashable, Sendable {
    package var name: String
    package var pid: Int64
    package var user: Int64
    /// Process numbers, with spaces between them.
    package var ancestors: String
  }

  package struct Caller: Codable, Hashable, Sendable {
    package var address: String
    package var port: UInt16
    package var allowed: Int64
    package var refused: Int64
    package var firstMs: Int64
    package var lastMs: Int64
    package var processes: [Process]

    enum CodingKeys: String, CodingKey {
      case address, port, allowed, refused, processes
      case firstMs = "first_ms"
      case lastMs = "last_ms"
    }
  }

  package var startedMs: Int64
  package var forgotten: Int64
  package var ports: [Port]
  package var callers: [Caller]

  enum CodingKeys: String, CodingKey {
    case forgotten, ports, callers
    case startedMs = "started_ms"
  }

  package static func decode(_ body: [UInt8]) throws -> PlaintextReport {
    try JSONDecoder().decode(PlaintextReport.self, from: Data(body))
  }

  /// Nil when the proxy does not answer: that it does not is told elsewhere.
  package static func fetch(from address: String) async -> PlaintextReport? {
    guard let admin = SocketAddress(address, defaultPort: RunPlan.adminPort),
      let reply = try? await HTTPFetch.get(admin, path: "/plaintext_callers"), reply.status == 200
    else { return nil }
    return try? decode(reply.body)
  }

  package static func fetchAll(_ workloads: [Apus_V1_WorkloadStatus]) async -> [String: PlaintextReport] {
    await withTaskGroup(of: (String, PlaintextReport?).self) { group in
      for workload in workloads where workload.connected {
        group.addTask { (workload.name, await fetch(from: workload.address)) }
      }
      return await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
    }
  }
}
