import MeshCore
import MeshHTTP
import Testing

/// Attacks that count over time or hide in what honest peers do as well: N are borne, one more is not.
@Suite struct HTTP2AbuseTests {
  private func server(_ limits: HTTP2Limits = .init()) -> Peer {
    let server = Peer(.server, limits: limits)
    server.feed(preface + emptySettings + frame(4, 1, 0))
    _ = server.drain()
    return server
  }

  private func many(_ count: Int, _ make: (Int) -> [UInt8]) -> [UInt8] { Array((0..<count).map(make).joined()) }
  private func get(_ n: Int) -> [UInt8] { frame(1, 5, UInt32(n * 2 + 1), getBlock) }
  private func cancel(_ n: Int) -> [UInt8] { frame(3, 0, UInt32(n * 2 + 1), word(8)) }
  private func seconds(_ n: UInt64) -> Instant { Instant(nanoseconds: n * 1_000_000_000) }

  @Test("rapid reset is forgiven by the second: 100 more are borne after one, not 101")
  func rapidResetOverTime() {
    let peer = server()
    peer.engine.now = seconds(1)
    peer.feed(many(200) { get($0) + cancel($0) })
    peer.engine.now = seconds(2)
    peer.feed(many(100) { get(200 + $0) + cancel(200 + $0) })
    #expect(peer.log.last == "reset 599 8")
    peer.feed(get(300) + cancel(300))
    #expect(peer.log.last == "failure 11")
    #expect(peer.engine.exceededLimit == .resetStreams)
  }

  @Test("a stream whose answer has begun may be cut by the client any number of times")
  func answeredStreams() {
    let peer = server()
    peer.onEvent = { peer, event in
      if case .head(let id, _) = event { peer.engine.sendHead(okHead, on: id, endStream: false) }
    }
    for n in 0..<5_000 {
      peer.feed(get(n))
      peer.feed(cancel(n))
      _ = peer.drain()
    }
    #expect(peer.log.last == "reset 9999 8")
  }

  @Test("a client that cancels every fifth stream, for as long as it likes, without a clock's help")
  func honestCancels() {
    let peer = server()
    peer.onEvent = { peer, event in
      guard case .head(let id, _) = event, id.rawValue % 10 != 1 else { return }
      peer.engine.sendHead(okHead, on: id, endStream: true)
    }
    for n in 0..<20_000 {
      peer.feed(get(n) + (n % 5 == 0 ? cancel(n) : []))
      _ = peer.drain()
    }
    #expect(peer.log.filter { $0.hasPrefix("reset") }.count == 4_000)
    #expect(!peer.log.contains { $0.hasPrefix("failure") })
    #expect(peer.engine.activeStreamCount == 0)
  }

  @Test("a hung application: 2,000 clients of a mesh peer give up at once")
  func meshPeerGivesUp() {
    let peer = server(.meshPeer)
    peer.feed(many(2_000) { get($0) + cancel($0) })
    #expect(peer.log.last == "reset 3999 8")
    peer.feed(get(2_000) + cancel(2_000))
    #expect(peer.log.last == "failure 11")
  }

  @Test("maximumTinyDataFrames: a window opened byte by byte")
  func tinyWindows() {
    let peer = server()
    let body = [UInt8](repeating: 1, count: 10_000)
    var sent = 0
    peer.onEvent = { peer, event in
      let id: HTTP2StreamID
      switch event {
      case .head(let stream, _):
        id = stream
        peer.engine.sendHead(okHead, on: id, endStream: false)
      case .writable(let stream): id = stream
      default: return
      }
      sent += body[sent...].withUnsafeBytes { peer.engine.sendData($0, on: id, endStream: true) }
    }
    // SETTINGS_INITIAL_WINDOW_SIZE 1: the first byte.
    peer.feed(frame(4, 0, 0, [0, 4] + word(1)) + get(0))
    for _ in 0..<999 {
      peer.feed(frame(8, 0, 1, word(1)))
      _ = peer.drain()
    }
    #expect(sent == 1_000)
    #expect(peer.log.last == "writable 1")
    peer.feed(frame(8, 0, 1, word(1)))
    #expect(sent == 1_001)
    peer.feed(frame(8, 0, 1, word(1)))
    #expect(peer.log.last == "failure 11")
    #expect(peer.engine.exceededLimit == .tinyDataFrames)
  }

  @Test("gRPC streaming: many small messages, each with its window update, both ways")
  func smallMessages() {
    let peer = server()
    let message = [UInt8](repeating: 7, count: 20)
    let id = HTTP2StreamID(rawValue: 1)
    peer.feed(frame(1, 4, 1, postBlock))
    peer.engine.sendHead(okHead, on: id, endStream: false)
    for _ in 0..<50_000 {
      let taken = message.withUnsafeBytes { peer.engine.sendData($0, on: id, endStream: false) }
      #expect(taken == 20)
      peer.feed(frame(0, 0, 1, message) + frame(8, 0, 1, word(20)) + frame(8, 0, 0, word(20)))
      _ = peer.drain()
    }
    #expect(peer.received[1]?.count == 1_000_000)
    #expect(!peer.log.contains { $0.hasPrefix("failure") })
  }

  @Test("maximumSettingsFrames: 100, and one more each second")
  func settingsFlood() {
    let peer = server()
    let one = frame(4, 0, 0, [0, 4] + word(70_000))
    peer.engine.now = seconds(1)
    for _ in 0..<100 {
      peer.feed(one)
      _ = peer.drain()
    }
    #expect(peer.log.last == "settings")
    peer.engine.now = seconds(2)
    peer.feed(one)
    #expect(peer.log.last == "settings")
    peer.feed(one)
    #expect(peer.log.last == "failure 11")
    #expect(peer.engine.exceededLimit == .settingsFrames)
  }

  @Test("maximumSettingsPerFrame")
  func settingsInOneFrame() {
    let peer = server()
    peer.feed(frame(4, 0, 0, many(32) { [0, 4] + word(UInt32($0)) }))
    #expect(peer.log.last == "settings")
    peer.feed(frame(4, 0, 0, many(33) { [0, 4] + word(UInt32($0)) }))
    #expect(peer.log.last == "failure 11")
    #expect(peer.engine.exceededLimit == .settingsPerFrame)
  }

  @Test("the last of several initial windows in one frame is the one in force")
  func lastWindowCounts() {
    let peer = server()
    peer.feed(get(0))
    peer.feed(frame(4, 0, 0, [0, 4] + word(0) + [0, 4] + word(5)))
    peer.engine.sendHead(okHead, on: HTTP2StreamID(rawValue: 1), endStream: false)
    let taken = [UInt8](repeating: 1, count: 9).withUnsafeBytes {
      peer.engine.sendData($0, on: HTTP2StreamID(rawValue: 1), endStream: true)
    }
    #expect(taken == 5)
  }

  @Test("table size updates: two at the start of a block, not three")
  func tableSizeFlapping() {
    let peer = server()
    let (least, most) = ([UInt8(0x20)], hex("3F E1 1F"))
    for n in 0..<1_000 { peer.feed(frame(1, 5, UInt32(n * 2 + 1), least + most + getBlock)) }
    #expect(peer.log.last == "head 1999 get / end")
    peer.feed(frame(1, 5, 2_001, least + most + least + getBlock))
    #expect(peer.log.last == "failure 9")
    #expect(peer.engine.exceededLimit == .tableSizeUpdates)
  }

  @Test("a field without a name costs its stream; one without a value is a field like others")
  func emptyNames() {
    let peer = server()
    peer.feed(frame(1, 5, 1, getBlock + literal("", "v")))
    #expect(peer.log.last == "reset 1 1 local")
    #expect(peer.engine.exceededLimit == nil)
    peer.feed(frame(1, 5, 3, getBlock + (0..<96).flatMap { literal("n\($0)", "") }))
    #expect(peer.log.last?.hasPrefix("head 3") == true)
    peer.feed(frame(1, 5, 5, getBlock + (0..<97).flatMap { literal("n\($0)", "") }))
    #expect(peer.engine.exceededLimit == .fields)
  }

  @Test("streams above the limit are refused until they are a flood")
  func refusedStreams() {
    var settings = HTTP2Settings()
    settings.maximumConcurrentStreams = 1
    let peer = Peer(.server, settings: settings)
    peer.feed(preface + emptySettings + frame(4, 1, 0) + get(0))
    // 1,000 and 10 for the stream that was opened.
    for n in 0..<1_010 {
      peer.feed(get(n + 1))
      _ = peer.drain()
    }
    #expect(peer.log.last == "reset 2021 7 local")
    peer.feed(get(1_011))
    #expect(peer.engine.exceededLimit == .ignoredFrames)
  }

  @Test("what is half-way is known since when: SETTINGS, a frame, a field block; a DATA payload is not")
  func unfinished() {
    let peer = Peer(.server)
    #expect(peer.engine.unfinishedSince == seconds(0))
    peer.engine.now = seconds(5)
    peer.feed(preface)
    #expect(peer.engine.unfinishedSince == seconds(0))
    peer.feed(emptySettings)
    #expect(peer.engine.unfinishedSince == nil)
    peer.feed(Array(frame(1, 4, 1, postBlock)[..<12]))
    peer.engine.now = seconds(7)
    peer.run()
    #expect(peer.engine.unfinishedSince == seconds(5))
    peer.feed(Array(frame(1, 4, 1, postBlock)[12...]) + frame(0, 0, 1, Array(repeating: 1, count: 100))[..<50])
    #expect(peer.engine.unfinishedSince == nil)
    peer.feed(Array(repeating: 1, count: 59) + frame(1, 0, 3, getBlock))
    peer.engine.now = seconds(9)
    peer.feed(frame(9, 0, 3))
    #expect(peer.engine.unfinishedSince == seconds(7))
    peer.feed(frame(9, 4, 3))
    #expect(peer.engine.unfinishedSince == nil)
  }
}
