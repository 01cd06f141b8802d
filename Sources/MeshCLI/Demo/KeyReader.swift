internal import Glibc
internal import Synchronization

/// Single key presses of the terminal, without Enter. The terminal's mode is put back by `stop`.
///
/// The bytes read wait in `keys` (guarded by its lock); the reading thread ends with the process.
package final class KeyReader: Sendable {
  private let keys = Mutex<[UInt8]>([])
  private let original: Mutex<termios?>

  /// Nil when standard input is no terminal, or when we are not in its foreground.
  package init?() {
    var mode = termios()
    guard isatty(STDIN_FILENO) == 1, tcgetpgrp(STDIN_FILENO) == getpgrp(), tcgetattr(STDIN_FILENO, &mode) == 0 else {
      return nil
    }
    original = Mutex(mode)
    mode.c_lflag &= ~tcflag_t(ICANON | ECHO)
    tcsetattr(STDIN_FILENO, TCSANOW, &mode)
    var thread = pthread_t()
    let box = Unmanaged.passRetained(self)
    let error = pthread_create(
      &thread, nil,
      { argument in
        guard let argument else { return nil }
        Unmanaged<KeyReader>.fromOpaque(argument).takeRetainedValue().loop()
        return nil
      }, box.toOpaque())
    if error != 0 { box.release() }
  }

  package func next() -> UInt8? { keys.withLock { $0.isEmpty ? nil : $0.removeFirst() } }

  package func stop() {
    original.withLock { mode in
      if var value = mode { tcsetattr(STDIN_FILENO, TCSANOW, &value) }
      mode = nil
    }
  }

  private func loop() {
    var byte: UInt8 = 0
    while true {
      let count = read(STDIN_FILENO, &byte, 1)
      if count < 0, errno == EINTR { continue }
      guard count == 1 else { return }
      keys.withLock { if $0.count < 64 { $0.append(byte) } }
    }
  }
}
