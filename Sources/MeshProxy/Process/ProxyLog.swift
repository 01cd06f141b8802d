import Glibc
import MeshCore
import MeshRuntime
import MeshTelemetry

/// The proxy's own log: one line per event on standard error. For rare events only; requests have the access log.
struct ProxyLog: Sendable {
  private let name: String

  init(name: String) { self.name = name }

  func info(_ message: String) { write("info", message) }
  func warning(_ message: String) { write("warning", message) }
  func error(_ message: String) { write("error", message) }

  private func write(_ level: String, _ message: String) {
    // One write call, so that lines of several processes on one terminal stay whole.
    var line = "apus-proxy[\(name)] \(level): \(message)\n"
    line.withUTF8 { _ = Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count) }
  }
}
