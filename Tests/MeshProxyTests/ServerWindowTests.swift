import MeshCore
import MeshHTTP
import MeshPolicy
import MeshRuntime
import Testing

@testable import MeshProxy

/// What an HTTP/2 server may do with windows, limits and resets while requests are under way, and what it costs nobody.
@Suite("HTTP/2 servers and their windows")
struct ServerWindowTests {
  typealias F = FramePeer

  private static func proxy(_ backend: Backend, limits: ProxyLimits = ProxyLimits()) throws -> TestProxy {
    try TestProxy.serving([backend.address], limits: limits, appProtocol: .http2)
  }

  private static let smallWindow: HTTP2Settings = {
    var settings = HTTP2Settings()
    settings.initialWindowSize = 65_535
    return settings
  }()

  /// Reads DATA of one stream until `count` bytes are there.
  private static func body(_ server: FramePeer, _ count: Int) throws -> Int {
    var received = 0
    while received < count { received += try server.frame(ofType: 0).payload.count }
    return received
  }

  @Test("an initial window that shrinks below zero stops an upload until it is paid back")
  func negativeWindow() throws {
    let backend = Backend { peer, _ in
      let server = FramePeer(peer)
      try server.send(F.settings((4, 1_000)))
      try server.readPreface()
      let id = try server.request().stream
      #expect(try Self.body(server, 1_000) == 1_000)
      // The stream's window is 0; now it is -900, and then 100.
      try server.send(F.settings((4, 100)), F.windowUpdate(id, 900), F.frame(6, 0, 0, [UInt8](repeating: 1, count: 8)))
      #expect(try server.nextFrame().type == 4)
      #expect(try server.nextFrame().type == 6, "DATA although the window is 0")
      try server.send(F.windowUpdate(id, 100))
      #expect(try Self.body(server, 100) == 100)
      try server.send(F.settings((4, 10_000)))
      #expect(try Self.body(server, 3_900) == 3_900)
      try server.send(F.headers(id, end: true, (":status", "200")))
      while !peer.isCut() {}
    }
    let proxy = try Self.proxy(backend)
    let client = try proxy.connect()
    // The first part goes when the server's SETTINGS are there: a first request may go by the initial window.
    try client.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5000\r\n\r\n")
    #expect(try proxy.becomes { $0.loop.counters.bytesRead > 60 })
    try client.send([UInt8](repeating: 0x61, count: 5_000))
    #expect(try client.message().status == 200)
  }

  @Test("a request waits while the server takes no streams, and goes when it does")
  func noStreams() throws {
    let refused = Signal()
    let backend = Backend { peer, number in
      let server = FramePeer(peer)
      try server.send(F.settings((3, 0)))
      try server.readPreface()
      // The first request of a connection may go before its SETTINGS have come.
      try server.send(F.reset(try server.request().stream, 7))
      if number == 1 { refused.raise() }
      if number == 0, refused.wait() {
        try server.send(F.settings((3, 1)))
        try server.send(F.headers(try server.request().stream, end: true, (":status", "204")))
      }
      while !peer.isCut() {}
    }
    let proxy = try Self.proxy(backend, limits: .with { $0.maximumPeerConnections = 2 })
    #expect(try proxy.connect().exchange("GET / HTTP/1.1\r\nHost: h\r\n\r\n").status == 204)
    #expect(backend.connections == 2)
  }

  @Test("more streams than the server allows wait their turn; one that is given up makes room at once")
  func oneStream() throws {
    let (first, second) = (Signal(), Signal())
    let backend = Backend { peer, _ in
      let server = FramePeer(peer)
      try server.send(F.settings((3, 1)))
      try server.readPreface()
      let warm = try server.request()
      try server.send(F.headers(warm.stream, end: true, (":status", "200")))
      _ = try server.request()
      first.raise()
      let next = try server.request()
      #expect(next.path == "/second")
      try server.send(F.headers(next.stream, end: true, (":status", "204")))
      second.raise()
      while !peer.isCut() {}
    }
    let proxy = try Self.proxy(backend, limits: .with { $0.maximumPeerConnections = 1 })
    #expect(try proxy.connect().exchange("GET / HTTP/1.1\r\nHost: h\r\n\r\n").status == 200)
    let (one, two) = (try proxy.connect(), try proxy.connect())
    try one.send("GET /first HTTP/1.1\r\nHost: h\r\n\r\n")
    #expect(first.wait())
    try two.send("GET /second HTTP/1.1\r\nHost: h\r\n\r\n")
    #expect(try proxy.becomes { $0.exchangeCount == 2 })
    one.reset()
    #expect(try two.message().status == 204)
    #expect(second.wait())
    #expect(backend.connections == 1)
  }

  @Test("a server without a compression table is sent none")
  func noTable() throws {
    let backend = Backend { peer, _ in
      var settings = HTTP2Settings()
      settings.headerTableSize = 0
      let server = try HTTP2Peer(peer, role: .server, settings: settings)
      var last: UInt32 = 0
      while true {
        let stream = try server.nextRequest(after: last)
        last = stream.rawValue
        server.engine.sendHead(
          HTTP2Peer.answer(200, [("x-path", server.stream(stream).path)]), on: stream, endStream: true)
        try server.flush()
      }
    }
    let proxy = try Self.proxy(backend)
    for path in ["/a", "/b", "/b"] {
      let answer = try proxy.connect().exchange("GET \(path) HTTP/1.1\r\nHost: h\r\nX-Long: value\r\n\r\n")
      #expect(answer.value("x-path") == path)
    }
    #expect(backend.connections == 1)
  }

  @Test("bytes of answers that broke off go back to the connection's window")
  func creditOfBrokenAnswers() throws {
    let size = 900_000
    let backend = Backend { peer, _ in
      let server = try HTTP2Peer(peer, role: .server)
      var last: UInt32 = 0
      while true {
        let stream = try server.nextRequest(after: last)
        last = stream.rawValue
        server.engine.sendHead(HTTP2Peer.answer(200), on: stream, endStream: false)
        let isLast = server.stream(stream).path == "/last"
        try server.send([UInt8](repeating: 0x61, count: size), on: stream, endStream: isLast)
        if !isLast { server.engine.sendReset(stream, .internalError) }
        try server.flush()
      }
    }
    let proxy = try Self.proxy(backend)
    // Together they are more than the connection's window.
    for i in 0..<24 {
      let client = try HTTP2Peer(try proxy.connect())
      client.givesCredit = i % 2 == 0
      let answer = try client.finish(client.request(.get, "/"))
      #expect(answer.reset == .internalError)
    }
    let client = try HTTP2Peer(try proxy.connect())
    #expect(try client.finish(client.request(.get, "/last")).body.count == size)
    #expect(backend.connections == 1)
    #expect(try proxy.becomes { $0.exchangeCount == 0 })
  }

  @Test("a server that sends past the stream's window loses the stream, not its other streams")
  func overflow() throws {
    let backend = Backend { peer, _ in
      let server = FramePeer(peer)
      try server.send(F.settings())
      try server.readPreface()
      let id = try server.request().stream
      let other = try server.request().stream
      try server.send(F.headers(id, (":status", "200")))
      for _ in 0..<65 { try server.send(F.frame(0, 0, id, [UInt8](repeating: 0x61, count: 16_384))) }
      #expect(try server.frame(ofType: 3).payload == F.word(3))
      try server.send(F.headers(other, end: true, (":status", "204")))
      while !peer.isCut() {}
    }
    let proxy = try Self.proxy(backend)
    let client = try HTTP2Peer(try proxy.connect(), settings: Self.smallWindow)
    client.givesCredit = false
    let streams = (try client.request(.get, "/"), try client.request(.get, "/other"))
    #expect(try client.finish(streams.1).status == 204)
    #expect(try client.finish(streams.0).reset == .internalError)
    #expect(try proxy.count("response_total", "response_flag=\"UPE\"") == 1)
    #expect(try proxy.count("protocol_errors_total", "http2_stream_error") == 1)
  }

  // MARK: - An answer before the request's end

  @Test("a whole answer and NO_ERROR while the client still uploads is delivered whole (RFC 9113, section 8.1)")
  func earlyAnswer() throws {
    // What one window takes.
    let size = (1 << 18) - 10
    let backend = Backend { peer, _ in
      let server = FramePeer(peer)
      try server.send(F.settings())
      try server.readPreface()
      while true {
        let id = try server.request().stream
        try server.send(F.headers(id, (":status", "413")))
        for at in stride(from: 0, to: size, by: 16_384) {
          let count = min(16_384, size - at)
          try server.send(F.frame(0, at + count == size ? 1 : 0, id, [UInt8](repeating: 0x62, count: count)))
        }
        try server.send(F.reset(id, 0))
      }
    }
    let proxy = try Self.proxy(backend)
    // A client that takes nothing at first: the reset overtakes the answer's end.
    let slow = try HTTP2Peer(try proxy.connect(), settings: Self.smallWindow)
    slow.givesCredit = false
    let stream = try slow.request(.post, "/", endStream: false)
    while slow.stream(stream).body.count < 65_535 { try slow.step() }
    #expect(try proxy.becomes { $0.loop.counters.bytesRead > UInt64(size) })
    slow.givesCredit = true
    slow.engine.consumed(slow.stream(stream).body.count, on: stream)
    try slow.flush()
    let answer = try slow.finish(stream)
    #expect(answer.status == 413)
    #expect(answer.body.count == size)
    #expect(answer.isEnded)
    let quick = try proxy.connect()
    let whole = try quick.exchange("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9000000\r\n\r\nstart")
    #expect(whole.status == 413)
    #expect(whole.body.count == size)
    #expect(try proxy.count("response_total", "status_code=\"413\"", "response_flag=\"-\"") == 2)
    #expect(try proxy.becomes { $0.exchangeCount == 0 })
  }

  @Test("a fault of one connection leaves the streams of others alone")
  func otherConnections() throws {
    let go = Signal()
    let healthy = Backend { peer, _ in
      let server = FramePeer(peer)
      try server.send(F.settings())
      try server.readPreface()
      let id = try server.request().stream
      go.wait()
      try server.send(F.headers(id, end: true, (":status", "204")))
      while !peer.isCut() {}
    }
    let faulty = Backend { peer, _ in
      let server = FramePeer(peer)
      try server.send(F.settings())
      try server.readPreface()
      _ = try server.request()
      try server.send(F.frame(1, 5, 1, [0x80]))
      go.raise()
      while !peer.isCut() {}
    }
    let proxy = try TestProxy.serving([healthy.address, faulty.address], appProtocol: .http2)
    let client = try HTTP2Peer(try proxy.connect())
    var statuses: [Int] = []
    let streams = try (0..<2).map { _ in try client.request(.get, "/") }
    for stream in streams { statuses.append(try client.finish(stream).status) }
    #expect(statuses.sorted() == [204, 502])
  }
}
