package import MeshIdentity

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Where every rollout stands, as a file in the state directory.
package struct RolloutFile: Sendable {
  private struct Content: Codable {
    var version = 1
    /// By `namespace/name` of the policy.
    var rollouts: [String: RolloutState]
  }

  private let path: String
  private let calls: AtomicFile.Calls

  package init(path: String, calls: AtomicFile.Calls = .system) {
    self.path = path
    self.calls = calls
  }

  /// A missing file has none. One that cannot be understood is an error: without it every promoted rollout would begin again.
  package func read() throws -> [String: RolloutState] {
    guard let bytes = try AtomicFile.read(path) else { return [:] }
    do {
      return try JSONDecoder().decode(Content.self, from: Data(bytes)).rollouts
    } catch {
      throw ControlPlaneError(
        "\(path) cannot be understood; remove it (every rollout then begins again, with all requests to the stable version) "
          + "and start again")
    }
  }

  package func write(_ rollouts: [String: RolloutState]) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
    try AtomicFile.write(Array(try encoder.encode(Content(rollouts: rollouts))) + [0x0A], to: path, calls: calls)
  }
}
