import MeshCore
import MeshHTTP
import MeshPolicy
import MeshRuntime
import Testing

@testable import MeshProxy

/// How long a rule lets a request take.
@Suite("Timeouts of a rule")
struct RouteTimeoutTests {
  private static let get = "GET / HTTP/1.1\r\nHost: orders\r\n\r\n"

  /// Takes requests and never answers.
  private static func silent() -> Backend {
    Backend { peer, _ in while !peer.isCut() {} }
  }

  private static func rule(request: Int64? = nil, backendRequest: Int64? = nil, retry: RetryPolicy? = nil) -> RouteRule
  {
    let timeouts = RouteTimeouts(
      request: request.map { .milliseconds($0) }, backendRequest: backendRequest.map { .milliseconds($0) })
    return .toOrders(timeouts: timeouts, retry: retry)
  }

  /// Repeats what a short limit cut on a machine that is busy with other tests.
  private static func becomes(_ attempt: () throws -> Bool) rethrows -> Bool {
    for _ in 0..<50 where try attempt() { return true }
    return false
  }

  @Test("504 with the flag DT when the whole request takes too long")
  func request() throws {
    let backend = Self.silent()
    let proxy = try TestProxy.serving([backend.address], rules: [Self.rule(request: 50, backendRequest: 5_000)])
    let client = try proxy.connect()
    for _ in 0..<2 {
      let answer = try client.exchange(Self.get)
      #expect(answer.status == 504)
      #expect(answer.text.contains("timeouts.request"))
    }
    #expect(backend.connections == 2)
    #expect(try proxy.count("response_total", "status_code=\"504\"", "response_flag=\"DT\"") == 2)
  }

  @Test("504 with the flag UT when an attempt takes too long")
  func backendRequest() throws {
    let backend = Self.silent()
    let proxy = try TestProxy.serving([backend.address], rules: [Self.rule(request: 5_000, backendRequest: 50)])
    let answer = try proxy.connect().exchange(Self.get)
    #expect(answer.status == 504)
    #expect(answer.text.contains("timeouts.backendRequest"))
    #expect(backend.connections == 1)
    #expect(try proxy.count("response_total", "status_code=\"504\"", "response_flag=\"UT\"") == 1)
  }

  @Test("an answer in time is not cut by the time limit of the one before it")
  func inTime() throws {
    let goesOn = Signal()
    let backend = Backend { peer, _ in
      while true {
        if try peer.message().startLine.contains("/slow") { goesOn.wait() }
        try peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
      }
    }
    let limit: Int64 = 200
    let proxy = try TestProxy.serving([backend.address], rules: [Self.rule(request: limit, backendRequest: limit)])
    let client = try proxy.connect()
    #expect(try Self.becomes { try client.exchange(Self.get).text == "ok" })
    // The same exchange and its timer serve the next request, which has no limits.
    let end = try proxy.onLoop { $0.loop.now } + .milliseconds(limit + 50)
    proxy.configure([backend.address])
    try client.send("GET /slow HTTP/1.1\r\nHost: orders\r\n\r\n")
    #expect(try proxy.becomes { $0.loop.now > end })
    goesOn.raise()
    #expect(try client.message().text == "ok")
  }

  @Test("an answer that does not end in time is cut", arguments: [true, false])
  func cut(ofRequest: Bool) throws {
    let backend = Backend { peer, _ in
      _ = try peer.message()
      try peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nstart")
      while !peer.isCut() {}
    }
    let rule = ofRequest ? Self.rule(request: 200) : Self.rule(backendRequest: 200)
    let proxy = try TestProxy.serving([backend.address], rules: [rule])
    // An answer that comes too late altogether is another matter: 504.
    let isCut = Self.becomes { (try? proxy.connect().exchange(Self.get)) == nil }
    #expect(isCut)
    let flag = "response_flag=\"\(ofRequest ? "DT" : "UT")\""
    #expect(try proxy.count("response_total", "status_code=\"200\"", flag) == 1)
  }

  @Test("of a rule's limit and the deadline of a gRPC call the shorter holds, and the backend learns it")
  func grpc() throws {
    let seen = Promise<String>()
    let backend = Backend { peer, _ in
      let server = try HTTP2Peer(peer, role: .server)
      var stream = HTTP2StreamID(rawValue: 0)
      while true {
        stream = try server.nextRequest(after: stream.rawValue)
        seen.put(server.stream(stream).head.value("grpc-timeout") ?? "none")
      }
    }
    let proxy = try TestProxy.serving([backend.address], rules: [Self.rule(request: 200)], appProtocol: .grpc)
    let client = try HTTP2Peer(proxy.connect())
    let fields = [("content-type", "application/grpc"), ("grpc-timeout", "9S")]
    let reached = try Self.becomes {
      let answer = try client.finish(client.request(.post, "/s/m", fields))
      #expect(answer.head.value("grpc-status") == "4")
      return seen.hasValue
    }
    #expect(reached)
    let text = try seen.get()
    let (number, unit) = (Int(text.dropLast()) ?? 0, text.last)
    #expect(unit == "u" && number <= 200_000 || unit == "m" && number <= 200 || unit == "n", "\(text)")
    #expect(try proxy.count("response_total", "grpc_status=\"4\"", "response_flag=\"DT\"") > 0)
  }

  @Test("an upgrade must be accepted in time, and then lasts as long as it likes")
  func upgrade() throws {
    let goesOn = Signal()
    let backend = Backend { peer, _ in
      _ = try peer.readThrough("\r\n\r\n")
      try peer.send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\n")
      goesOn.wait()
      try peer.send("late")
      _ = peer.isCut()
    }
    let proxy = try TestProxy.serving([backend.address], rules: [Self.rule(request: 200, backendRequest: 200)])
    var client = try proxy.connect()
    let isAccepted = try Self.becomes {
      client = try proxy.connect()
      try client.send("GET / HTTP/1.1\r\nHost: orders\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\n")
      return try client.readThrough("\r\n\r\n").hasPrefix("HTTP/1.1 101")
    }
    #expect(isAccepted)
    let end = try proxy.onLoop { $0.loop.now } + .milliseconds(250)
    #expect(try proxy.becomes { $0.loop.now > end })
    goesOn.raise()
    #expect(try client.readText(4) == "late")
  }

  @Test("an attempt that takes too long is repeated elsewhere, within the time of the whole")
  func repeated() throws {
    let good = Backend.named("good")
    let silent = Self.silent()
    let retry = RetryPolicy(attempts: 3, statusCodes: [], backoff: .milliseconds(1))
    let rule = Self.rule(request: 5_000, backendRequest: 200, retry: retry)
    let proxy = try TestProxy.serving([silent.address, good.address], rules: [rule])
    for _ in 0..<6 { #expect(try proxy.connect().exchange(Self.get).text == "good") }
    #expect(try proxy.count("retries_total", "reason=\"timeout\"", "backend=\"orders\"", "orders#0") > 0)
    let all = Self.rule(request: 300, backendRequest: 100, retry: retry)
    proxy.configure([silent.address], rules: [all])
    #expect(try proxy.connect().exchange(Self.get).status == 504)
  }
}
