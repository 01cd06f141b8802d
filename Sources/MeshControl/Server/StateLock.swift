import Glibc
import Synchronization

/// Keeps a second controller off a state directory, from start to end, however this one ends.
final class StateLock: Sendable {
  private let descriptor: Mutex<Int32>

  init(_ path: String) throws {
    let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else {
      throw ControlPlaneError("cannot write \(path): \(String(cString: strerror(errno))); choose another --state-dir")
    }
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
      close(descriptor)
      throw ControlPlaneError(
        "another controller uses this state (\(path) is locked); stop it or choose another --state-dir")
    }
    self.descriptor = Mutex(descriptor)
  }

  deinit { release() }

  func release() {
    descriptor.withLock { descriptor in
      if descriptor >= 0 { close(descriptor) }
      descriptor = -1
    }
  }
}
