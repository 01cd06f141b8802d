internal import Foundation
package import MeshAPI
internal import MeshControl
internal import MeshCore

/// What a proxy's `/key_sets` page says: the keys that it verifies tokens with, and why it has none.
package struct KeySetReport: Codable, Hashable, Sendable {
  package struct KeySet: Codable, Hashable, Sendable {
    /// A path, or a URL without its query.
    package var source: String
    package var keys: Int64
    /// Empty: the last look for them had an answer, or there was none yet.
    package var failure: String
    /// Unix milliseconds; 0: nothing fails.
    package var failingSinceMs: Int64
    /// Of the last set that was had; 0: none was.
    package var readMs: Int64

    enum CodingKeys: String, CodingKey {
      case source, keys, failure
      case failingSinceMs = "failing_since_ms"
      case readMs = "read_ms"
    }
  }

  package var keySets: [KeySet]

  enum CodingKeys: String, CodingKey {
    case keySets = "key_sets"
  }

  package static func decode(_ body: [UInt8]) throws -> KeySetReport {
    try JSONDecoder().decode(KeySetReport.self, from: Data(body))
  }

  /// Nil when the proxy does not answer: that it does not is told elsewhere.
  package static func fetch(from address: String) async -> KeySetReport? {
    guard let admin = SocketAddress(address, defaultPort: RunPlan.adminPort),
      let reply = try? await HTTPFetch.get(admin, path: "/key_sets"), reply.status == 200
    else { return nil }
    return try? decode(reply.body)
  }

  package static func fetchAll(_ workloads: [Apus_V1_WorkloadStatus]) async -> [String: KeySetReport] {
    await withTaskGroup(of: (String, KeySetReport?).self) { group in
      for workload in workloads where workload.connected {
        group.addTask { (workload.name, await fetch(from: workload.address)) }
      }
      return await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
    }
  }
}

// MARK: - apus check

extension CheckList {
  /// One line for each source of keys that a workload's proxy verifies tokens with.
  static func keySets(_ report: KeySetReport, _ section: String, now: Int64) -> [CheckItem] {
    report.keySets.map { set in
      let name = "keys for tokens from \(set.source)"
      let age = { (milliseconds: Int64) in Format.duration(seconds: max(0, now - milliseconds / 1000)) }
      guard set.failure.isEmpty else {
        let since = "\(set.failure), for \(age(set.failingSinceMs))"
        let hint = "can the workload reach it, and does it answer with a JSON Web Key Set?"
        if set.keys == 0 {
          return CheckItem(section, name, .error, "\(since); requests with a token are answered 503", hint: hint)
        }
        let rest = "those of \(age(set.readMs)) ago stay in use, and keys that are new since are not known"
        return CheckItem(section, name, .warning, "\(since); \(rest)", hint: hint)
      }
      if set.readMs == 0 {
        return CheckItem(section, name, .warning, "not read yet", hint: "run apus check again in a few seconds")
      }
      return CheckItem(section, name, .ok, "\(set.keys)")
    }
  }
}
