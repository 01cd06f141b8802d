import MeshCore
import MeshHTTP
import MeshPolicy
import MeshRuntime
import Testing

@testable import MeshProxy

/// Second attempts beside slow first ones.
@Suite("Hedged requests")
struct HedgingTests {
  private static let get = "GET / HTTP/1.1\r\nHost: orders\r\n\r\n"
  private static let slow = HedgingPolicy(.fixed(.milliseconds(20)))

  /// Does not answer, and says when it was let go.
  private static func stuck(_ asked: Count, _ letGo: Count) -> Backend {
    Backend { peer, _ in
      _ = try peer.message()
      _ = asked.next()
      while !peer.isCut() {}
      _ = letGo.next()
    }
  }

  private static func rule(_ hedging: HedgingPolicy = slow, retry: RetryPolicy? = nil) -> RouteRule {
    var rule = RouteRule.toOrders(retry: retry)
    rule.hedging = hedging
    return rule
  }

  /// In turns, hedges included: of any two requests one at least meets the slow endpoint of two.
  private static func policy(percent: UInt64 = 100, minimum: UInt64 = 100) -> BackendPolicy {
    BackendPolicy(
      balancing: BalancingPolicy(algorithm: .roundRobin), outliers: .off,
      retryBudget: .init(percent: percent, minimumPerSecond: minimum))
  }

  private static func hedges(_ proxy: TestProxy, _ result: String) throws -> Int {
    try proxy.count("hedges_total", "result=\"\(result)\"", "backend=\"orders\"")
  }

  @Test("the first answer is the client's, and the other attempt is let go at once")
  func won() throws {
    let (asked, letGo) = (Count(), Count())
    let (stuck, good) = (Self.stuck(asked, letGo), Backend.named("good"))
    defer { withExtendedLifetime((stuck, good)) {} }
    let proxy = try TestProxy.serving([stuck.address, good.address], rules: [Self.rule()], policy: Self.policy())
    let client = try proxy.connect()
    for _ in 0..<4 { #expect(try client.exchange(Self.get).text == "good") }
    let won = try Self.hedges(proxy, "won")
    #expect(won >= 2)
    // On a busy machine the good one may be late as well, and the other one be asked for that: it is let go, too.
    #expect(try proxy.becomes { _ in asked.value >= won && letGo.value == asked.value })
    // One request each, whatever it took; and nothing is left of the attempts.
    #expect(try proxy.count("request_total") == 4)
    #expect(try proxy.count("response_total", "status_code=\"200\"", "response_flag=\"-\"") == 4)
    #expect(try proxy.onLoop { $0.exchangeCount } == 0)
    #expect(
      try proxy.onLoop { worker in worker.backend(.orders).use.active + worker.backend(.orders).use.pending } == 0)
  }

  @Test("an answer in time has no hedge, and a hedge that comes second is let go")
  func lost() throws {
    let (goesOn, asked, letGo) = (Signal(), Count(), Count())
    let late = Backend { peer, _ in
      while true {
        _ = try peer.message()
        goesOn.wait()
        try peer.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate")
      }
    }
    let stuck = Self.stuck(asked, letGo)
    defer { withExtendedLifetime((late, stuck)) {} }
    let proxy = try TestProxy.serving([late.address], rules: [Self.rule()], policy: Self.policy())
    let client = try proxy.connect()
    // There is no other endpoint yet.
    try client.send(Self.get)
    #expect(try proxy.becomes { $0.backend(.orders).use.active == 1 })
    goesOn.raise()
    #expect(try client.message().text == "late")
    #expect(try proxy.count("hedges_total") == 0)
    let second = Signal()
    let later = Backend { peer, _ in
      while true {
        _ = try peer.message()
        second.wait()
        try peer.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nlater")
      }
    }
    defer { withExtendedLifetime(later) {} }
    proxy.configure([later.address, stuck.address], rules: [Self.rule()], policy: Self.policy())
    let other = try proxy.connect()
    try client.send(Self.get)
    try other.send(Self.get)
    #expect(try proxy.becomes { _ in asked.value == 2 })
    second.raise()
    #expect(try client.message().text == "later")
    #expect(try other.message().text == "later")
    #expect(try proxy.becomes { _ in letGo.value == 2 })
    #expect(try Self.hedges(proxy, "lost") + Self.hedges(proxy, "won") == 2)
  }

  @Test("a failure of one attempt waits for the other, and so does a bad answer", arguments: ["/reset", "/503"])
  func failures(_ path: String) throws {
    let (asked, goesOn, answered) = (Count(), Signal(), Signal())
    // Whichever is asked second goes wrong; the first one's answer comes after that.
    let backends = (0..<2).map { _ in
      Backend { peer, _ in
        _ = try peer.message()
        if asked.next() == 1 {
          if path == "/reset" { peer.reset() } else { try peer.send("HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n") }
          return answered.raise()
        }
        goesOn.wait()
        try peer.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood")
        while !peer.isCut() {}
      }
    }
    defer { withExtendedLifetime(backends) {} }
    let proxy = try TestProxy.serving(backends.map(\.address), rules: [Self.rule()], policy: Self.policy())
    let client = try proxy.connect()
    try client.send("GET \(path) HTTP/1.1\r\nHost: orders\r\n\r\n")
    #expect(answered.wait())
    #expect(try proxy.becomes { $0.exchangeCount == 1 })
    goesOn.raise()
    #expect(try client.message().text == "good")
    #expect(try Self.hedges(proxy, "failed") == 1)
  }

  @Test("the own attempt may fail while the hedge goes on", arguments: ["/reset", "/503"])
  func firstFails(_ path: String) throws {
    let (asked, goesOn, second) = (Count(), Signal(), Signal())
    let backends = (0..<2).map { _ in
      Backend { peer, _ in
        _ = try peer.message()
        if asked.next() == 0 {
          goesOn.wait()
          if path == "/reset" { return peer.reset() }
          try peer.send("HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n")
          while !peer.isCut() {}
          return
        }
        second.wait()
        try peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ngood\r\n0\r\n\r\n")
        while !peer.isCut() {}
      }
    }
    defer { withExtendedLifetime(backends) {} }
    let proxy = try TestProxy.serving(backends.map(\.address), rules: [Self.rule()], policy: Self.policy())
    let client = try proxy.connect()
    try client.send("GET \(path) HTTP/1.1\r\nHost: orders\r\n\r\n")
    #expect(try proxy.becomes { _ in asked.value == 2 })
    goesOn.raise()
    #expect(
      try proxy.becomes { worker in
        var isWaiting = false
        worker.forEachExchange { if $0.phase == .awaitingTwin { isWaiting = true } }
        return isWaiting
      })
    second.raise()
    #expect(try client.message().text == "good")
    #expect(try Self.hedges(proxy, "won") == 1)
  }

  @Test("when both attempts fail the request fails, and is repeated as its rule has it")
  func bothFail() throws {
    let asked = Count()
    let backends = (0..<2).map { _ in
      Backend { peer, _ in
        while true {
          _ = try peer.message()
          // The two attempts of the first request; the third is its repeat.
          if asked.next() < 2 { while !peer.isCut() {} } else { return try peer.send("HTTP/1.1 204 X\r\n\r\n") }
          return
        }
      }
    }
    defer { withExtendedLifetime(backends) {} }
    var rule = Self.rule(retry: RetryPolicy(attempts: 1, statusCodes: [], backoff: .milliseconds(1)))
    rule.timeouts.backendRequest = .milliseconds(300)
    let proxy = try TestProxy.serving(backends.map(\.address), rules: [rule], policy: Self.policy())
    #expect(try proxy.connect().exchange(Self.get).status == 204)
    #expect(try Self.hedges(proxy, "failed") == 1)
    #expect(try proxy.count("retries_total", "reason=\"timeout\"") == 1)
    #expect(try proxy.becomes { $0.exchangeCount == 0 })
  }

  @Test("only requests that are harmless twice, unless the policy says otherwise; and the body goes along")
  func methods() throws {
    let (asked, letGo) = (Count(), Count())
    let stuck = Self.stuck(asked, letGo)
    let echo = Backend.answering { request in
      "HTTP/1.1 200 OK\r\nContent-Length: \(request.body.count)\r\n\r\n\(request.text)"
    }
    defer { withExtendedLifetime((stuck, echo)) {} }
    func body(_ method: String) -> String { "\(method) / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello" }
    let proxy = try TestProxy.serving([stuck.address, echo.address], rules: [Self.rule()], policy: Self.policy())
    for _ in 0..<2 { #expect(try proxy.connect().exchange(body("PUT")).text == "hello") }
    let (hedges, won) = try (proxy.count("hedges_total"), Self.hedges(proxy, "won"))
    #expect(won >= 1)
    // Each had one attempt at the slow one: its own, or the hedge.
    #expect(try proxy.becomes { _ in asked.value == hedges })
    var waiting: [Peer] = []
    for _ in 0..<2 {
      let client = try proxy.connect()
      try client.send(body("POST"))
      waiting.append(client)
    }
    #expect(try proxy.becomes { _ in asked.value == hedges + 1 })
    let end = try proxy.onLoop { $0.loop.now } + .milliseconds(60)
    #expect(try proxy.becomes { $0.loop.now > end })
    #expect(try proxy.count("hedges_total") == hedges)
    for client in waiting { client.reset() }
    proxy.configure(
      [stuck.address, echo.address], rules: [Self.rule(HedgingPolicy(.fixed(.milliseconds(20)), allMethods: true))],
      policy: Self.policy())
    for _ in 0..<2 { #expect(try proxy.connect().exchange(body("POST")).text == "hello") }
    #expect(try Self.hedges(proxy, "won") > won)
  }

  @Test("a client that leaves takes both attempts with it")
  func clientLeaves() throws {
    let (asked, letGo) = (Count(), Count())
    let backends = [Self.stuck(asked, letGo), Self.stuck(asked, letGo)]
    defer { withExtendedLifetime(backends) {} }
    let proxy = try TestProxy.serving(backends.map(\.address), rules: [Self.rule()], policy: Self.policy())
    let client = try proxy.connect()
    try client.send(Self.get)
    #expect(try proxy.becomes { _ in asked.value == 2 })
    #expect(try proxy.onLoop { $0.exchangeCount } == 2)
    client.reset()
    #expect(try proxy.becomes { _ in letGo.value == 2 })
    #expect(try proxy.onLoop { $0.exchangeCount } == 0)
    #expect(try Self.hedges(proxy, "lost") == 1)
    #expect(try proxy.count("request_total") == 1)
    #expect(try proxy.onLoop { $0.bufferBudget.held } == 0)
  }

  @Test("every hedge takes from the retry budget")
  func budget() throws {
    let (asked, letGo) = (Count(), Count())
    let backends = [Self.stuck(asked, letGo), Self.stuck(asked, letGo)]
    defer { withExtendedLifetime(backends) {} }
    let proxy = try TestProxy.serving(
      backends.map(\.address), rules: [Self.rule()], policy: Self.policy(percent: 0, minimum: 0))
    let client = try proxy.connect()
    try client.send(Self.get)
    #expect(try proxy.becomes { _ in asked.value == 1 })
    let end = try proxy.onLoop { $0.loop.now } + .milliseconds(60)
    #expect(try proxy.becomes { $0.loop.now > end })
    #expect(asked.value == 1)
    #expect(try proxy.count("retry_overflow_total", "backend=\"orders\"") == 1)
  }

  @Test("by rank: later than nearly all answers of the last seconds")
  func quantile() throws {
    let (asked, letGo) = (Count(), Count())
    let good = Backend.named("good")
    let stuck = Self.stuck(asked, letGo)
    defer { withExtendedLifetime((good, stuck)) {} }
    let rule = Self.rule(HedgingPolicy(.quantile(9_500)))
    let proxy = try TestProxy.serving([good.address], rules: [rule], policy: Self.policy())
    let client = try proxy.connect()
    for _ in 0..<60 { #expect(try client.exchange(Self.get).text == "good") }
    proxy.configure([good.address, stuck.address], rules: [rule], policy: Self.policy())
    // On a busy machine a hedge may be sent for the good one first, and lose.
    for _ in 0..<50 where try Self.hedges(proxy, "won") == 0 {
      #expect(try client.exchange(Self.get).text == "good")
    }
    #expect(try Self.hedges(proxy, "won") == 1)
    #expect(try proxy.becomes { _ in asked.value >= 1 })
  }

  @Test("streams of HTTP/2 and calls of gRPC: the late stream is reset, the answer goes on whole")
  func http2() throws {
    let cancelled = Count()
    let stuck = Backend { peer, _ in
      let server = try HTTP2Peer(peer, role: .server)
      var last: UInt32 = 0
      while true {
        let stream = try server.nextRequest(after: last)
        last = stream.rawValue
        while server.stream(stream).reset == nil { try server.step() }
        if server.stream(stream).reset == .cancel { _ = cancelled.next() }
      }
    }
    let good = Backend { peer, _ in
      let server = try HTTP2Peer(peer, role: .server)
      var last: UInt32 = 0
      while true {
        let stream = try server.nextRequest(after: last)
        last = stream.rawValue
        while !server.stream(stream).isEnded { try server.step() }
        server.engine.sendHead(
          HTTP2Peer.answer(200, [("content-type", "application/grpc")]), on: stream, endStream: false)
        try server.send(server.stream(stream).body, on: stream, endStream: false)
        let trailers = MessageHead()
        trailers.append(name: "grpc-status", value: "0")
        server.engine.sendTrailers(trailers, on: stream)
        try server.flush()
      }
    }
    defer { withExtendedLifetime((stuck, good)) {} }
    let rule = Self.rule(HedgingPolicy(.fixed(.milliseconds(20)), allMethods: true))
    let proxy = try TestProxy.serving(
      [stuck.address, good.address], rules: [rule], appProtocol: .grpc, policy: Self.policy())
    let client = try HTTP2Peer(proxy.connect())
    let message: [UInt8] = [0, 0, 0, 0, 2, 1, 2]
    for _ in 0..<4 {
      let call = try client.request(
        .post, "/a.B/C", [("content-type", "application/grpc"), ("te", "trailers")], body: message)
      let answer = try client.finish(call)
      #expect(answer.body == message)
      #expect(answer.trailers.contains("grpc-status: 0"))
    }
    let won = try Self.hedges(proxy, "won")
    #expect(won >= 2)
    #expect(try proxy.becomes { _ in cancelled.value == won })
    #expect(try proxy.count("response_total", "grpc_status=\"0\"") == 4)
    #expect(try proxy.onLoop { $0.bufferBudget.held } == 0)
  }
}

extension OutlierPolicy {
  fileprivate static var off: OutlierPolicy {
    var policy = OutlierPolicy()
    policy.isEnabled = false
    return policy
  }
}
