import MeshCore
import MeshHTTP
import MeshPolicy
import MeshRuntime
import Testing

@testable import MeshProxy

@Suite("Clients that mean harm, and heavy ones that do not")
struct AbuseTests {
  // MARK: - Fairness within a turn

  @Test("more requests than a turn's share are all answered, in order, also when the client has half-closed")
  func turnShare() throws {
    let proxy = try TestProxy.answeringItself { $0.maximumRequestsPerTurn = 3 }
    let client = try proxy.connect()
    try client.send(String(repeating: Peer.requestOutside, count: 200))
    client.shutdownWrite()
    for _ in 0..<200 { #expect(try client.message().status == 403) }
    #expect(client.isCut())
    #expect(try proxy.count("limit_hits_total", "turn_share") > 0)
  }

  @Test("more HTTP/2 streams than a turn's share are all answered")
  func turnShareOfStreams() throws {
    let proxy = try TestProxy.answeringItself { $0.maximumRequestsPerTurn = 3 }
    let client = try proxy.connect()
    let requests = (0..<200).flatMap { FramePeer.frame(1, 5, UInt32($0 * 2 + 1), FramePeer.headOutside) }
    try client.send(FramePeer.preface + requests)
    let frames = FramePeer(client)
    for _ in 0..<200 { _ = try frames.frame(ofType: 1) }
    #expect(try proxy.count("limit_hits_total", "turn_share") > 0)
    client.shutdownWrite()
    #expect(try proxy.becomes { $0.downstreamConnectionCount == 0 })
  }

  @Test("no exchange outlives a connection that ended for its resets", arguments: [true, false])
  func resetFlood(isByClient: Bool) throws {
    let proxy = try TestProxy.answeringItself { $0.discoveryTimeout = .seconds(60) }
    let client = try proxy.connect()
    let attack = (0..<201).flatMap { n in
      let stream = UInt32(n * 2 + 1)
      let reset = FramePeer.frame(isByClient ? 3 : 8, 0, stream, [0, 0, 0, 0])
      return FramePeer.frame(1, 5, stream, FramePeer.getOrders) + reset
    }
    try client.send(FramePeer.preface + attack)
    #expect(FramePeer.frames(try client.readToEnd()).last?.type == 7)
    #expect(try proxy.becomes { $0.exchangeCount == 0 && $0.downstreamConnectionCount == 0 })
    #expect(try proxy.count("limit_hits_total", "\"http2_reset_streams\"") == 1)
    #expect(try proxy.count("request_total") == 201)
  }

  // MARK: - Names of limits

  @Test("an HTTP/2 limit is counted by its name, an HTTP/1 limit as well")
  func names() throws {
    let backend = Backend.named("b")
    let proxy = try TestProxy.forwarding(to: backend)
    let flood = try proxy.connect()
    try flood.send(FramePeer.preface + (0..<1_100).flatMap { _ in FramePeer.frame(2, 0, 1, [0, 0, 0, 0, 0]) })
    let frames = FramePeer.frames(try flood.readToEnd())
    #expect(frames.last?.type == 7)
    #expect(frames.last?.payload.suffix(4) == [0, 0, 0, 11])
    #expect(try proxy.count("limit_hits_total", "\"http2_ignored_frames\"") == 1)
    let long = try proxy.connect()
    try long.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in 0..<40 {
      guard (try? long.send("1;" + String(repeating: "x", count: 500) + "\r\na\r\n")) != nil else { break }
    }
    #expect(try proxy.becomes { $0.exchangeCount == 0 })
    #expect(try proxy.count("limit_hits_total", "\"http1_chunk_extension_bytes\"") == 1)
    #expect(try proxy.count("protocol_errors_total", "http2_connection_error") == 0)
  }

  // MARK: - Honest heavy use

  @Test("a busy client: 3,000 streams one after the other, every fifth given up")
  func busyClient() throws {
    let backend = Backend.named("b")
    let proxy = try TestProxy.forwarding(to: backend)
    let client = try HTTP2Peer(try proxy.connect())
    for number in 0..<3_000 {
      let stream = try client.request(.get, "/")
      if number % 5 == 0 {
        client.engine.sendReset(stream, .cancel)
        try client.flush()
      } else {
        #expect(try client.finish(stream).status == 200)
      }
    }
    #expect(try proxy.count("limit_hits_total") == 0)
    #expect(try proxy.becomes { $0.exchangeCount == 0 })
  }
}
