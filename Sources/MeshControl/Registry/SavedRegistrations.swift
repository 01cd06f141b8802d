import MeshAPI
import MeshCore
import SwiftProtobuf

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The living workloads as the next controller is to find them: the content of `registrations.json`.
///
/// It holds no secrets and grants nothing: token hashes and the claim to a name stand in `addresses.json` alone, and an
/// entry counts only where the two agree.
package struct SavedRegistrations: Hashable, Sendable {
  package struct Entry: Hashable, Sendable, Codable {
    package var service: String?
    package var namespace: String
    package var serviceAccount: String
    package var address: String
    package var ports: [UInt16]
    package var labels: [String: String]
    package var processID: Int64
    package var ready: Bool
    package var draining: Bool

    init(_ lease: WorkloadLease) {
      service = lease.request.service
      namespace = lease.request.namespace
      serviceAccount = lease.request.serviceAccount
      address = lease.address.host
      ports = lease.request.ports
      labels = lease.request.labels
      processID = lease.request.processID
      ready = lease.ready
      draining = lease.draining
    }

    /// Checked like what comes over the socket: people edit files.
    func request(name: String) throws(RegistryError) -> WorkloadRequest {
      try WorkloadRequest(
        .with {
          $0.service = service ?? ""
          $0.namespace = namespace
          $0.serviceAccount = serviceAccount
          $0.ports = ports.map(UInt32.init)
          $0.labels = labels
          $0.processID = processID
          $0.name = name
        })
    }
  }

  /// Of the machine at the time of writing, see `ProcessProbe.boot`.
  package var boot: String
  package var workloads: [String: Entry]

  init(boot: String, leases: some Sequence<WorkloadLease>) {
    self.boot = boot
    workloads = Dictionary(leases.map { ($0.name, Entry($0)) }) { first, _ in first }
  }

  // MARK: - File

  private struct File: Codable {
    var version = 1
    var boot: String
    var workloads: [String: Entry]
  }

  package init(json: [UInt8]) throws {
    let file = try JSONDecoder().decode(File.self, from: Data(json))
    boot = file.boot
    workloads = file.workloads
  }

  package func json() throws -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
    return Array(try encoder.encode(File(boot: boot, workloads: workloads))) + [0x0A]
  }
}
