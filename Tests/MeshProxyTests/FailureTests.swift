import MeshCore
import MeshPolicy
import Testing

@testable import MeshProxy

/// What callers see when an endpoint, a route or a whole service is not there.
@Suite("Failures of the upstream")
struct FailureTests {
  private static let get = "GET / HTTP/1.1\r\nHost: orders.shop\r\n\r\n"

  /// Serves one request, then closes on the second without an answer. Later connections answer.
  private static func closingOnSecondRequest(_ requests: Promise<Message>) -> Backend {
    Backend { peer, number in
      _ = try peer.message()
      try peer.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst")
      requests.put(try peer.message())
      if number > 0 { try peer.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nagain") }
    }
  }

  @Test("a GET on a reused connection that closes before its answer is sent once more")
  func retriesGet() throws {
    let requests = Promise<Message>()
    let backend = Self.closingOnSecondRequest(requests)
    let proxy = try TestProxy.forwarding(to: backend)
    let client = try proxy.connect()
    #expect(try client.exchange(Self.get).text == "first")
    #expect(try client.exchange(Self.get).text == "first")
    #expect(backend.connections == 2)
    #expect(try proxy.onLoop { $0.counters.retries } == 1)
  }

  @Test("a POST with a body on a reused connection that closes is not sent again")
  func doesNotRetryPost() throws {
    let requests = Promise<Message>()
    let backend = Self.closingOnSecondRequest(requests)
    let proxy = try TestProxy.forwarding(to: backend)
    let client = try proxy.connect()
    #expect(try client.exchange(Self.get).text == "first")
    let answer = try client.exchange("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi")
    #expect(answer.status == 503)
    #expect(backend.connections == 1)
    #expect(try proxy.count("response_total", "response_flag=\"UC\"") == 1)
  }

  @Test("a new connection that closes without an answer is not tried again")
  func closesAtOnce() throws {
    let backend = Backend { peer, _ in _ = try peer.message() }
    let proxy = try TestProxy.forwarding(to: backend)
    let answer = try proxy.connect().exchange(Self.get)
    #expect(answer.status == 503)
    #expect(backend.connections == 1)
    #expect(try proxy.count("response_total", "status_code=\"503\"", "response_flag=\"UC\"") == 1)
  }

  @Test("an endpoint that refuses connections is passed over for one that answers")
  func triesNextEndpoint() throws {
    let nobody = ReservedPort()
    let backend = Backend.named("b")
    let proxy = try TestProxy.serving([nobody.address, backend.address])
    for _ in 0..<20 {
      #expect(try proxy.connect().exchange(Self.get).text == "b")
    }
    #expect(try proxy.onLoop { $0.counters.retries } > 0)
  }

  @Test("503 with the flag UF when every endpoint refuses connections")
  func allRefuse() throws {
    let (a, b) = (ReservedPort(), ReservedPort())
    let proxy = try TestProxy.serving([a.address, b.address])
    let answer = try proxy.connect().exchange(Self.get)
    #expect(answer.status == 503)
    #expect(answer.text.hasPrefix("connect failure"))
    #expect(try proxy.count("response_total", "response_flag=\"UF\"", "dst_service=\"orders\"") == 1)
  }

  @Test("503 with the flag UH when the service has no endpoint")
  func noEndpoint() throws {
    let proxy = try TestProxy.serving([])
    let client = try proxy.connect()
    let answer = try client.exchange(Self.get)
    #expect(answer.status == 503)
    #expect(answer.value("server") == "apus")
    #expect(answer.text == "no endpoint: the service has no ready workload\n")
    #expect(try proxy.count("response_total", "response_flag=\"UH\"") == 1)
    #expect(try client.exchange("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n", isHead: true).status == 503)
    #expect(try client.exchange(Self.get).status == 503)
  }

  @Test("an answer that leaves a request's body unread announces the close")
  func unreadBody() throws {
    let proxy = try TestProxy.serving([])
    let client = try proxy.connect()
    let answer = try client.exchange("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\nstart")
    #expect(answer.status == 503)
    #expect(answer.value("connection")?.lowercased() == "close")
    #expect(client.isCut())
  }

  @Test("404 with the flag NR for a service that the control plane does not know, and 200 once it does")
  func unknownService() throws {
    let backend = Backend.named("b")
    let proxy = try TestProxy([.outboundProxy])
    let client = try proxy.connect()
    try client.send("GET http://orders/ HTTP/1.1\r\nHost: orders\r\n\r\n")
    #expect(try proxy.becomes { !$0.services.isEmpty })
    proxy.apply(ConfigUpdate(services: [(.orders, nil)]))
    #expect(try client.message().status == 404)
    #expect(proxy.asked.all == [.orders])
    #expect(try proxy.count("response_total", "status_code=\"404\"", "response_flag=\"NR\"") == 1)
    proxy.configure([backend.address])
    #expect(try client.exchange("GET http://orders.shop:80/ HTTP/1.1\r\nHost: orders\r\n\r\n").text == "b")
  }

  @Test("404 when no rule matches")
  func noMatch() throws {
    let backend = Backend.named("b")
    let rule = RouteRule.toOrders(matches: [RouteMatch(path: .prefix("/api"))])
    let proxy = try TestProxy.serving([backend.address], rules: [rule])
    let client = try proxy.connect()
    #expect(try client.exchange("GET /other HTTP/1.1\r\nHost: h\r\n\r\n").status == 404)
    #expect(try client.exchange("GET /api/x HTTP/1.1\r\nHost: h\r\n\r\n").text == "b")
    #expect(try proxy.count("response_total", "response_flag=\"NR\"") == 1)
  }

  @Test("500 for a rule whose backends are not valid")
  func failureStatus() throws {
    let proxy = try TestProxy.serving([], rules: [.toOrders(failureStatus: 500)])
    let answer = try proxy.connect().exchange(Self.get)
    #expect(answer.status == 500)
    #expect(answer.text.hasPrefix("invalid backend"))
  }

  @Test("503 when every weight of the rule is 0")
  func noWeight() throws {
    let backend = Backend.named("b")
    let proxy = try TestProxy.serving([backend.address], rules: [.toOrders(weight: 0)])
    #expect(try proxy.connect().exchange(Self.get).status == 503)
    #expect(backend.connections == 0)
  }

  @Test(
    "an answer that is not HTTP is a 502 with the flag UPE",
    arguments: [
      "garbage\r\n\r\n", "HTTP/1.1 2000 OK\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    ])
  func garbage(answer: String) throws {
    let backend = Backend.answering { _ in answer }
    let proxy = try TestProxy.forwarding(to: backend)
    let client = try proxy.connect()
    #expect(try client.exchange(Self.get).status == 502)
    #expect(try proxy.count("response_total", "response_flag=\"UPE\"") == 1)
    #expect(try proxy.count("protocol_errors_total", "direction=\"outbound\"") == 1)
    #expect(try client.exchange(Self.get).status == 502)
  }

  @Test(
    "an upstream that closes in the middle of the body cuts the client's connection, never ends it cleanly",
    arguments: ["Content-Length: 10", "Transfer-Encoding: chunked"])
  func truncated(framing: String) throws {
    let backend = Backend { peer, _ in
      _ = try peer.message()
      try peer.send(
        "HTTP/1.1 200 OK\r\n\(framing)\r\n\r\n" + (framing.hasPrefix("C") ? "12345" : "5\r\n12345\r\n3\r\n12"))
    }
    let proxy = try TestProxy.forwarding(to: backend)
    let client = try proxy.connect()
    try client.send(Self.get)
    #expect(throws: SocketProblem.self) {
      while true {
        let bytes = try client.receive()
        if bytes.isEmpty { break }
        #expect(!String(decoding: bytes, as: UTF8.self).hasSuffix("0\r\n\r\n"))
      }
    }
    #expect(try proxy.count("response_total", "response_flag=\"UC\"") == 1)
  }

  @Test(
    "an upstream that closes before its final head is complete is noticed at once",
    arguments: ["", "HTTP/1.1 20", "HTTP/1.1 200 OK\r\nContent-Le", "HTTP/1.1 100 Continue\r\n\r\n"])
  func truncatedHead(part: String) throws {
    let backend = Backend { peer, _ in
      _ = try peer.message()
      try peer.send(part)
    }
    let proxy = try TestProxy.forwarding(to: backend)
    let client = try proxy.connect()
    var answer = try client.exchange(Self.get)
    if answer.status == 100 { answer = try client.message() }
    #expect(answer.status == 503)
    #expect(try proxy.count("response_total", "response_flag=\"UC\"") == 1)
  }

  @Test("an upstream that closes within the line of a chunk's size cuts the client")
  func truncatedChunkSize() throws {
    let backend = Backend { peer, _ in
      _ = try peer.message()
      try peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5")
    }
    let proxy = try TestProxy.forwarding(to: backend)
    let client = try proxy.connect()
    #expect(throws: SocketProblem.self) { try client.exchange(Self.get) }
    #expect(try proxy.count("response_total", "response_flag=\"UC\"") == 1)
  }

  @Test("a client that leaves cancels the request at the upstream")
  func clientLeaves() throws {
    let (asked, cut) = (Signal(), Promise<Bool>())
    let backend = Backend { peer, _ in
      _ = try peer.message()
      asked.raise()
      cut.put(peer.isCut())
    }
    let proxy = try TestProxy.forwarding(to: backend)
    let client = try proxy.connect()
    try client.send(Self.get)
    #expect(asked.wait())
    client.reset()
    #expect(try cut.get())
    #expect(try proxy.becomes { $0.exchangeCount == 0 })
    #expect(try proxy.count("response_total", "status_code=\"0\"", "response_flag=\"DC\"") == 1)
  }

  @Test("an early answer ends an upload: the client gets it and the connection closes")
  func earlyAnswer() throws {
    let backend = Backend { peer, _ in
      _ = try peer.readThrough("\r\n\r\n")
      try peer.send("HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig")
      _ = peer.isCut()
    }
    let proxy = try TestProxy.forwarding(to: backend)
    let client = try proxy.connect()
    let answer = try client.exchange("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\nstart")
    #expect(answer.status == 413)
    #expect(client.isCut())
  }
}
