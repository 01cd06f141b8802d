import MeshCore
import MeshHTTP
import MeshPolicy
import MeshRuntime
import Testing

@testable import MeshProxy

@Suite("Clients that do not finish what they begin")
struct SlowWriterTests {
  /// What a client sends before it falls silent, and the limit that ends it.
  private static let unfinished: [(bytes: [UInt8], limit: String)] = [
    (Array(FramePeer.preface[..<20]), "first_request_timeout"),
    (FramePeer.preface.dropLast(1) + [], "first_request_timeout"),
    (FramePeer.preface + FramePeer.frame(1, 5, 1, FramePeer.get)[..<12], "header_timeout"),
    (FramePeer.preface + FramePeer.frame(1, 0, 1, FramePeer.get), "header_timeout"),
    (FramePeer.preface + [0, 0], "header_timeout"),
  ]

  @Test("HTTP/2: what is not finished within the header timeout ends the connection", arguments: 0..<5)
  func unfinished(_ index: Int) throws {
    let attack = Self.unfinished[index]
    let backend = Backend.named("b")
    let proxy = try TestProxy.forwarding(to: backend, limits: .with { $0.headerTimeout = .milliseconds(80) })
    let client = try proxy.connect()
    try client.send(attack.bytes)
    _ = try? client.readToEnd()
    #expect(try proxy.becomes { $0.downstreamConnectionCount == 0 })
    #expect(try proxy.count("limit_hits_total", "\"\(attack.limit)\"") == 1)
  }

  @Test("HTTP/2: a field block fed by and by does not move its deadline")
  func slowContinuations() throws {
    let backend = Backend.named("b")
    let proxy = try TestProxy.forwarding(to: backend, limits: .with { $0.headerTimeout = .milliseconds(150) })
    let client = try proxy.connect()
    try client.send(FramePeer.preface + FramePeer.frame(1, 0, 1, FramePeer.get))
    var sent = 0
    var answer: [UInt8] = []
    // A frame each 20 ms until GOAWAY.
    while sent < 60, FramePeer.frames(answer).last?.type != 7 {
      if client.isReadable(within: 20) {
        answer += try client.receive()
      } else {
        try client.send(FramePeer.frame(9, 0, 1, [0, 1, 0x61, 0]))
        sent += 1
      }
    }
    #expect(sent > 0 && sent < 60)
    #expect(FramePeer.frames(answer).last?.payload.suffix(4) == [0, 0, 0, 11])
    #expect(try proxy.count("limit_hits_total", "header_timeout") == 1)
  }

  @Test("HTTP/2: a preface fed by and by has one deadline, from the connection's start")
  func slowPreface() throws {
    let backend = Backend.named("b")
    let proxy = try TestProxy.forwarding(to: backend, limits: .with { $0.headerTimeout = .seconds(1) })
    let client = try proxy.connect()
    var steps = 0
    var answer: [UInt8] = []
    // 20 bytes, of which 16 tell that it is HTTP/2; that must not begin another second. A step takes 10 ms or longer.
    while FramePeer.frames(answer).last?.type != 7 {
      if client.isReadable(within: 10) {
        let bytes = try client.receive()
        if bytes.isEmpty { break }
        answer += bytes
      } else {
        if steps < 20 { try client.send([FramePeer.preface[steps]]) }
        steps += 1
      }
    }
    #expect(steps < 108)
    #expect(FramePeer.frames(answer).last?.payload.suffix(4) == [0, 0, 0, 4])
    #expect(try proxy.count("limit_hits_total", "first_request_timeout") == 1)
  }
}
