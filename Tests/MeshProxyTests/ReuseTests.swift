import MeshCore
import MeshPolicy
import MeshRuntime
import Testing

@testable import MeshProxy

/// What an application sends when nobody asked is never the answer to the next request.
@Suite("Reuse of connections to HTTP/1 applications")
struct ReuseTests {
  private static let get = "GET / HTTP/1.1\r\nHost: h\r\n\r\n"
  private static let evil = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
  private static let good = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood"

  /// The first connection answers, then sends `unasked` or ends when told; others answer always.
  private static func backend(_ unasked: String, _ go: Signal, _ done: Signal) -> Backend {
    Backend { peer, number in
      _ = try peer.message()
      try peer.send(good)
      guard number == 0 else {
        while true {
          _ = try peer.message()
          try peer.send(good)
        }
      }
      go.wait()
      if unasked.isEmpty { peer.shutdownWrite() } else { try peer.send(unasked) }
      done.raise()
      while !peer.isCut() {}
    }
  }

  @Test("bytes that come while a connection is idle end it", arguments: [evil, "x", ""])
  func whileIdle(unasked: String) throws {
    let (go, done) = (Signal(), Signal())
    let backend = Self.backend(unasked, go, done)
    let proxy = try TestProxy.forwarding(to: backend)
    let client = try proxy.connect()
    #expect(try client.exchange(Self.get).text == "good")
    go.raise()
    #expect(done.wait())
    #expect(try proxy.becomes { $0.loop.counters.closes > 0 })
    #expect(try client.exchange(Self.get).text == "good")
    #expect(backend.connections == 2)
  }

  @Test("bytes still in the kernel when an idle connection is used again are found, and a POST loses nothing")
  func inTheKernel() throws {
    for unasked in [Self.evil, ""] {
      let (go, done) = (Signal(), Signal())
      let backend = Self.backend(unasked, go, done)
      let proxy = try TestProxy.forwarding(to: backend, limits: .with { $0.reuseCheckIdle = .zero })
      let client = try proxy.connect()
      #expect(try client.exchange(Self.get).text == "good")
      // The loop stands still while the bytes and the next request arrive: both are in the same turn.
      let (isStanding, goesOn) = (Signal(), Signal())
      onThread {
        _ = try? proxy.onLoop { _ in
          isStanding.raise()
          goesOn.wait()
        }
      }
      #expect(isStanding.wait())
      try client.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi")
      go.raise()
      #expect(done.wait())
      goesOn.raise()
      #expect(try client.message().text == "good")
      #expect(backend.connections == 2)
      #expect(try proxy.count("response_total", "response_flag=\"-\"") == 2)
    }
  }

  @Test("bytes that are read before the request has left are not its answer; the request goes elsewhere")
  func beforeTheRequest() throws {
    let (go, done) = (Signal(), Signal())
    let backend = Self.backend(Self.evil, go, done)
    // Without the look into the kernel the order of events in the turn decides; both orders must end well.
    let proxy = try TestProxy.forwarding(to: backend, limits: .with { $0.reuseCheckIdle = .seconds(3600) })
    let client = try proxy.connect()
    #expect(try client.exchange(Self.get).text == "good")
    let (isStanding, goesOn) = (Signal(), Signal())
    onThread {
      _ = try? proxy.onLoop { _ in
        isStanding.raise()
        goesOn.wait()
      }
    }
    #expect(isStanding.wait())
    // First the request, so that its event comes first.
    try client.send(Self.get)
    go.raise()
    #expect(done.wait())
    goesOn.raise()
    #expect(try client.message().text == "good")
    #expect(backend.connections == 2)
    #expect(try proxy.count("protocol_errors_total", "unasked_response") == 1)
    #expect(try proxy.count("response_total", "response_flag=\"-\"") == 2)
  }

  @Test("a server that greets before it is asked is not spoken to")
  func greeting() throws {
    let backend = Backend { peer, _ in
      try peer.send("220 mail ESMTP\r\n")
      while !peer.isCut() {}
    }
    let proxy = try TestProxy.forwarding(to: backend)
    #expect(try proxy.connect().exchange(Self.get).status == 502)
    #expect(try proxy.count("response_total", "response_flag=\"UPE\"") == 1)
  }

  @Test("a busy connection is used again without asking the kernel")
  func noSystemCall() throws {
    let backend = Backend.answering { _ in Self.good }
    let proxy = try TestProxy.forwarding(to: backend, limits: .with { $0.reuseCheckIdle = .seconds(3600) })
    let client = try proxy.connect()
    _ = try client.exchange(Self.get)
    let before = try proxy.onLoop { $0.loop.counters.reads }
    for _ in 0..<100 { _ = try client.exchange(Self.get) }
    // One read of each side for each request.
    #expect(try proxy.onLoop { $0.loop.counters.reads } - before == 200)
    #expect(backend.connections == 1)
  }
}
