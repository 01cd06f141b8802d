import Glibc
import MeshIdentity

/// Whether all faults of the mesh are stopped, as a file in the state directory: a stop outlives the controller.
package struct FaultSwitch: Sendable {
  private let path: String
  package private(set) var isStopped: Bool

  /// A file that cannot be read counts as a stop: no fault is better than one that somebody stopped.
  package init(path: String) {
    self.path = path
    do {
      isStopped = try AtomicFile.read(path) != nil
    } catch {
      isStopped = true
    }
  }

  package mutating func stop() throws {
    isStopped = true
    try AtomicFile.write("All faults are stopped; `apus chaos start` ends that.\n", to: path, mode: 0o600)
  }

  package mutating func start() throws {
    guard unlink(path) == 0 || errno == ENOENT else {
      throw ControlPlaneError("cannot remove \(path): \(String(cString: strerror(errno)))")
    }
    isStopped = false
  }
}
