import MeshCore
import MeshHTTP
import MeshPolicy
import MeshRuntime
import Synchronization
import Testing

@testable import MeshProxy

/// The proxy's own answers arrive whole, however slow their reader is.
@Suite("Answers of the proxy's own")
struct LocalReplyTests {
  @Test("a client that gives no window gets the head at once and the text when it gives one")
  func noWindow() throws {
    let proxy = try TestProxy.serving([])
    let client = FramePeer(try proxy.connect())
    try client.peer.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    try client.send(FramePeer.settings((4, 0)))
    while try client.frame(ofType: 4).flags != 1 {}
    try client.send(
      FramePeer.headers(
        1, end: true, (":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "orders.shop")))
    #expect(try client.frame(ofType: 1).flags & 1 == 0)
    #expect(try proxy.becomes { $0.exchangeCount == 1 })
    try client.send(FramePeer.windowUpdate(1, 10))
    let first = try client.nextFrame()
    #expect(first.type == 0)
    #expect(first.payload.count == 10)
    try client.send(FramePeer.windowUpdate(1, 1_000))
    let rest = try client.nextFrame()
    #expect(rest.type == 0)
    #expect(rest.flags & 1 == 1)
    let text = String(decoding: first.payload + rest.payload, as: UTF8.self)
    #expect(text == "no endpoint: the service has no ready workload\n")
    #expect(try proxy.becomes { $0.exchangeCount == 0 })
    #expect(try proxy.count("response_total", "status_code=\"503\"", "response_flag=\"UH\"") == 1)
  }

  @Test("answers to a client that does not read wait for it and arrive whole, each of them")
  func congested() throws {
    // More than a kernel buffers for one connection.
    let size = 24 << 20
    let backend = Backend { peer, _ in
      _ = try peer.message()
      try peer.send("HTTP/1.1 200 OK\r\nContent-Length: \(size)\r\n\r\n")
      try peer.send([UInt8](repeating: 0x61, count: size))
    }
    let rules: [RouteRule] = [.toOrders(matches: [RouteMatch(path: .exact("/big"))])]
    let proxy = try TestProxy.serving([backend.address], rules: rules)
    var settings = HTTP2Settings()
    settings.initialWindowSize = 32 << 20
    let client = try HTTP2Peer(
      try proxy.connect(receiveBuffer: 4_096), settings: settings, connectionWindow: 64 << 20)
    while !client.engine.peerEnablesConnectProtocol { try client.step() }
    let big = try client.request(.get, "/big")
    // Nobody reads: the kernel's buffers fill, then the output, then the proxy stops reading.
    try Self.waitUntilStuck(proxy)
    // Together more than the output takes.
    let streams = try (0..<900).map { try client.request(.get, "/none/\($0)") }
    #expect(try proxy.becomes { $0.exchangeCount > 1 })
    for stream in streams {
      let answer = try client.finish(stream)
      #expect(answer.status == 404)
      #expect(answer.reset == nil)
      #expect("\(answer.body.count)" == answer.head.value("content-length"))
    }
    #expect(try client.finish(big).body.count == size)
    #expect(try proxy.becomes { $0.exchangeCount == 0 })
  }

  /// Until nothing was read for twenty looks in a row.
  private static func waitUntilStuck(_ proxy: TestProxy) throws {
    let seen = Mutex((bytes: UInt64(0), looks: 0))
    let isStuck = try proxy.becomes { worker in
      seen.withLock { seen in
        let bytes = worker.loop.counters.bytesRead
        seen = bytes == seen.bytes ? (bytes, seen.looks + 1) : (bytes, 0)
        return bytes > 0 && seen.looks == 20
      }
    }
    #expect(isStuck)
  }

  @Test("an upload that meets an answer of the proxy's own is taken and dropped, and its window comes back")
  func uploadToNobody() throws {
    let proxy = try TestProxy.serving([])
    let client = try HTTP2Peer(try proxy.connect())
    // Together they are more than the connection's window.
    for _ in 0..<24 {
      let stream = try client.request(.post, "/", endStream: false)
      [UInt8](repeating: 1, count: 1_000_000).withUnsafeBytes {
        _ = client.engine.sendData($0, on: stream, endStream: false)
      }
      try client.flush()
      let answer = try client.finish(stream)
      #expect(answer.status == 503)
      #expect(answer.isEnded)
    }
    #expect(try proxy.becomes { $0.exchangeCount == 0 })
  }
}
