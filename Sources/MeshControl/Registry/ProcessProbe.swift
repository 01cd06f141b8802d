import Glibc

/// What a controller asks the machine about the processes that an earlier one knew, replaceable in tests.
package struct ProcessProbe: Sendable {
  /// Whether a process has this id now.
  package var isRunning: @Sendable (Int64) -> Bool
  /// Names this boot of the machine: process ids of another mean nothing. Empty when the machine does not tell.
  package var boot: String

  package init(isRunning: @escaping @Sendable (Int64) -> Bool, boot: String) {
    self.isRunning = isRunning
    self.boot = boot
  }

  package static let system = ProcessProbe(
    isRunning: { id in
      // Zero and negative ids are process groups to kill(2).
      guard let id = pid_t(exactly: id), id > 0 else { return false }
      return kill(id, 0) == 0 || errno != ESRCH
    },
    boot: bootID())

  /// random(4): the same from boot to shutdown.
  private static func bootID() -> String {
    let descriptor = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return "" }
    defer { close(descriptor) }
    var text = [UInt8](repeating: 0, count: 64)
    let count = read(descriptor, &text, text.count)
    return String(decoding: text.prefix(max(0, count)).filter { $0 > 0x20 }, as: UTF8.self)
  }
}
