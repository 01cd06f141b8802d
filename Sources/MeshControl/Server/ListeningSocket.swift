import Glibc
package import MeshCore

/// Binds the control plane's listening sockets itself, for errors that say what to do; the transport takes them over.
package enum ListeningSocket {
  static let backlog: Int32 = 512

  package static func tcp(_ address: SocketAddress) throws(ControlPlaneError) -> Int32 {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { throw failure("open a socket", errno) }
    var one: Int32 = 1
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &one, socklen_t(MemoryLayout<Int32>.size))
    guard withIPv4(address, port: address.port, { bind(descriptor, $0, $1) }) == 0,
      listen(descriptor, backlog) == 0
    else {
      let code = errno
      close(descriptor)
      switch code {
      case EADDRINUSE:
        throw ControlPlaneError(
          "\(address) is in use: another controller runs on this machine; stop it or choose another --listen")
      case EADDRNOTAVAIL:
        throw ControlPlaneError("\(address) is no address of this machine; choose another --listen")
      default:
        throw failure("listen on \(address)", code)
      }
    }
    return descriptor
  }

  /// A Unix socket that only its owner can open. A file left by a dead controller is removed, a living one's is not.
  package static func unix(_ path: String) throws(ControlPlaneError) -> Int32 {
    guard path.utf8.count <= 107 else {
      throw ControlPlaneError("\(path) is longer than a socket's 107 bytes; choose a shorter --state-dir")
    }
    if isAnswered(path) {
      throw ControlPlaneError("another controller answers on \(path); stop it or choose another --state-dir")
    }
    unlink(path)
    let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { throw failure("open a socket", errno) }
    // Nobody can connect before `listen`, so the mode is in force for every connection.
    guard withUnix(path, { bind(descriptor, $0, $1) }) == 0, chmod(path, 0o600) == 0, listen(descriptor, backlog) == 0
    else {
      let code = errno
      close(descriptor)
      throw failure("listen on \(path)", code)
    }
    return descriptor
  }

  private static func isAnswered(_ path: String) -> Bool {
    let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { return false }
    defer { close(descriptor) }
    return withUnix(path) { connect(descriptor, $0, $1) } == 0
  }

  private static func failure(_ action: String, _ code: Int32) -> ControlPlaneError {
    ControlPlaneError("cannot \(action): \(String(cString: strerror(code)))")
  }

  // MARK: - Addresses in the kernel's form

  static func withIPv4<Result>(
    _ address: SocketAddress, port: UInt16, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
  ) -> Result {
    var raw = sockaddr_in()
    raw.sin_family = sa_family_t(AF_INET)
    raw.sin_port = port.bigEndian
    raw.sin_addr.s_addr = address.ipv4.bigEndian
    return withUnsafePointer(to: &raw) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
  }

  private static func withUnix<Result>(
    _ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
  ) -> Result {
    var raw = sockaddr_un()
    raw.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &raw.sun_path) { $0.copyBytes(from: Array(path.utf8).prefix($0.count - 1)) }
    return withUnsafePointer(to: &raw) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
  }
}
