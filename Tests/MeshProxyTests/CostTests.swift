import CMallocCounter
import Glibc
import MeshCore
import MeshHTTP
import MeshPolicy
import MeshRuntime
import Testing

@testable import MeshProxy

/// System calls and allocations of a steady request, counted on the workers' own threads: numbers that no other load on
/// the machine changes, unlike times.
@Suite("Cost of a steady request", .serialized)
struct CostTests {
  /// One request at a time: each message is one read and one write, and wakes the loop once.
  private static let callsPerProxy = 6.0
  /// A timer, and the counting itself.
  private static let slack = 0.1
  #if DEBUG
  /// Without optimization each `for` over fields boxes its iterator.
  private static let allocations = 60.0
  #else
  private static let allocations = 0.05
  #endif
  private static let get = "GET /a/b?c=d HTTP/1.1\r\nHost: orders.shop\r\nUser-Agent: test\r\nAccept: */*\r\n\r\n"
  private static let count = 400

  private struct Cost {
    var calls = 0.0
    var allocations = 0.0
  }

  private struct Reading {
    var counters: WorkerCounters
    var allocations: UInt64

    static func take(_ proxy: TestProxy) throws -> Reading {
      try proxy.onLoop { Reading(counters: $0.loop.counters, allocations: apus_malloc_count()) }
    }
  }

  /// The mean cost of `request` in each of `proxies`.
  private static func measure(_ proxies: [TestProxy], _ request: () throws -> Void) throws -> [Cost] {
    for _ in 0..<200 { try request() }
    let before = try proxies.map(Reading.take)
    for _ in 0..<count { try request() }
    let after = try proxies.map(Reading.take)
    return zip(before, after).map { old, new in
      Cost(
        calls: Double(new.counters.systemCalls - old.counters.systemCalls) / Double(count),
        allocations: Double(new.allocations - old.allocations) / Double(count))
    }
  }

  /// Answers every HTTP/2 request with `body`, and with trailers if there are any.
  private static func http2Backend(_ body: String, trailers: [(String, String)] = []) -> Backend {
    Backend { peer, _ in
      let server = try HTTP2Peer(peer, role: .server)
      var next: UInt32 = 1
      let head = MessageHead()
      while true {
        try server.step()
        while server.streams[next]?.isEnded == true {
          let id = HTTP2StreamID(rawValue: next)
          head.reset()
          head.status = 200
          head.append(name: "content-type", value: "application/grpc")
          server.engine.sendHead(head, on: id, endStream: false)
          _ = Array(body.utf8).withUnsafeBytes { server.engine.sendData($0, on: id, endStream: trailers.isEmpty) }
          if !trailers.isEmpty {
            head.reset()
            for (name, value) in trailers { head.append(name: name, value: value) }
            server.engine.sendTrailers(head, on: id)
          }
          try server.flush()
          next += 2
        }
      }
    }
  }

  // MARK: - One proxy

  @Test("one proxy, HTTP/1: two reads, two writes, two waits")
  func http1() throws {
    let backend = Backend.named("hello")
    let proxy = try TestProxy.forwarding(to: backend)
    let client = try proxy.connect()
    let cost = try Self.measure([proxy]) { _ = try client.exchange(Self.get) }
    #expect(cost[0].calls <= Self.callsPerProxy + Self.slack)
    #expect(cost[0].allocations <= Self.allocations)
  }

  @Test("one proxy, HTTP/2 to HTTP/2: two reads, two writes, two waits")
  func http2() throws {
    let backend = Self.http2Backend("hello")
    let proxy = try TestProxy.forwarding(to: backend, protocol: .http2)
    let client = try HTTP2Peer(proxy.connect())
    let cost = try Self.measure([proxy]) { _ = try client.finish(client.request(.get, "/a/b?c=d")) }
    #expect(cost[0].calls <= Self.callsPerProxy + Self.slack)
    #expect(cost[0].allocations <= Self.allocations)
  }

  @Test("one proxy, HTTP/2 to HTTP/2: requests that come together go on together")
  func http2Together() throws {
    let backend = Self.http2Backend("hello")
    let proxy = try TestProxy.forwarding(to: backend, protocol: .http2)
    let client = try HTTP2Peer(proxy.connect())
    let cost = try Self.measure([proxy]) {
      let streams = try client.requests(.get, "/a/b?c=d", count: 32)
      for stream in streams { _ = try client.finish(stream) }
    }
    // 32 requests in one segment: one write to the backend, whose answers come in few.
    #expect(cost[0].calls / 32 <= 1.5)
    #expect(cost[0].allocations <= Self.allocations * 32)
  }

  // MARK: - Two proxies

  @Test("two proxies with mutual TLS, HTTP/1")
  func pair() throws {
    let backend = Backend.named("hello")
    let pair = try MeshPair(to: backend)
    let client = try pair.sender.connect()
    let cost = try Self.measure([pair.sender, pair.receiver]) {
      let answer = try client.exchange(Self.get)
      guard answer.status == 200 else { throw SocketProblem(description: answer.head) }
    }
    for proxy in cost {
      #expect(proxy.calls <= Self.callsPerProxy + Self.slack)
      #expect(proxy.allocations <= Self.allocations + Self.recordBuffers)
    }
  }

  @Test("two proxies with mutual TLS, gRPC unary")
  func grpc() throws {
    let backend = Self.http2Backend("\0\0\0\0\u{2}hi", trailers: [("grpc-status", "0")])
    let pair = try MeshPair(to: backend, appProtocol: .grpc)
    let client = try HTTP2Peer(pair.sender.connect())
    let fields = [("content-type", "application/grpc"), ("te", "trailers")]
    let cost = try Self.measure([pair.sender, pair.receiver]) {
      let stream = try client.request(.post, "/echo.Echo/Say", fields, body: [0, 0, 0, 0, 2, 0x68, 0x69])
      let answer = try client.finish(stream)
      guard answer.trailers == "grpc-status: 0" else { throw SocketProblem(description: answer.trailers) }
    }
    for proxy in cost {
      #expect(proxy.calls <= Self.callsPerProxy + Self.slack)
      #expect(proxy.allocations <= Self.allocations + Self.recordBuffers)
    }
  }

  /// OpenSSL's own, for a request that travels alone: it gives its record buffers back whenever a connection has nothing to do.
  private static let recordBuffers = 7.0

  @Test("two proxies with mutual TLS: requests that are ready together share a write on the hop")
  func gathered() throws {
    let backend = Backend.named("hello")
    let pair = try MeshPair(to: backend)
    let clients = try (0..<32).map { _ in try pair.sender.connect() }
    for client in clients { _ = try client.exchange(Self.get) }
    let before = try Reading.take(pair.sender)
    // While the loop runs this, it does not look for events: then all of them are ready.
    _ = try pair.sender.onLoop { _ in
      for client in clients { try? client.send(Self.get) }
    }
    for client in clients { #expect(try client.message().status == 200) }
    let after = try Reading.take(pair.sender)
    let hopWrites = Int(after.counters.writes - before.counters.writes) - clients.count
    #expect(hopWrites >= 1)
    #expect(hopWrites <= 8, "32 requests needed \(hopWrites) writes")
  }
}
