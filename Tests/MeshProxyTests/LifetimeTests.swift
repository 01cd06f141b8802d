import MeshCore
import MeshHTTP
import MeshPolicy
import MeshRuntime
import Testing

@testable import MeshProxy

/// Keepalive, age and retirement of real connections. What good peers must keep to is half a second: on a busy machine
/// a thread may not run for a while.
@Suite("Connection lifecycle")
struct LifetimeTests {
  private static let get = "GET / HTTP/1.1\r\nHost: orders:8080\r\n\r\n"

  /// In front of an application that speaks HTTP/2.
  private static func inbound(_ backend: Backend, _ limits: ProxyLimits) throws -> TestProxy {
    let proxy = try TestProxy([.inboundPlaintext], limits: limits)
    let port = InboundPortConfig(port: 8080, appProtocol: .grpc, service: .orders, application: backend.address)
    proxy.apply(ConfigUpdate(workload: WorkloadUpdate(name: "orders-0", ports: [port])))
    return proxy
  }

  /// Answers each stream with its path after `answer` has let it.
  private static func serve(_ peer: Peer, before answer: () -> Void = {}) throws {
    let server = try HTTP2Peer(peer, role: .server)
    var answered: Set<UInt32> = []
    while true {
      try server.step()
      for (id, stream) in server.streams where stream.isEnded && answered.insert(id).inserted {
        answer()
        let head = MessageHead()
        head.status = 200
        server.engine.sendHead(head, on: HTTP2StreamID(rawValue: id), endStream: false)
        try server.send(Array(stream.path.utf8), on: HTTP2StreamID(rawValue: id))
      }
    }
  }

  /// The first connection takes everything and answers nothing, as a stopped process does; the others serve.
  private static func firstIsSilent() -> Backend {
    Backend { peer, number in
      guard number == 0 else { return try serve(peer) }
      while !(try peer.receive()).isEmpty {}
    }
  }

  private static let quick = ProxyLimits.with {
    $0.applicationKeepaliveInterval = .milliseconds(30)
    $0.keepaliveTimeout = .milliseconds(500)
  }

  @Test("a silent HTTP/2 upstream is given up after interval and timeout, and a GET goes out once more")
  func silentUpstream() throws {
    let backend = Self.firstIsSilent()
    let proxy = try Self.inbound(backend, Self.quick)
    let answer = try proxy.connect().exchange(Self.get)
    #expect(answer.status == 200)
    #expect(answer.text == "/")
    #expect(backend.connections == 2)
    #expect(try proxy.count("limit_hits_total", "keepalive_timeout") == 1)
  }

  @Test("a GET that was refused first may still be repeated when its next connection falls silent")
  func refusedThenSilent() throws {
    let backend = Backend { peer, number in
      switch number {
      case 0:
        let server = try HTTP2Peer(peer, role: .server)
        while server.streams.values.first?.isEnded != true { try server.step() }
        server.engine.sendGoAway(.noError, lastAccepted: HTTP2StreamID(rawValue: 0))
        try server.flush()
        while !peer.isCut() {}
      case 1: while !(try peer.receive()).isEmpty {}
      default: try Self.serve(peer)
      }
    }
    let proxy = try Self.inbound(backend, Self.quick)
    #expect(try proxy.connect().exchange(Self.get).status == 200)
    #expect(backend.connections == 3)
  }

  @Test("what may have been processed is not repeated: 503 with the flag UC")
  func silentUpstreamPost() throws {
    let backend = Self.firstIsSilent()
    let proxy = try Self.inbound(backend, Self.quick)
    let answer = try proxy.connect().exchange(
      "POST / HTTP/1.1\r\nHost: orders:8080\r\nContent-Length: 2\r\n\r\nhi")
    #expect(answer.status == 503)
    #expect(answer.text.contains("sign of life"))
    #expect(try proxy.count("response_total", "status_code=\"503\"", "response_flag=\"UC\"") == 1)
    #expect(try proxy.connect().exchange(Self.get).status == 200)
  }

  @Test("a slow answer is no silence: the peer answers PING meanwhile")
  func slowAnswer() throws {
    let backend = Backend { peer, _ in
      // The answer comes as a second request's: the loop reads and acknowledges PINGs until then.
      let server = try HTTP2Peer(peer, role: .server)
      while server.streams.values.filter(\.isEnded).count < 2 { try server.step() }
      for id in server.streams.keys.sorted() {
        let head = MessageHead()
        head.status = 200
        server.engine.sendHead(head, on: HTTP2StreamID(rawValue: id), endStream: true)
      }
      try server.flush()
      _ = peer.isCut()
    }
    let proxy = try Self.inbound(backend, Self.quick)
    let slow = try proxy.connect()
    try slow.send(Self.get)
    // Several times interval and timeout together, counted in turns of the proxy's timers.
    let start = try proxy.onLoop { $0.loop.now }
    #expect(try proxy.becomes { $0.loop.now - start > .milliseconds(1_200) })
    #expect(try proxy.connect().exchange(Self.get).status == 200)
    #expect(try slow.message().status == 200)
    #expect(backend.connections == 1)
    #expect(try proxy.count("limit_hits_total", "keepalive_timeout") == 0)
  }

  @Test("a stream on a connection that rested asks at once and finds out that it leads nowhere")
  func restedConnection() throws {
    let silenced = Signal()
    let backend = Backend { peer, number in
      guard number == 0 else { return try Self.serve(peer) }
      let server = try HTTP2Peer(peer, role: .server)
      while server.streams.values.first?.isEnded != true { try server.step() }
      let head = MessageHead()
      head.status = 200
      server.engine.sendHead(head, on: HTTP2StreamID(rawValue: 1), endStream: true)
      try server.flush()
      silenced.raise()
      while !(try peer.receive()).isEmpty {}
    }
    // An interval that no test waits for twice.
    var limits = Self.quick
    limits.applicationKeepaliveInterval = .milliseconds(100)
    let proxy = try Self.inbound(backend, limits)
    #expect(try proxy.connect().exchange(Self.get).status == 200)
    #expect(silenced.wait())
    let start = try proxy.onLoop { $0.loop.now }
    #expect(try proxy.becomes { $0.loop.now - start > .milliseconds(300) })
    #expect(try proxy.connect().exchange(Self.get).status == 200)
    #expect(backend.connections == 2)
  }

  @Test("a client that vanished is cut, and its request is given up")
  func silentClient() throws {
    let cut = Promise<Bool>()
    let backend = Backend { peer, _ in
      _ = try peer.message()
      cut.put(peer.isCut())
    }
    let proxy = try TestProxy([.forward(backend.address, .http1)], limits: Self.quick)
    let client = try HTTP2Peer(try proxy.connect())
    _ = try client.request(.get, "/")
    #expect(try cut.get())
    #expect(try proxy.count("limit_hits_total", "keepalive_timeout") == 1)
    #expect(try proxy.count("response_total", "response_flag=\"DC\"") == 1)
  }

  @Test("past its age an HTTP/2 connection gets GOAWAY, ends its streams, and closes")
  func age() throws {
    let (asked, go) = (Signal(), Signal())
    let backend = Backend.answering { _ in
      asked.raise()
      go.wait()
      return "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    }
    let proxy = try TestProxy(
      [.forward(backend.address, .http1)], limits: .with { $0.maximumConnectionAge = .milliseconds(500) })
    let client = try HTTP2Peer(try proxy.connect())
    let stream = try client.request(.get, "/")
    #expect(asked.wait())
    while !client.isGoingAway { try client.step() }
    go.raise()
    #expect(try client.finish(stream).body.count == 2)
    #expect(throws: Never.self) { try client.peer.readToEnd() }
    #expect(try proxy.count("limit_hits_total", "connection_age\"") == 1)
    // The listener goes on.
    let next = try HTTP2Peer(try proxy.connect())
    #expect(try next.finish(next.request(.get, "/")).status == 200)
  }

  @Test("streams that outlast the grace of an old connection are cut")
  func ageGrace() throws {
    let cut = Promise<Bool>()
    let backend = Backend { peer, _ in
      _ = try peer.message()
      cut.put(peer.isCut())
    }
    let limits = ProxyLimits.with {
      $0.maximumConnectionAge = .milliseconds(500)
      $0.connectionAgeGrace = .milliseconds(20)
    }
    let proxy = try TestProxy([.forward(backend.address, .http1)], limits: limits)
    let client = try HTTP2Peer(try proxy.connect())
    _ = try client.request(.get, "/")
    #expect(try cut.get())
    #expect(try proxy.count("limit_hits_total", "connection_age_grace") == 1)
  }

  @Test("past its age an HTTP/1 connection ends with its next response")
  func http1Age() throws {
    let backend = Backend.named("b")
    let proxy = try TestProxy.forwarding(
      to: backend, limits: .with { $0.maximumConnectionAge = .milliseconds(500) })
    let client = try proxy.connect()
    let first = try client.exchange(Self.get)
    #expect(first.value("connection") == nil)
    let start = try proxy.onLoop { $0.loop.now }
    #expect(try proxy.becomes { $0.loop.now - start > .milliseconds(600) })
    let last = try client.exchange(Self.get)
    #expect(last.text == "b")
    #expect(last.value("connection")?.lowercased() == "close")
    #expect(client.isCut())
    #expect(try proxy.count("limit_hits_total", "connection_age") == 1)
  }

  @Test("an idle HTTP/2 client is told before its connection closes, and is served while it has not heard")
  func idle() throws {
    let backend = Backend.named("b")
    let proxy = try TestProxy(
      [.forward(backend.address, .http1)], limits: .with { $0.downstreamIdleTimeout = .milliseconds(500) })
    let client = try HTTP2Peer(try proxy.connect())
    #expect(try client.finish(client.request(.get, "/")).status == 200)
    // Not reading: GOAWAY and PING wait in the socket. The stream still gets in before the PING's answer.
    let start = try proxy.onLoop { $0.loop.now }
    #expect(try proxy.becomes { $0.loop.now - start > .milliseconds(700) })
    #expect(try proxy.count("limit_hits_total", "downstream_idle_timeout") == 1)
    #expect(try client.finish(client.request(.post, "/")).status == 200)
    #expect(client.isGoingAway)
    #expect(throws: Never.self) { try client.peer.readToEnd() }
  }

  @Test("timers of connections that are gone are gone as well")
  func noTimerLeak() throws {
    let backend = Backend.named("b")
    let proxy = try TestProxy([.forward(backend.address, .http1)])
    let before = try proxy.onLoop { $0.loop.armedTimers }
    for _ in 0..<50 {
      let client = try HTTP2Peer(try proxy.connect())
      #expect(try client.finish(client.request(.get, "/")).status == 200)
      client.peer.close()
    }
    #expect(try proxy.becomes { $0.downstreamConnectionCount == 0 && $0.loop.armedTimers <= before })
  }
}
