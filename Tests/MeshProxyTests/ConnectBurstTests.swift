import MeshCore
import MeshHTTP
import MeshRuntime
import Testing

@testable import MeshProxy

@Suite("Many requests at once for an HTTP/1 application")
struct ConnectBurstTests {
  private static func limits(connecting: Int, pending: Int = 10_000) -> ProxyLimits {
    var limits = ProxyLimits()
    limits.maximumConnecting = connecting
    limits.maximumPendingPerPeer = pending
    return limits
  }

  @Test("what waits for a connection is served by those that open or become free", arguments: [1, 2, 64])
  func served(connecting: Int) throws {
    let backend = Backend.named("b")
    let proxy = try TestProxy.forwarding(to: backend, limits: Self.limits(connecting: connecting))
    let client = try HTTP2Peer(try proxy.connect())
    for stream in try client.requests(.get, "/", count: 100) { #expect(try client.finish(stream).status == 200) }
    #expect(try proxy.count("limit_hits_total", "pending_per_peer") == 0)
  }

  @Test("what waits behind refused connections is answered")
  func refused() throws {
    let nobody = ReservedPort()
    let proxy = try TestProxy([.forward(nobody.address, .http1)], limits: Self.limits(connecting: 1))
    let client = try HTTP2Peer(try proxy.connect())
    for stream in try client.requests(.get, "/", count: 20) { #expect(try client.finish(stream).status >= 500) }
    #expect(try proxy.becomes { $0.exchangeCount == 0 })
  }

  @Test("what was given up while it waited takes no connection")
  func givenUp() throws {
    let backend = Backend.named("b")
    let proxy = try TestProxy.forwarding(to: backend, limits: Self.limits(connecting: 1))
    let leaving = try HTTP2Peer(try proxy.connect())
    for stream in try leaving.requests(.get, "/", count: 20) { leaving.engine.sendReset(stream, .cancel) }
    try leaving.flush()
    #expect(try proxy.becomes { $0.exchangeCount == 0 })
    let client = try HTTP2Peer(try proxy.connect())
    for stream in try client.requests(.get, "/", count: 20) { #expect(try client.finish(stream).status == 200) }
  }

  @Test("more than may wait are answered 503, and counted")
  func overflow() throws {
    let backend = Backend.named("b")
    let proxy = try TestProxy.forwarding(to: backend, limits: Self.limits(connecting: 1, pending: 0))
    let client = try HTTP2Peer(try proxy.connect())
    let answers = try client.requests(.get, "/", count: 20).map { try client.finish($0).status }
    #expect(answers.first == 200)
    #expect(answers.allSatisfy { $0 == 200 || $0 == 503 })
    #expect(answers.contains(503))
    #expect(try proxy.count("limit_hits_total", "pending_per_peer") == answers.count { $0 == 503 })
  }

  @Test("requests that were given up while they waited make room for others")
  func roomAgain() throws {
    let backend = Backend.named("b")
    // Nobody gets a connection: all wait.
    let proxy = try TestProxy.forwarding(to: backend, limits: Self.limits(connecting: 0, pending: 16))
    for _ in 0..<3 {
      let leaving = try HTTP2Peer(try proxy.connect())
      let streams = try leaving.requests(.get, "/", count: 16)
      #expect(try proxy.becomes { $0.exchangeCount == 16 })
      for stream in streams { leaving.engine.sendReset(stream, .cancel) }
      try leaving.flush()
      #expect(try proxy.becomes { $0.exchangeCount == 0 })
    }
    #expect(try proxy.count("limit_hits_total", "pending_per_peer") == 0)
    let staying = try HTTP2Peer(try proxy.connect())
    let streams = try staying.requests(.get, "/", count: 17)
    #expect(try staying.finish(streams[16]).status == 503)
    #expect(try proxy.count("limit_hits_total", "pending_per_peer") == 1)
  }

  @Test("a request that ran out of time while it waited, and waits again, has one place")
  func waitsAgain() throws {
    let proxy = try TestProxy.forwarding(to: Backend.named("b"))
    let served = try proxy.onLoop { worker in
      let exchange = worker.takeExchange()
      defer { worker.recycle(exchange) }
      exchange.phase = .connecting
      var (queue, served) = (ConnectQueue(), 0)
      for attempt in 1...3 {
        exchange.attempts = attempt
        queue.append(exchange)
      }
      while queue.next() != nil { served += 1 }
      return served
    }
    #expect(served == 1)
  }

  @Test("the requests of a client that leaves end a few in each turn")
  func departure() throws {
    let backend = Backend { peer, _ in while !peer.isCut() {} }
    let limits = ProxyLimits.with { $0.maximumRequestsPerTurn = 2 }
    let proxy = try TestProxy.forwarding(to: backend, limits: limits)
    let leaving = try HTTP2Peer(try proxy.connect())
    _ = try leaving.requests(.get, "/", count: 60)
    #expect(try proxy.becomes { $0.exchangeCount == 60 })
    let before = try proxy.onLoop { $0.loop.counters.turns }
    leaving.peer.reset()
    #expect(try proxy.becomes { $0.exchangeCount == 0 })
    #expect(try proxy.onLoop { $0.loop.counters.turns } - before >= 30)
  }
}
