import MeshCore
import MeshRuntime
import Testing

@testable import MeshProxy

/// Memory stays flat when one side does not keep up: the other side is stopped, not buffered.
@Suite("Backpressure", .serialized)
struct BackpressureTests {
  private static let total = 64 << 20
  /// What kernels may hold in the four socket buffers on the way, and what the proxy may.
  private static let buffers = (6 + 6 + 4 + 4) << 20

  @Test("a client that does not read stops a large answer, and gets all of it when it reads")
  func slowReader() throws {
    let stuck = Promise<Int>()
    let go = Signal()
    let backend = Backend { peer, _ in
      _ = try peer.message()
      try peer.send("HTTP/1.1 200 OK\r\nContent-Length: \(Self.total)\r\n\r\n")
      let sent = peer.sendUntilBlocked(Self.total)
      stuck.put(sent)
      go.wait()
      try peer.send([UInt8](repeating: 0x61, count: Self.total - sent))
      _ = peer.isCut()
    }
    let proxy = try TestProxy.forwarding(to: backend)
    let client = try proxy.connect(receiveBuffer: 64 * 1024)
    try client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    #expect(try stuck.get() < Self.buffers)
    let held = try proxy.onLoop { $0.bytesHeld }
    #expect(held < 1 << 20)
    go.raise()
    _ = try client.readThrough("\r\n\r\n")
    var received = 0
    while received < Self.total {
      let bytes = try client.receive()
      if bytes.isEmpty { break }
      received += bytes.count
    }
    #expect(received == Self.total)
    #expect(try proxy.becomes { $0.exchangeCount == 0 })
  }

  @Test("an application that does not read stops a large upload, and gets all of it when it reads")
  func slowUpstream() throws {
    let go = Signal()
    let backend = Backend(receiveBuffer: 64 * 1024) { peer, _ in
      _ = try peer.readThrough("\r\n\r\n")
      go.wait()
      var received = 0
      while received < Self.total {
        let bytes = try peer.receive()
        if bytes.isEmpty { return }
        received += bytes.count
      }
      try peer.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone")
    }
    let proxy = try TestProxy.forwarding(to: backend)
    let client = try proxy.connect()
    try client.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: \(Self.total)\r\n\r\n")
    let sent = client.sendUntilBlocked(Self.total)
    #expect(sent < Self.buffers)
    #expect(try proxy.onLoop { $0.bytesHeld } < 1 << 20)
    go.raise()
    try client.send([UInt8](repeating: 0x61, count: Self.total - sent))
    #expect(try client.message().text == "done")
  }

  @Test("an answer that ends with the upstream's close is complete for a client that reads late")
  func closeDelimitedAndSlow() throws {
    let count = 2 << 20
    let sent = Signal()
    let backend = Backend { peer, _ in
      _ = try peer.message()
      try peer.send("HTTP/1.1 200 OK\r\n\r\n")
      _ = peer.sendUntilBlocked(count)
      sent.raise()
    }
    let proxy = try TestProxy.forwarding(to: backend)
    let client = try proxy.connect(receiveBuffer: 16 * 1024)
    try client.send("GET / HTTP/1.0\r\nHost: h\r\n\r\n")
    #expect(sent.wait())
    _ = try client.readThrough("\r\n\r\n")
    #expect(try client.readToEnd().count > 100_000)
  }

  @Test("an upload whose client has closed its sending side is delivered whole to a slow application")
  func halfClosedUpload() throws {
    let count = 8 << 20
    let go = Signal()
    let backend = Backend(receiveBuffer: 16 * 1024) { peer, _ in
      _ = try peer.readThrough("\r\n\r\n")
      go.wait()
      let body = try peer.read(count)
      try peer.send("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n\(body.last == 0x62 ? "b" : "?")")
    }
    let proxy = try TestProxy.forwarding(to: backend)
    let client = try proxy.connect()
    try client.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: \(count)\r\n\r\n")
    let sent = client.sendUntilBlocked(count, quietMilliseconds: 50)
    go.raise()
    try client.send([UInt8](repeating: 0x62, count: count - sent))
    client.shutdownWrite()
    #expect(try client.message().text == "b" || sent == count)
  }
}

extension ProxyWorker {
  /// What this worker has read and not yet written: the bytes it keeps for slow peers.
  var bytesHeld: Int { Int(loop.counters.bytesRead) - Int(loop.counters.bytesWritten) }
}
