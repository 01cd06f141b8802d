import MeshHTTP
import Testing

/// Each limit of `HTTP2Limits` and of the settings is hit.
@Suite struct HTTP2LimitTests {
  private func server(_ change: (inout HTTP2Limits, inout HTTP2Settings) -> Void = { _, _ in }) -> Peer {
    var limits = HTTP2Limits()
    var settings = HTTP2Settings()
    change(&limits, &settings)
    let server = Peer(.server, settings: settings, limits: limits)
    server.feed(preface + emptySettings + frame(4, 1, 0))
    _ = server.drain()
    return server
  }

  private func many(_ count: Int, _ make: (Int) -> [UInt8]) -> [UInt8] { Array((0..<count).map(make).joined()) }

  @Test("maximumContinuationFrames")
  func continuations() {
    let peer = server()
    peer.feed(frame(1, 1, 1, getBlock) + many(64) { _ in frame(9, 0, 1) })
    #expect(peer.log == ["settings"])
    peer.feed(frame(9, 0, 1))
    #expect(peer.log.last == "failure 11")
    #expect(peer.engine.exceededLimit == .continuationFrames)
  }

  @Test("maximumHeaderBlockBytes")
  func blockBytes() {
    let peer = server { limits, _ in limits.maximumHeaderBlockBytes = 40_000 }
    peer.feed(frame(1, 1, 1, getBlock) + many(3) { _ in frame(9, 0, 1, Array(repeating: 0x82, count: 16384)) })
    #expect(peer.log.last == "failure 11")
    #expect(peer.engine.exceededLimit == .headerBlockBytes)
  }

  @Test("maximumQueuedControlFrames: unread answers to PING")
  func pings() {
    let peer = server()
    let ping = frame(6, 0, 0, Array(repeating: 7, count: 8))
    for _ in 0..<3 {
      peer.feed(many(1000) { _ in ping })
      #expect(peer.drain().count == 17_000)
    }
    peer.feed(many(1001) { _ in ping })
    #expect(peer.log.last == "failure 11")
    #expect(peer.engine.exceededLimit == .queuedControlFrames)
  }

  @Test("maximumEmptyFrames")
  func empty() {
    let peer = server()
    peer.feed(frame(1, 4, 1, postBlock) + many(16) { _ in frame(0, 0, 1) } + frame(0, 0, 1, [1]))
    peer.feed(many(16) { _ in frame(0, 0, 1) })
    #expect(peer.log.count == 2)
    peer.feed(frame(0, 0, 1))
    #expect(peer.log.last == "failure 11")
    #expect(peer.engine.exceededLimit == .emptyFrames)
  }

  @Test("maximumResetStreams: rapid reset")
  func rapidReset() {
    let peer = server()
    peer.feed(many(201) { frame(1, 5, UInt32($0 * 2 + 1), getBlock) + frame(3, 0, UInt32($0 * 2 + 1), word(8)) })
    #expect(peer.log.last == "failure 11")
    #expect(peer.engine.exceededLimit == .resetStreams)
    #expect(peer.log.filter { $0.hasPrefix("reset") }.count == 200)
  }

  @Test("maximumResetStreams: faults that make us reset count as well")
  func madeYouReset() {
    let peer = server()
    let fault = { (n: Int) in frame(1, 5, UInt32(n * 2 + 1), getBlock) + frame(8, 0, UInt32(n * 2 + 1), word(0)) }
    peer.feed(many(200, fault))
    #expect(peer.log.last == "reset 399 1 local")
    peer.feed(fault(200))
    #expect(peer.log.last == "failure 11")
    #expect(peer.engine.exceededLimit == .resetStreams)
  }

  @Test("maximumIgnoredFrames: PRIORITY and unknown frames")
  func ignored() {
    let peer = server()
    peer.feed(many(500) { _ in frame(2, 0, 1, word(0) + [0]) + frame(0x55, 0, 0) })
    #expect(peer.log == ["settings"])
    peer.feed(frame(0x55, 0, 0))
    #expect(peer.log.last == "failure 11")
    #expect(peer.engine.exceededLimit == .ignoredFrames)
  }

  @Test("maximumWindowUpdates")
  func windowUpdates() {
    let peer = server()
    peer.feed(many(1000) { _ in frame(8, 0, 0, word(1)) })
    #expect(peer.log == ["settings"])
    peer.feed(frame(8, 0, 0, word(1)))
    #expect(peer.log.last == "failure 11")
    #expect(peer.engine.exceededLimit == .windowUpdates)
  }

  @Test("maximumFields: cookie crumbs count one by one, and the tables stay in step")
  func crumbs() {
    let peer = server()
    let indexed = hex("40 01 61 01 62")
    peer.feed(frame(1, 5, 1, getBlock + many(100) { literal("cookie", "a\($0)") } + indexed))
    #expect(peer.log.last == "reset 1 11 local")
    #expect(peer.engine.exceededLimit == .fields)
    peer.feed(frame(1, 5, 3, getBlock + [0xBE]))
    #expect(peer.log.last == "head 3 get /|a: b end")
  }

  @Test("maximumHeaderListSize counts decoded sizes: a table entry repeated is no way around it")
  func bomb() {
    let peer = server()
    let entry = [0x40, 1, 0x61, 0x7F, 0xE1, 0x0E] + Array(repeating: UInt8(0x62), count: 2016)
    peer.feed(frame(1, 5, 1, getBlock + entry + Array(repeating: 0xBE, count: 40)))
    #expect(peer.log.last == "reset 1 11 local")
    #expect(peer.engine.exceededLimit == .headerListBytes)
  }

  @Test("maximumConcurrentStreams: the next one is refused and may be repeated")
  func concurrency() {
    let peer = server { _, settings in settings.maximumConcurrentStreams = 2 }
    peer.feed(many(3) { frame(1, 5, UInt32($0 * 2 + 1), getBlock) })
    #expect(peer.log == ["settings", "head 1 get / end", "head 3 get / end", "reset 5 7 local"])
    #expect(peer.engine.exceededLimit == .concurrentStreams)
    #expect(peer.drain() == frame(3, 0, 5, word(7)))
    #expect(peer.engine.activeStreamCount == 2)
  }

  @Test("a stream window that is exceeded resets the stream, a connection window ends the connection")
  func windows() {
    let peer = server { _, settings in settings.initialWindowSize = 10 }
    peer.isConsuming = false
    peer.feed(frame(1, 4, 1, postBlock) + frame(0, 0, 1, Array(repeating: 1, count: 11)))
    #expect(peer.log.last == "reset 1 3 local")
    var settings = HTTP2Settings()
    settings.maximumFrameSize = 1 << 20
    let small = Peer(.server, settings: settings, connectionWindow: 65535)
    small.feed(preface + emptySettings + frame(1, 4, 1, postBlock))
    small.feed(frame(0, 0, 1, Array(repeating: 1, count: 65536)))
    #expect(small.log.last == "failure 3")
  }

  @Test("bytes that the owner holds back stop their stream, not the connection")
  func heldBack() {
    let peer = server { _, settings in settings.initialWindowSize = 65535 }
    peer.isConsuming = false
    let full = many(4) { frame(0, 0, 1, Array(repeating: 1, count: $0 < 3 ? 16384 : 16383)) }
    for stream in stride(from: UInt32(1), through: 599, by: 2) {
      var body = full
      for at in [0, 16393, 32786, 49179] { body.replaceSubrange(at + 5..<at + 9, with: word(stream)) }
      peer.feed(frame(1, 4, stream, postBlock) + body)
    }
    // 300 streams have each filled their window: more than the connection's 16 MiB in all.
    #expect(peer.received.values.reduce(0) { $0 + $1.count } == 300 * 65535)
    peer.feed(frame(0, 0, 1, [1]))
    #expect(peer.log.last == "reset 1 3 local")
  }
}
