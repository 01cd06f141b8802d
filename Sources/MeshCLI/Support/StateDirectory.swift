internal import Foundation

/// Where the local mesh keeps its state, and the paths in it.
///
/// `--state-dir`, else `$APUS_STATE_DIR`, else `$XDG_STATE_HOME/apus`, else `~/.local/state/apus`.
package struct StateDirectory: Hashable, Sendable {
  package var path: String

  package init(path: String) { self.path = path }

  package static func resolve(flag: String?, environment: [String: String]) throws -> StateDirectory {
    func set(_ name: String) -> String? {
      guard let value = environment[name], !value.isEmpty else { return nil }
      return value
    }
    if let flag { return StateDirectory(path: absolute(flag)) }
    if let explicit = set("APUS_STATE_DIR") { return StateDirectory(path: absolute(explicit)) }
    // The XDG specification: a relative path is invalid and is ignored.
    if let base = set("XDG_STATE_HOME"), base.hasPrefix("/") { return StateDirectory(path: base + "/apus") }
    guard let home = set("HOME") else {
      throw CLIFailure("no state directory: HOME is not set", fix: "pass --state-dir DIR or set APUS_STATE_DIR")
    }
    return StateDirectory(path: home + "/.local/state/apus")
  }

  package var socket: String { path + "/control.sock" }
  package var trustAnchors: String { path + "/trust-anchors.pem" }
  /// Keys, state and log of the certificate authority.
  package var authority: String { path + "/ca" }

  /// The trust anchors one workload's proxy starts with.
  package func anchors(of workload: String) -> String { "\(path)/workloads/\(workload).anchors.pem" }

  /// The token of what changes something over the admin port of one workload's proxy.
  package func adminToken(of workload: String) -> String { "\(path)/workloads/\(workload).admin-token" }

  /// `sun_path` of a Unix socket address holds 107 bytes and a NUL.
  package func checkSocketPath() throws {
    guard socket.utf8.count <= 107 else {
      throw CLIFailure(
        "the control socket's path is longer than 107 bytes: \(socket)", fix: "choose a shorter --state-dir")
    }
  }

  private static func absolute(_ path: String) -> String {
    URL(fileURLWithPath: path).standardizedFileURL.path
  }
}
