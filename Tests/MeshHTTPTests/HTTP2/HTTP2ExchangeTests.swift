import MeshCore
import MeshHTTP
import Testing

@Suite struct HTTP2ExchangeTests {
  static let vector: [UInt8] =
    preface + frame(4, 0, 0, [0, 4, 0, 1, 0, 0]) + frame(4, 1, 0) + frame(1, 4, 1, postBlock)
    + frame(0, 8, 1, [3, 1, 2, 3, 4, 0, 0, 0]) + frame(6, 0, 0, [1, 2, 3, 4, 5, 6, 7, 8])
    + frame(2, 0, 9, word(1) + [9])
    + frame(1, 0x29, 3, [2] + word(1) + [5] + getBlock + [0, 0]) + frame(9, 0, 3, literal("cookie", "a=b"))
    + frame(9, 4, 3, literal("x", "y") + literal("cookie", "c=d")) + frame(0xAA, 0, 0, [1, 2]) + frame(0, 0, 1, [5, 6])
    + frame(8, 0, 1, word(100)) + frame(1, 5, 1, literal("t", "v")) + frame(3, 0, 3, word(8))
    + frame(7, 0, 0, word(0) + word(0))

  @Test("a conversation gives the same events split at every byte, and byte by byte")
  func splits() {
    let whole = Peer(.server)
    whole.feed(Self.vector)
    let expected = [
      "settings", "head 1 post /", "head 3 get /|x: y|cookie: a=b; c=d end", "trailers 1 get |t: v", "reset 3 8",
      "goaway 0 0",
    ]
    #expect(whole.log == expected)
    #expect(whole.received[1] == [1, 2, 3, 4, 5, 6])
    let output = whole.drain()
    for split in 1..<Self.vector.count {
      let peer = Peer(.server)
      peer.feed(Array(Self.vector[..<split]))
      peer.feed(Array(Self.vector[split...]))
      #expect(peer.log == expected && peer.received == whole.received && peer.drain() == output, "split at \(split)")
    }
    let slow = Peer(.server)
    for byte in Self.vector { slow.feed([byte]) }
    #expect(slow.log == expected && slow.received == whole.received && slow.drain() == output)
  }

  @Test("request, informational and final response, body and trailers travel both ways")
  func exchange() throws {
    let (client, server) = (Peer(.client), Peer(.server))
    settle(client, server)
    let id = try #require(client.engine.openStream())
    client.engine.sendHead(
      head([":method: POST", ":path: /a", "Host: shop", "X-Upper: 1", "Connection: close", "TE: trailers"]), on: id,
      endStream: false)
    client.engine.sendData(UnsafeRawBufferPointer(start: nil, count: 0), on: id, endStream: true)
    settle(client, server)
    #expect(server.log == ["settings", "head 1 post /a|x-upper: 1|te: trailers", "end 1 after 0"])
    server.engine.sendHead(head([":status: 103", "link: x"]), on: id, endStream: false)
    server.engine.sendHead(okHead, on: id, endStream: false)
    server.engine.sendTrailers(head(["grpc-status: 0"]), on: id)
    settle(client, server)
    #expect(
      client.log == [
        "settings", "informational 1 103|link: x", "head 1 200|content-type: text/plain",
        "trailers 1 get |grpc-status: 0",
      ])
    #expect(client.engine.activeStreamCount == 0 && server.engine.activeStreamCount == 0)
  }

  @Test("bodies larger than every window arrive whole, and a reader that does not consume stops the writer")
  func backpressure() throws {
    var settings = HTTP2Settings()
    settings.initialWindowSize = 100_000
    let (client, server) = (Peer(.client), Peer(.server, settings: settings, connectionWindow: 150_000))
    client.engine.outputHighWatermark = 40_000
    settle(client, server)
    server.isConsuming = false
    let body = (0..<1_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
    var sent: [UInt32: Int] = [:]
    let ids = try (0..<3).map { _ in
      let id = try #require(client.engine.openStream())
      client.engine.sendHead(postHead, on: id, endStream: false)
      return id
    }
    let push: (HTTP2StreamID) -> Void = { id in
      body.withUnsafeBytes { bytes in
        let at = sent[id.rawValue, default: 0]
        sent[id.rawValue] = at + client.engine.sendData(.init(rebasing: bytes[at...]), on: id, endStream: true)
      }
    }
    client.onEvent = { _, event in if case .writable(let id) = event { push(id) } }
    ids.forEach(push)
    settle(client, server)
    // Each stream stops at its own window; the connection's is not held back for them.
    #expect(server.received.values.map(\.count).reduce(0, +) == 300_000)
    server.isConsuming = true
    for (id, bytes) in server.received { server.engine.consumed(bytes.count, on: HTTP2StreamID(rawValue: id)) }
    settle(client, server)
    #expect(server.ended == [1, 3, 5])
    #expect(server.received.values.allSatisfy { $0 == body })
  }

  @Test("a response to HEAD may carry Content-Length without a body, others may not")
  func headResponse() throws {
    for (method, expected) in [("HEAD", "head 1 200|content-length: 5 end"), ("GET", "reset 1 1 local")] {
      let (client, server) = (Peer(.client), Peer(.server))
      settle(client, server)
      let id = try #require(client.engine.openStream())
      client.engine.sendHead(head([":method: \(method)", ":path: /"]), on: id, endStream: true)
      settle(client, server)
      server.engine.sendHead(head([":status: 200", "content-length: 5"]), on: id, endStream: true)
      settle(client, server)
      #expect(client.log.last == expected)
    }
  }

  @Test("a graceful shutdown lets open streams finish, refuses later ones and resets what was left out")
  func goAway() throws {
    let (client, server) = (Peer(.client), Peer(.server))
    settle(client, server)
    let first = try #require(client.engine.openStream())
    client.engine.sendHead(getHead, on: first, endStream: true)
    settle(client, server)
    server.engine.sendGoAway(.noError, lastAccepted: .maximum)
    let second = try #require(client.engine.openStream())
    client.engine.sendHead(getHead, on: second, endStream: true)
    server.engine.sendGoAway(.noError)
    settle(client, server)
    #expect(client.engine.openStream() == nil)
    #expect(client.log.suffix(3) == ["goaway 2147483647 0", "goaway 1 0", "reset 3 7 local"])
    #expect(server.log == ["settings", "head 1 get /a end"])
    server.engine.sendHead(okHead, on: first, endStream: true)
    settle(client, server)
    #expect(client.log.last == "head 1 200|content-type: text/plain end")
  }

  @Test("a head larger than a frame is split into CONTINUATION frames")
  func continuation() throws {
    let (client, server) = (Peer(.client), Peer(.server))
    settle(client, server)
    let id = try #require(client.engine.openStream())
    let long = String(repeating: "~", count: 40_000)
    client.engine.sendHead(head([":method: GET", ":path: /", "x-long: \(long)"]), on: id, endStream: true)
    settle(client, server)
    #expect(server.log.last == "head 1 get /|x-long: \(long) end")
  }

  @Test("a lowered initial window makes stream windows negative, and they recover")
  func negativeWindow() throws {
    let client = Peer(.client)
    client.feed(frame(4, 0, 0, [0, 4, 0, 0, 0, 100]))
    let id = try #require(client.engine.openStream())
    client.engine.sendHead(postHead, on: id, endStream: false)
    let body = [UInt8](repeating: 1, count: 150)
    #expect(body.withUnsafeBytes { client.engine.sendData($0, on: id, endStream: true) } == 100)
    client.feed(frame(4, 0, 0, [0, 4, 0, 0, 0, 40]) + frame(8, 0, 1, word(60)))
    #expect(client.log.last == "settings")
    client.feed(frame(8, 0, 1, word(1)))
    #expect(client.log.last == "writable 1")
    #expect(body[100...].withUnsafeBytes { client.engine.sendData($0, on: id, endStream: true) } == 1)
  }

  @Test("a context stays reachable until the call after the end, and goes then")
  func contexts() {
    final class Mark {}
    let peer = Peer(.server)
    weak var weakMark: Mark?
    do {
      let mark = Mark()
      weakMark = mark
      peer.feed(preface + emptySettings + frame(1, 5, 1, getBlock))
      peer.engine.setContext(mark, for: HTTP2StreamID(rawValue: 1))
    }
    peer.engine.sendHead(okHead, on: HTTP2StreamID(rawValue: 1), endStream: true)
    #expect(peer.engine.context(of: HTTP2StreamID(rawValue: 1)) === weakMark)
    #expect(weakMark != nil)
    peer.run()
    #expect(weakMark == nil)
  }
}
