import Glibc
import MeshCore

/// A listening socket whose accept queue is full, so that Linux drops further SYNs: a host that never answers.
final class SilentPort: Sendable {
  let port: UInt16
  private let descriptors: [Int32]

  init() {
    let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    _ = withLoopback(port: 0) { bind(listener, $0, $1) }
    listen(listener, 0)
    let port = boundPort(listener)
    let clients = (0..<4).map { _ in
      let client = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue), 0)
      _ = withLoopback(port: port) { connect(client, $0, $1) }
      return client
    }
    self.port = port
    descriptors = [listener] + clients
  }

  deinit { for descriptor in descriptors { close(descriptor) } }

  var address: SocketAddress { .loopback(port: port) }
}
