import MeshCore
import MeshHTTP
import MeshPolicy
import Testing

@testable import MeshProxy

/// What clients see of an HTTP/2 server that breaks off, contradicts itself or breaks the protocol, step by step.
///
/// Every case runs for a client of HTTP/1 and for one of HTTP/2. After it the same server behaves: by the same connection
/// when one stream was at fault, by a new one when the connection was.
@Suite("HTTP/2 servers that misbehave")
struct MisbehavingServerTests {
  private typealias F = FramePeer

  /// A server that runs `script` for `/bad` and answers everything else.
  private static func backend(_ script: @escaping @Sendable (FramePeer, UInt32) throws -> Void, _ bad: Count) -> Backend
  {
    Backend { peer, _ in
      let server = FramePeer(peer)
      try server.send(F.settings())
      try server.readPreface()
      while true {
        let request = try server.request()
        if request.path == "/bad" {
          _ = bad.next()
          try script(server, request.stream)
        } else {
          try server.send(F.headers(request.stream, (":status", "200")), F.data(request.stream, "good", end: true))
        }
      }
    }
  }

  private static func proxy(_ backend: Backend, limits: ProxyLimits = ProxyLimits()) throws -> TestProxy {
    try TestProxy.serving([backend.address], limits: limits, appProtocol: .http2)
  }

  /// The status of an answer that is whole, 0 for one that is cut off.
  private static func http1(_ proxy: TestProxy, _ path: String) throws -> Int {
    let client = try proxy.connect()
    try client.send("GET \(path) HTTP/1.1\r\nHost: orders\r\n\r\n")
    do {
      var answer = try client.message()
      while answer.status < 200 { answer = try client.message() }
      return answer.status
    } catch let problem as SocketProblem {
      // Cut, and not just silent (EAGAIN).
      #expect(!problem.description.hasSuffix("errno 11"))
      return 0
    }
  }

  private static func http2(_ proxy: TestProxy, _ path: String) throws -> Int {
    let client = try HTTP2Peer(try proxy.connect())
    let answer = try client.finish(client.request(.get, path))
    if answer.isEnded { return answer.status }
    #expect(answer.reset == .internalError)
    return 0
  }

  private static func check(_ test: ServerFault, _ client: (TestProxy, String) throws -> Int) throws {
    let bad = Count()
    let backend = backend(test.script, bad)
    let proxy = try proxy(backend)
    #expect(try client(proxy, "/bad") == test.status)
    #expect(bad.value == test.sent)
    #expect(try proxy.becomes { $0.exchangeCount == 0 })
    let flag = test.flag.isEmpty ? "response_flag=\"-\"" : "response_flag=\"\(test.flag)\""
    #expect(try proxy.count("response_total", flag) == 1)
    let before = backend.connections
    #expect(try client(proxy, "/good") == 200)
    #expect(backend.connections - before == (test.scope == .stream ? 0 : 1))
    #expect(try proxy.count("protocol_errors_total") == (test.reason.isEmpty ? 0 : 1))
    if !test.reason.isEmpty {
      #expect(try proxy.count("protocol_errors_total", "direction=\"outbound\"", test.reason) == 1)
    }
  }

  @Test("a client of HTTP/1 and one of HTTP/2 see the fault for what it is", arguments: ServerFault.all)
  func fault(_ test: ServerFault) throws {
    try Self.check(test, Self.http1)
    try Self.check(test, Self.http2)
  }

  // MARK: - A server that does not get as far as a request

  private static let silence = ProxyLimits.with { $0.settingsTimeout = .milliseconds(200) }

  @Test(
    "a server that does not speak HTTP/2 is a 502 at once, or after the time limit for its SETTINGS",
    arguments: [
      "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", "SSH-2.0-OpenSSH_9.2\r\n", "",
    ])
  func otherProtocol(greeting: String) throws {
    let backend = Backend { peer, _ in
      try FramePeer(peer).readPreface()
      try peer.send(greeting)
      while !peer.isCut() {}
    }
    let proxy = try Self.proxy(backend, limits: Self.silence)
    #expect(try Self.http1(proxy, "/bad") == 502)
    #expect(try Self.http2(proxy, "/bad") == 502)
    #expect(try proxy.count("response_total", "response_flag=\"UPE\"") == 2)
    #expect(try proxy.count("protocol_errors_total", "http2_connection_error") == 2)
    #expect(backend.connections == 2)
  }

  private static let openings: [[UInt8]] = [
    F.frame(6, 0, 0, [0, 0, 0, 0, 0, 0, 0, 0]), F.frame(4, 1, 0), F.headers(1, end: true, (":status", "200")),
    F.settings((2, 1)), F.settings((4, 0x8000_0000)), F.settings((5, 100)), F.frame(4, 0, 0, [0, 4, 0, 0, 0]),
    F.frame(4, 0, 1), F.settings() + F.frame(4, 1, 0, [0, 4, 0, 0, 0, 1]),
  ]

  @Test("a first frame that is not SETTINGS, or SETTINGS that break a rule, are a 502", arguments: openings)
  func brokenOpening(frames: [UInt8]) throws {
    let backend = Backend { peer, _ in
      try FramePeer(peer).readPreface()
      try peer.send(frames)
      while !peer.isCut() {}
    }
    let proxy = try Self.proxy(backend)
    #expect(try Self.http1(proxy, "/bad") == 502)
    #expect(try Self.http2(proxy, "/bad") == 502)
    #expect(try proxy.count("response_total", "response_flag=\"UPE\"") == 2)
    #expect(try proxy.count("protocol_errors_total", "http2_connection_error") == 2)
  }

  @Test(
    "a server that ends the connection in the middle of its SETTINGS is tried once more for a GET, never for a POST")
  func endsInSettings() throws {
    let backend = Backend { peer, _ in
      try FramePeer(peer).readPreface()
      try peer.send([0, 0, 6, 4])
    }
    let proxy = try Self.proxy(backend)
    #expect(try Self.http1(proxy, "/bad") == 503)
    #expect(backend.connections == 2)
    let answer = try proxy.connect().exchange("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n")
    #expect(answer.status == 503)
    #expect(backend.connections == 3)
    #expect(try proxy.count("response_total", "response_flag=\"UC\"") == 2)
  }

  @Test("a server that falls silent within a frame is given up after the idle timeout of streams")
  func silentWithinFrame() throws {
    let backend = Self.backend({ server, id in try server.send([0, 0, 9, 1, 4] + F.word(id) + [0x88]) }, Count())
    let proxy = try Self.proxy(backend, limits: .with { $0.streamIdleTimeout = .milliseconds(300) })
    #expect(try Self.http1(proxy, "/bad") == 504)
    #expect(try proxy.count("response_total", "response_flag=\"UT\"") == 1)
    #expect(try proxy.becomes { $0.exchangeCount == 0 })
  }
}
