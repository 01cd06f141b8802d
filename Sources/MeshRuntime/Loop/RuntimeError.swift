internal import CLinux
internal import Glibc
package import MeshCore

/// Why the runtime could not set something up. The text tells an operator what to check.
package enum RuntimeError: Error, Hashable, Sendable, CustomStringConvertible {
  case cannotCreateLoop(call: String, code: Int32)
  case cannotListen(SocketAddress, code: Int32)
  case cannotStartThread(code: Int32)

  package var description: String {
    switch self {
    case .cannotCreateLoop(let call, let code):
      return "cannot create a worker loop: \(call): \(Self.text(code)); is the limit of open files too low (ulimit -n)?"
    case .cannotListen(let address, let code):
      return "cannot listen on \(address): \(Self.text(code))\(Self.hint(code))"
    case .cannotStartThread(let code):
      return "cannot start a worker thread: \(Self.text(code))"
    }
  }

  private static func hint(_ code: Int32) -> String {
    switch code {
    case EADDRINUSE: return "; which process holds the port? (ss -ltnp)"
    case EADDRNOTAVAIL: return "; is the address configured on this machine? (ip addr)"
    case EACCES: return "; ports below 1024 need the capability net_bind_service"
    case EMFILE, ENFILE: return "; raise the limit of open files (ulimit -n)"
    default: return ""
    }
  }

  package static func text(_ code: Int32) -> String {
    String(cString: clinux_error_text(code))
  }
}
