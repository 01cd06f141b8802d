import Glibc
import MeshCore

/// What the controller listens on, all of it or nothing.
struct Sockets {
  /// gRPC over TLS: proxies, and programs that join.
  let proxies: Int32
  /// gRPC for the mesh's owner.
  let admin: Int32
  /// HTTP on loopback: the controller's numbers.
  let metrics: Int32

  init(proxies address: SocketAddress, metricsPort: UInt16, admin path: String) throws {
    var open: [Int32] = []
    do {
      open.append(try ListeningSocket.tcp(address))
      open.append(try ListeningSocket.tcp(Self.metrics(of: address, metricsPort)))
      open.append(try ListeningSocket.unix(path))
    } catch {
      open.forEach { close($0) }
      throw error
    }
    (proxies, metrics, admin) = (open[0], open[1], open[2])
  }

  /// The same loopback address; 127.0.0.1 for a controller that listens on another.
  static func metrics(of address: SocketAddress, _ port: UInt16) -> SocketAddress {
    let isLoopback = address.ipv4 >> 24 == 127
    return SocketAddress(ipv4: isLoopback ? address.ipv4 : 0x7F00_0001, port: port)
  }
}
