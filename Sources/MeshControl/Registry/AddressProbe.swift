import Glibc
package import MeshCore

/// Asks the kernel whether anybody listens on an address where a proxy wants to: another mesh on this machine, or a
/// proxy that outlived its registration.
package enum AddressProbe {
  /// The ports every proxy binds on its workload's address.
  static let ports: [UInt16] = [15_008, 15_020]

  @Sendable package static func isFree(_ address: SocketAddress) -> Bool {
    ports.allSatisfy { port in
      let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
      guard descriptor >= 0 else { return true }
      defer { close(descriptor) }
      var one: Int32 = 1
      setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &one, socklen_t(MemoryLayout<Int32>.size))
      return ListeningSocket.withIPv4(address, port: port) { bind(descriptor, $0, $1) } == 0
    }
  }
}
