import CLinux
import Glibc

/// Refuses a state directory in which somebody else could put files: keys, tokens and registrations are believed.
package enum StateOwner {
  /// Of a directory that exists.
  package static func check(_ directory: String) throws(ControlPlaneError) {
    let status = clinux_file_status(directory, 1)
    guard status.owner == geteuid() || status.owner == 0 else {
      throw ControlPlaneError(
        "\(directory) belongs to another account, which could put its own keys there; choose another --state-dir")
    }
    guard status.permissions & 0o022 == 0 else {
      throw ControlPlaneError(
        "others may write in \(directory) (mode \(String(status.permissions, radix: 8))): run chmod 700 \(directory), and look "
          + "whether everything in it is yours")
    }
  }
}
