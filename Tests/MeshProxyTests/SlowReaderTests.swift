import MeshCore
import MeshHTTP
import MeshPolicy
import MeshRuntime
import Testing

@testable import MeshProxy

@Suite("Clients and applications that do not take what they are sent")
struct SlowReaderTests {
  // MARK: - Answers

  @Test("pipelined requests stop being read when their answers are not")
  func pipeliningFlood() throws {
    let proxy = try TestProxy.answeringItself()
    let client = try proxy.connect(receiveBuffer: 16 * 1024)
    let sent = client.floodUntilBlocked(64 << 20) {
      Array(repeating: Array(Peer.requestOutside.utf8), count: 1_000).flatMap { $0 }
    }
    #expect(sent < Peer.kernelBuffers)
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
        return FramePeer.frame(1, 5, stream, FramePeer.get)
      }
    }
    // No more at once than it may have open: a client that does is refused before there is an answer.
    try client.send(FramePeer.preface + requests().flatMap(\.self))
    // All are answered, or the rest is not read any more.
    #expect(
      try proxy.becomes {
        $0.sum(of: "response_total") >= 500 || $0.sum(of: "limit_hits_total", "queued_output_bytes") > 0
      })
    let sent = client.floodUntilBlocked(64 << 20) { requests().flatMap(\.self) }
    #expect(sent < Peer.kernelBuffers)
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
    let proxy = try TestProxy.forwarding(to: backend, limits: .with { $0.flushTimeout = .milliseconds(150) })
    let client = try proxy.connect(receiveBuffer: 16 * 1024)
    try client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    #expect(try proxy.becomes { $0.downstreamConnectionCount == 0 })
    #expect(try proxy.count("limit_hits_total", "flush_timeout") == 1)
    #expect(try proxy.becomes { $0.exchangeCount == 0 && $0.bufferBudget.held == 0 })
  }

  // MARK: - What is held for them

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
    let windows = FramePeer.frame(4, 0, 0, [0, 4, 0, 0, 0, 0])
    try client.send(FramePeer.preface.dropLast(9) + windows + FramePeer.frame(1, 5, 1, FramePeer.get))
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
    let proxy = try TestProxy.answeringItself {
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
    let proxy = try TestProxy.answeringItself {
      $0.maximumBufferedBytes = 1 << 20
      $0.discoveryTimeout = .seconds(60)
    }
    let client = try proxy.connect()
    let value = [UInt8](repeating: 0x62, count: 3_900)
    let entry: [UInt8] = [0x40, 1, 0x61, 0x7F, 0xBD, 0x1D] + value
    try client.send(FramePeer.preface + FramePeer.frame(1, 5, 1, FramePeer.getOrders + entry))
    // 29 bytes on the wire, 58 KiB decoded: 54 KiB of them count.
    let bomb = FramePeer.getOrders + [UInt8](repeating: 0xBE, count: 14)
    let bombs = (1...100).flatMap { FramePeer.frame(1, 5, UInt32($0 * 2 + 1), bomb) }
    try client.send(bombs)
    var refused = 0
    while refused < 80 { refused += FramePeer.frames(try client.receive()).filter { $0.type == 1 }.count }
    #expect(try proxy.becomes { $0.exchangeCount <= 21 && $0.bufferBudget.held <= 1 << 20 })
    #expect(try proxy.count("limit_hits_total", "buffered_bytes") >= 80)
  }
}
