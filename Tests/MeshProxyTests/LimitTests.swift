import MeshCore
import Testing

@testable import MeshProxy

@Suite("Limits in time and number, and the drain")
struct LimitTests {
  private static let get = "GET / HTTP/1.1\r\nHost: orders.shop\r\n\r\n"

  @Test("a head that takes too long is answered 408 and cut")
  func slowHead() throws {
    let backend = Backend.named("b")
    let proxy = try TestProxy.forwarding(to: backend, limits: .with { $0.headerTimeout = .milliseconds(500) })
    let client = try proxy.connect()
    try client.send("GET / HTTP/1.1\r\nHo")
    #expect(try client.message().status == 408)
    #expect(client.isCut())
    #expect(try proxy.count("limit_hits_total", "header_timeout") == 1)
  }

  @Test("a second head that takes too long is cut as well")
  func slowSecondHead() throws {
    let backend = Backend.named("b")
    let proxy = try TestProxy.forwarding(to: backend, limits: .with { $0.headerTimeout = .milliseconds(500) })
    let client = try proxy.connect()
    #expect(try client.exchange(Self.get).status == 200)
    try client.send("GET / HT")
    #expect(try client.message().status == 408)
    #expect(client.isCut())
  }

  @Test("a connection that never sends anything is closed")
  func silent() throws {
    let backend = Backend.named("b")
    let proxy = try TestProxy.forwarding(to: backend, limits: .with { $0.headerTimeout = .milliseconds(60) })
    #expect(try proxy.connect().isCut())
    #expect(try proxy.becomes { $0.downstreamConnectionCount == 0 })
    #expect(try proxy.count("limit_hits_total", "first_request_timeout") == 1)
  }

  @Test("an idle connection is closed after its time, without an answer")
  func idle() throws {
    let backend = Backend.named("b")
    let limits = ProxyLimits.with {
      $0.headerTimeout = .milliseconds(500)
      $0.downstreamIdleTimeout = .milliseconds(60)
    }
    let proxy = try TestProxy.forwarding(to: backend, limits: limits)
    let client = try proxy.connect()
    #expect(try client.exchange(Self.get).status == 200)
    #expect(client.isCut())
    #expect(try proxy.count("limit_hits_total", "downstream_idle_timeout") == 1)
  }

  @Test("504 when no configuration comes within the discovery timeout")
  func discovery() throws {
    let proxy = try TestProxy([.outboundProxy], limits: .with { $0.discoveryTimeout = .milliseconds(10) })
    let answer = try proxy.connect().exchange(Self.get)
    #expect(answer.status == 504)
    #expect(answer.text.contains("controller"))
    #expect(try proxy.count("response_total", "status_code=\"504\"", "response_flag=\"NC\"") == 1)
  }

  @Test("504 when the upstream sends nothing within the stream idle timeout")
  func streamIdle() throws {
    let cut = Promise<Bool>()
    let backend = Backend { peer, _ in
      _ = try peer.message()
      cut.put(peer.isCut())
    }
    let proxy = try TestProxy.forwarding(to: backend, limits: .with { $0.streamIdleTimeout = .milliseconds(10) })
    #expect(try proxy.connect().exchange(Self.get).status == 504)
    #expect(try cut.get())
    #expect(try proxy.count("response_total", "response_flag=\"UT\"") == 1)
  }

  @Test("an idle connection to the application is closed before the application tires of it")
  func upstreamIdle() throws {
    let cut = Promise<Bool>()
    let backend = Backend { peer, _ in
      _ = try peer.message()
      try peer.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
      cut.put(peer.isCut())
    }
    let proxy = try TestProxy.forwarding(
      to: backend, limits: .with { $0.upstreamIdleTimeout = .milliseconds(10) })
    let client = try proxy.connect()
    #expect(try client.exchange(Self.get).status == 200)
    #expect(try cut.get())
  }

  @Test("connections past the limit are refused, and one that ends makes room")
  func connections() throws {
    let backend = Backend.named("b")
    let proxy = try TestProxy.forwarding(
      to: backend, limits: .with { $0.maximumDownstreamConnections = 2 })
    let (a, b) = (try proxy.connect(), try proxy.connect())
    #expect(try a.exchange(Self.get).status == 200)
    #expect(try b.exchange(Self.get).status == 200)
    #expect(try proxy.connect().isCut())
    #expect(try proxy.count("limit_hits_total", "downstream_connections") == 1)
    a.close()
    #expect(try proxy.becomes { $0.downstreamConnectionCount == 1 })
    #expect(try proxy.connect().exchange(Self.get).status == 200)
  }

  @Test("a drain finishes what is in flight, closes what is idle, and refuses what is new")
  func drain() throws {
    let (asked, go) = (Signal(), Signal())
    let backend = Backend { peer, _ in
      while true {
        let request = try peer.message()
        if request.startLine.contains("slow") {
          asked.raise()
          go.wait()
        }
        try peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
      }
    }
    let proxy = try TestProxy.forwarding(to: backend)
    let (busy, idle) = (try proxy.connect(), try proxy.connect())
    #expect(try idle.exchange(Self.get).status == 200)
    try busy.send("GET /slow HTTP/1.1\r\nHost: h\r\n\r\n")
    #expect(asked.wait())
    let drained = Signal()
    let before = try proxy.onLoop { worker in
      worker.drain { drained.raise() }
      return worker.exchangeCount
    }
    #expect(before == 1)
    #expect(idle.isCut())
    #expect((try? proxy.connect())?.isCut() ?? true)
    go.raise()
    let answer = try busy.message()
    #expect(answer.text == "ok")
    #expect(answer.value("connection")?.lowercased() == "close")
    #expect(busy.isCut())
    #expect(drained.wait())
  }
}
