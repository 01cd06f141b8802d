import Glibc
import MeshCore
import MeshHTTP
import MeshPolicy
import MeshRuntime
import Testing

@testable import MeshProxy

@Suite("Clients that mean harm, and heavy ones that do not")
struct AbuseTests {
  private static let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8) + frame(4, 0, 0)
  /// HEAD http://outside.example.com/
  private static let headBlock: [UInt8] =
    [0x42, 4] + Array("HEAD".utf8) + [0x86, 0x84, 0x41, 19] + Array("outside.example.com".utf8)
  private static let getBlock: [UInt8] = [0x82, 0x86, 0x84, 0x41, 1, 0x61]

  private static func frame(_ type: UInt8, _ flags: UInt8, _ stream: UInt32, _ payload: [UInt8] = []) -> [UInt8] {
    let n = payload.count
    return [UInt8(n >> 16), UInt8(n >> 8 & 255), UInt8(n & 255), type, flags]
      + (0..<4).map { UInt8(truncatingIfNeeded: stream >> (24 - 8 * $0)) } + payload
  }

  private static func limits(_ change: (inout ProxyLimits) -> Void) -> ProxyLimits {
    var limits = ProxyLimits()
    change(&limits)
    return limits
  }

  /// Asks for hosts outside the mesh, which the proxy answers itself and at once.
  private static func outbound(_ change: (inout ProxyLimits) -> Void = { _ in }) throws -> TestProxy {
    let proxy = try TestProxy([.outboundProxy], limits: limits(change))
    let egress = EgressPolicy(mode: .registryOnly)
    proxy.apply(ConfigUpdate(workload: WorkloadUpdate(name: "web-0", ports: [], egress: egress)))
    return proxy
  }

  private static let pipelined = "GET / HTTP/1.1\r\nHost: outside.example.com\r\n\r\n"
  /// What kernels may hold of a flood in the two socket buffers on the way.
  private static let kernelBuffers = 12 << 20

  // MARK: - Readers that do not read

  @Test("pipelined requests stop being read when their answers are not")
  func pipeliningFlood() throws {
    let proxy = try Self.outbound()
    let client = try proxy.connect(receiveBuffer: 16 * 1024)
    let sent = client.floodUntilBlocked(64 << 20) {
      Array(repeating: Array(Self.pipelined.utf8), count: 1_000).flatMap { $0 }
    }
    #expect(sent < Self.kernelBuffers)
    var answers = 0
    while answers < 5_000 {
      #expect(try client.message().status == 403)
      answers += 1
    }
  }

  @Test("HTTP/2 requests stop being read when their answers are not, though no window holds those up")
  func headFlood() throws {
    let answer = "HTTP/1.1 204 No Content\r\nX-Large: \(String(repeating: "~", count: 32_000))\r\n\r\n"
    let backend = Backend.answering { _ in answer }
    let proxy = try TestProxy.forwarding(to: backend)
    let client = try proxy.connect(receiveBuffer: 16 * 1024)
    var stream: UInt32 = 1
    func requests() -> [[UInt8]] {
      (0..<500).map { _ in
        defer { stream += 2 }
        return Self.frame(1, 5, stream, Self.getBlock)
      }
    }
    // No more at once than it may have open: a client that does is refused before there is an answer.
    try client.send(Self.preface + requests().flatMap(\.self))
    // All are answered, or the rest is not read any more.
    #expect(
      try proxy.becomes {
        $0.sum(of: "response_total") >= 500 || $0.sum(of: "limit_hits_total", "queued_output_bytes") > 0
      })
    let sent = client.floodUntilBlocked(64 << 20) { requests().flatMap(\.self) }
    #expect(sent < Self.kernelBuffers)
    #expect(try proxy.becomes { $0.sum(of: "limit_hits_total", "queued_output_bytes") > 0 })
    #expect(try proxy.onLoop { $0.exchangeCount } <= 1_000)
  }

  @Test("a client that takes nothing for the flush timeout is cut off")
  func flushTimeout() throws {
    let size = 32 << 20
    let backend = Backend { peer, _ in
      _ = try peer.message()
      try peer.send("HTTP/1.1 200 OK\r\nContent-Length: \(size)\r\n\r\n")
      _ = peer.sendUntilBlocked(size)
      _ = peer.isCut()
    }
    let proxy = try TestProxy.forwarding(to: backend, limits: Self.limits { $0.flushTimeout = .milliseconds(150) })
    let client = try proxy.connect(receiveBuffer: 16 * 1024)
    try client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    #expect(try proxy.becomes { $0.downstreamConnectionCount == 0 })
    #expect(try proxy.count("limit_hits_total", "flush_timeout") == 1)
    #expect(try proxy.becomes { $0.exchangeCount == 0 && $0.bufferBudget.held == 0 })
  }

  // MARK: - Writers that do not finish

  /// What a client sends before it falls silent, and the limit that ends it.
  private static let unfinished: [(bytes: [UInt8], limit: String)] = [
    (Array(preface[..<20]), "first_request_timeout"),
    (preface.dropLast(1) + [], "first_request_timeout"),
    (preface + frame(1, 5, 1, getBlock)[..<12], "header_timeout"),
    (preface + frame(1, 0, 1, getBlock), "header_timeout"),
    (preface + [0, 0], "header_timeout"),
  ]

  @Test("HTTP/2: what is not finished within the header timeout ends the connection", arguments: 0..<5)
  func unfinished(_ index: Int) throws {
    let attack = Self.unfinished[index]
    let backend = Backend.named("b")
    let proxy = try TestProxy.forwarding(to: backend, limits: Self.limits { $0.headerTimeout = .milliseconds(80) })
    let client = try proxy.connect()
    try client.send(attack.bytes)
    _ = try? client.readToEnd()
    #expect(try proxy.becomes { $0.downstreamConnectionCount == 0 })
    #expect(try proxy.count("limit_hits_total", "\"\(attack.limit)\"") == 1)
  }

  @Test("HTTP/2: a field block fed by and by does not move its deadline")
  func slowContinuations() throws {
    let backend = Backend.named("b")
    let proxy = try TestProxy.forwarding(to: backend, limits: Self.limits { $0.headerTimeout = .milliseconds(150) })
    let client = try proxy.connect()
    try client.send(Self.preface + Self.frame(1, 0, 1, Self.getBlock))
    var sent = 0
    var answer: [UInt8] = []
    // A frame each 20 ms until GOAWAY.
    while sent < 60, answer.frames.last?.type != 7 {
      if client.isReadable(within: 20) {
        answer += try client.receive()
      } else {
        try client.send(Self.frame(9, 0, 1, [0, 1, 0x61, 0]))
        sent += 1
      }
    }
    #expect(sent > 0 && sent < 60)
    #expect(answer.frames.last?.payload.suffix(4) == [0, 0, 0, 11])
    #expect(try proxy.count("limit_hits_total", "header_timeout") == 1)
  }

  @Test("HTTP/2: a preface fed by and by has one deadline, from the connection's start")
  func slowPreface() throws {
    let backend = Backend.named("b")
    let proxy = try TestProxy.forwarding(to: backend, limits: Self.limits { $0.headerTimeout = .seconds(1) })
    let client = try proxy.connect()
    var steps = 0
    var answer: [UInt8] = []
    // 20 bytes, of which 16 tell that it is HTTP/2; that must not begin another second. A step takes 10 ms or longer.
    while answer.frames.last?.type != 7 {
      if client.isReadable(within: 10) {
        let bytes = try client.receive()
        if bytes.isEmpty { break }
        answer += bytes
      } else {
        if steps < 20 { try client.send([Self.preface[steps]]) }
        steps += 1
      }
    }
    #expect(steps < 108)
    #expect(answer.frames.last?.payload.suffix(4) == [0, 0, 0, 4])
    #expect(try proxy.count("limit_hits_total", "first_request_timeout") == 1)
  }

  // MARK: - What is held for receivers that do not take it

  @Test("what is on its way to an application that takes nothing counts, though flow control has let it pass")
  func waitingOutput() throws {
    let end = Signal()
    let backend = Backend(receiveBuffer: 4 * 1024) { peer, _ in
      _ = try peer.readThrough("\r\n\r\n")
      end.wait()
    }
    let proxy = try TestProxy.forwarding(to: backend)
    let client = try proxy.connect()
    try client.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: \(64 << 20)\r\n\r\n")
    // Between the two watermarks, wherever the kernel stopped taking.
    var (left, isHeld) = (64 << 20, false)
    for _ in 0..<400 where !isHeld {
      left -= client.sendUntilBlocked(left, quietMilliseconds: 50)
      isHeld = try proxy.onLoop { (16 * 1024...64 * 1024).contains($0.loop.waitingOutput) }
    }
    #expect(isHeld && left > 0)
    // That the client is gone stands behind bytes which nobody takes: the application's end is what ends it.
    client.close()
    end.raise()
    #expect(try proxy.becomes { $0.exchangeCount == 0 && $0.loop.waitingOutput == 0 })
  }

  @Test("of an answer that nobody takes no more is read ahead than is counted")
  func readAhead() throws {
    let stuck = Signal()
    let backend = Backend { peer, _ in
      _ = try peer.message()
      try peer.send("HTTP/1.1 200 OK\r\nContent-Length: \(64 << 20)\r\n\r\n")
      _ = peer.sendUntilBlocked(64 << 20)
      stuck.raise()
      _ = peer.isCut()
    }
    let proxy = try TestProxy.forwarding(to: backend)
    let client = try proxy.connect()
    // Windows of 0 on every stream.
    let windows = Self.frame(4, 0, 0, [0, 4, 0, 0, 0, 0])
    try client.send(Self.preface.dropLast(9) + windows + Self.frame(1, 5, 1, Self.getBlock))
    #expect(stuck.wait())
    let (read, held) = try proxy.onLoop { ($0.loop.counters.bytesRead, $0.bufferBudget.held) }
    // Beside the answer's body: its head and the requests of both sides.
    #expect(held >= 64 * 1024 && read < UInt64(held + 1_000))
    client.close()
    #expect(try proxy.becomes { $0.exchangeCount == 0 && $0.bufferBudget.held == 0 })
  }

  @Test("past the buffer budget the connection that makes us hold most loses streams, and nobody else")
  func bufferBudget() throws {
    // Requests to a service whose configuration does not come hold their bodies here, whatever kernels would take.
    let proxy = try Self.outbound {
      $0.maximumBufferedBytes = 4 << 20
      $0.discoveryTimeout = .seconds(60)
    }
    let small = try HTTP2Peer(try proxy.connect())
    let kept = try small.request(.post, "/small", endStream: false)
    try small.send([UInt8](repeating: 1, count: 1_000), on: kept, endStream: false)
    let hostile = try HTTP2Peer(try proxy.connect())
    // The proxy's SETTINGS and its connection window.
    try hostile.step()
    var streams: [HTTP2StreamID] = []
    // 40 windows of 256 KiB: 10 MiB.
    for _ in 0..<40 {
      let stream = try hostile.request(.post, "/large", endStream: false)
      streams.append(stream)
      _ = [UInt8](repeating: 1, count: 256 * 1024).withUnsafeBytes {
        hostile.engine.sendData($0, on: stream, endStream: false)
      }
      try hostile.flush()
    }
    while !streams.contains(where: { hostile.stream($0).status == 503 }) { try hostile.step() }
    #expect(try proxy.becomes { $0.bufferBudget.held <= 4 << 20 })
    let hits = try proxy.count("limit_hits_total", "buffered_bytes")
    #expect(hits > 0 && hits < 40)
    #expect(try proxy.count("response_total", "status_code=\"503\"", "response_flag=\"OM\"") >= hits)
    while streams.filter({ hostile.stream($0).status == 503 }).count < hits { try hostile.step() }
    #expect(small.stream(kept).reset == nil)
    hostile.peer.close()
    small.peer.close()
    #expect(try proxy.becomes { $0.exchangeCount == 0 && $0.bufferBudget.held == 0 })
  }

  @Test("a large head that a few bytes of HPACK stand for is held against the budget")
  func headBomb() throws {
    let proxy = try Self.outbound {
      $0.maximumBufferedBytes = 1 << 20
      $0.discoveryTimeout = .seconds(60)
    }
    let client = try proxy.connect()
    let value = [UInt8](repeating: 0x62, count: 3_900)
    let entry: [UInt8] = [0x40, 1, 0x61, 0x7F, 0xBD, 0x1D] + value
    let block: [UInt8] = [0x82, 0x86, 0x84, 0x01, 11] + Array("orders.shop".utf8)
    try client.send(Self.preface + Self.frame(1, 5, 1, block + entry))
    // 29 bytes on the wire, 58 KiB decoded: 54 KiB of them count.
    let bombs = (1...100).flatMap { Self.frame(1, 5, UInt32($0 * 2 + 1), block + Array(repeating: 0xBE, count: 14)) }
    try client.send(bombs)
    var refused = 0
    while refused < 80 { refused += try client.receive().frames.filter { $0.type == 1 }.count }
    #expect(try proxy.becomes { $0.exchangeCount <= 21 && $0.bufferBudget.held <= 1 << 20 })
    #expect(try proxy.count("limit_hits_total", "buffered_bytes") >= 80)
  }

  // MARK: - Fairness within a turn

  @Test("more requests than a turn's share are all answered, in order, also when the client has half-closed")
  func turnShare() throws {
    let proxy = try Self.outbound { $0.maximumRequestsPerTurn = 3 }
    let client = try proxy.connect()
    try client.send(String(repeating: Self.pipelined, count: 200))
    client.shutdownWrite()
    for _ in 0..<200 { #expect(try client.message().status == 403) }
    #expect(client.isCut())
    #expect(try proxy.count("limit_hits_total", "turn_share") > 0)
  }

  @Test("more HTTP/2 streams than a turn's share are all answered")
  func turnShareOfStreams() throws {
    let proxy = try Self.outbound { $0.maximumRequestsPerTurn = 3 }
    let client = try proxy.connect()
    let requests = (0..<200).flatMap { Self.frame(1, 5, UInt32($0 * 2 + 1), Self.headBlock) }
    try client.send(Self.preface + requests)
    let frames = FramePeer(client)
    for _ in 0..<200 { _ = try frames.frame(ofType: 1) }
    #expect(try proxy.count("limit_hits_total", "turn_share") > 0)
    client.shutdownWrite()
    #expect(try proxy.becomes { $0.downstreamConnectionCount == 0 })
  }

  @Test("no exchange outlives a connection that ended for its resets", arguments: [true, false])
  func resetFlood(isByClient: Bool) throws {
    let proxy = try Self.outbound { $0.discoveryTimeout = .seconds(60) }
    let block: [UInt8] = [0x82, 0x86, 0x84, 0x01, 11] + Array("orders.shop".utf8)
    let client = try proxy.connect()
    let attack = (0..<201).flatMap { n in
      let stream = UInt32(n * 2 + 1)
      return Self.frame(1, 5, stream, block) + Self.frame(isByClient ? 3 : 8, 0, stream, [0, 0, 0, 0])
    }
    try client.send(Self.preface + attack)
    #expect(try client.readToEnd().frames.last?.type == 7)
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
    try flood.send(Self.preface + (0..<1_100).flatMap { _ in Self.frame(2, 0, 1, [0, 0, 0, 0, 0]) })
    let frames = try flood.readToEnd().frames
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

extension Peer {
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

extension [UInt8] {
  fileprivate struct Frame {
    var type: UInt8
    var flags: UInt8
    var payload: [UInt8]
  }

  /// The whole frames at the start of these bytes.
  fileprivate var frames: [Frame] {
    var found: [Frame] = []
    var at = 0
    while at + 9 <= count {
      let length = Int(self[at]) << 16 | Int(self[at + 1]) << 8 | Int(self[at + 2])
      guard at + 9 + length <= count else { break }
      found.append(Frame(type: self[at + 3], flags: self[at + 4], payload: Array(self[(at + 9)..<(at + 9 + length)])))
      at += 9 + length
    }
    return found
  }
}
