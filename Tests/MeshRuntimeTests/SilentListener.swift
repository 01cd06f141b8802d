import CLinux
import MeshCore

/// A listening socket whose accept queue is full, so that Linux drops further SYNs: a host that never answers.
final class SilentListener {
  let address: SocketAddress
  private var descriptors: [Int32] = []

  struct Failed: Error {}

  init() throws {
    let listener = clinux_listen(clinux_address(high: 0, low: 0xFFFF_7F00_0001, port: 0), 0, 0)
    guard listener >= 0 else { throw Failed() }
    descriptors.append(listener)
    var bound = clinux_address()
    clinux_local_address(listener, &bound)
    address = SocketAddress(high: bound.high, low: bound.low, port: bound.port)
    for _ in 0..<4 {
      var inProgress: Int32 = 0
      var source = bound
      descriptors.append(clinux_connect(bound, &source, 0, 0, 0, &inProgress))
    }
  }

  deinit {
    for descriptor in descriptors where descriptor >= 0 { clinux_close(descriptor) }
  }
}
