import Glibc
import MeshPolicy
import MeshRuntime

@testable import MeshProxy

// What the tests of clients that mean harm have in common: HTTP/2 by hand, a proxy with no application behind, floods.

extension FramePeer {
  /// The client's preface, with SETTINGS that change nothing.
  static let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8) + frame(4, 0, 0)
  /// A field block: GET http://a/
  static let get: [UInt8] = [0x82, 0x86, 0x84, 0x41, 1, 0x61]
  /// A field block: HEAD http://outside.example.com/
  static let headOutside: [UInt8] =
    [0x42, 4] + Array("HEAD".utf8) + [0x86, 0x84, 0x41, 19] + Array("outside.example.com".utf8)
  /// A field block: GET http://orders.shop/
  static let getOrders: [UInt8] = [0x82, 0x86, 0x84, 0x01, 11] + Array("orders.shop".utf8)

  /// The whole frames at the start of `bytes`.
  static func frames(_ bytes: [UInt8]) -> [Frame] {
    var found: [Frame] = []
    var at = 0
    while at + 9 <= bytes.count {
      let length = Int(bytes[at]) << 16 | Int(bytes[at + 1]) << 8 | Int(bytes[at + 2])
      guard at + 9 + length <= bytes.count else { break }
      let stream = bytes[(at + 5)..<(at + 9)].reduce(UInt32(0)) { $0 << 8 | UInt32($1) } & 0x7FFF_FFFF
      let payload = Array(bytes[(at + 9)..<(at + 9 + length)])
      found.append(Frame(type: bytes[at + 3], flags: bytes[at + 4], stream: stream, payload: payload))
      at += 9 + length
    }
    return found
  }
}

extension TestProxy {
  /// Asked for hosts outside the mesh, it answers itself and at once.
  static func answeringItself(_ change: (inout ProxyLimits) -> Void = { _ in }) throws -> TestProxy {
    let proxy = try TestProxy([.outboundProxy], limits: .with(change))
    let egress = EgressPolicy(mode: .registryOnly)
    proxy.apply(ConfigUpdate(workload: WorkloadUpdate(name: "web-0", ports: [], egress: egress)))
    return proxy
  }
}

extension Peer {
  /// For a host outside the mesh.
  static let requestOutside = "GET / HTTP/1.1\r\nHost: outside.example.com\r\n\r\n"
  /// What kernels may hold of a flood in the two socket buffers on the way.
  static let kernelBuffers = 12 << 20

  func isReadable(within milliseconds: Int32) -> Bool {
    var ready = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    return uninterrupted { poll(&ready, 1, milliseconds) } == 1
  }

  /// Sends what `next` makes, over and over, until nothing has been taken for 300 ms or `total` bytes were.
  func floodUntilBlocked(_ total: Int, next: () -> [UInt8]) -> Int {
    // Small, so that the socket takes more as soon as the proxy has read a little.
    var buffer: Int32 = 16 * 1024
    setsockopt(descriptor, SOL_SOCKET, SO_SNDBUF, &buffer, 4)
    var sent = 0
    while sent < total {
      let block = next()
      var at = 0
      while at < block.count {
        var ready = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        guard uninterrupted({ poll(&ready, 1, 300) }) == 1 else { return sent + at }
        let n = block.withUnsafeBytes {
          Glibc.send(descriptor, $0.baseAddress! + at, block.count - at, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT))
        }
        if n > 0 { at += n } else if n < 0, errno != EAGAIN { return sent + at }
      }
      sent += block.count
    }
    return sent
  }
}
