import MeshCore
import MeshHTTP
import MeshPolicy
import MeshRuntime
import Testing

@testable import MeshProxy

@Suite("HTTP/2 with prior knowledge")
struct HTTP2Tests {
  /// Echoes bodies, answers GET with its path.
  private static func echo() -> Backend {
    Backend.answering { request in
      let body = request.body.isEmpty ? String(request.startLine.split(separator: " ")[1]) : request.text
      return "HTTP/1.1 200 OK\r\nX-Length: \(body.utf8.count)\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
    }
  }

  @Test("a GET goes to an HTTP/1 endpoint and its answer comes back")
  func get() throws {
    let seen = Promise<Message>()
    let backend = Backend.answering {
      seen.put($0)
      return "HTTP/1.1 200 OK\r\nX-Upper: Case\r\nConnection: keep-alive\r\n"
        + "Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"
    }
    let proxy = try TestProxy.serving([backend.address])
    let client = try HTTP2Peer(try proxy.connect())
    let answer = try client.finish(
      client.request(.get, "/a?b", [("x-one", "1"), ("cookie", "a=1"), ("cookie", "b=2")]))
    #expect(answer.status == 200)
    #expect(String(decoding: answer.body, as: UTF8.self) == "hi")
    #expect(answer.head.value("x-upper") == "Case")
    #expect(answer.head.head.contains("x-upper"))
    #expect(answer.head.value("connection") == nil)
    #expect(answer.head.value("transfer-encoding") == nil)
    let request = try seen.get()
    #expect(request.startLine == "GET /a?b HTTP/1.1")
    #expect(request.value("host") == "orders.shop")
    #expect(request.value("cookie") == "a=1; b=2")
  }

  @Test("bodies pass both ways, two megabytes through the windows of flow control", arguments: [1, 16_385, 2 << 20])
  func bodies(size: Int) throws {
    let backend = Self.echo()
    let proxy = try TestProxy.serving([backend.address])
    let client = try HTTP2Peer(try proxy.connect())
    let body = (0..<size).map { UInt8(97 + $0 % 26) }
    for length in [true, false] {
      let fields = length ? [("content-length", "\(size)")] : []
      let stream = try client.request(.post, "/", fields, endStream: false)
      try client.send(body, on: stream)
      let answer = try client.finish(stream)
      #expect(answer.status == 200)
      #expect(answer.body == body)
    }
  }

  @Test("trailers pass both ways")
  func trailers() throws {
    let backend = Backend.answering { request in
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-End: \(request.trailers)\r\n\r\n"
    }
    let proxy = try TestProxy.serving([backend.address])
    let client = try HTTP2Peer(try proxy.connect())
    let stream = try client.request(.post, "/", endStream: false)
    try client.send([1, 2, 3], on: stream, endStream: false)
    let trailers = MessageHead()
    trailers.append(name: "x-sum", value: "6")
    client.engine.sendTrailers(trailers, on: stream)
    try client.flush()
    let answer = try client.finish(stream)
    #expect(answer.body == [0x61])
    #expect(answer.trailers == "x-end: x-sum: 6")
  }

  @Test("a reset by the client cancels the request at the upstream")
  func reset() throws {
    let (asked, cut) = (Signal(), Promise<Bool>())
    let backend = Backend { peer, _ in
      _ = try peer.message()
      asked.raise()
      cut.put(peer.isCut())
    }
    let proxy = try TestProxy.serving([backend.address])
    let client = try HTTP2Peer(try proxy.connect())
    let stream = try client.request(.get, "/")
    #expect(asked.wait())
    client.engine.sendReset(stream, .cancel)
    try client.flush()
    #expect(try cut.get())
    #expect(try proxy.becomes { $0.exchangeCount == 0 })
    #expect(try proxy.count("response_total", "response_flag=\"DC\"") == 1)
  }

  @Test("an upstream that closes in mid-body resets the stream and leaves the connection")
  func truncated() throws {
    let backend = Backend { peer, number in
      _ = try peer.message()
      try peer.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n1234" + (number > 0 ? "56789" : ""))
    }
    let proxy = try TestProxy.serving([backend.address])
    let client = try HTTP2Peer(try proxy.connect())
    let cut = try client.finish(client.request(.get, "/"))
    #expect(cut.reset == .internalError)
    #expect(!cut.isEnded)
    #expect(try client.finish(client.request(.get, "/")).body.count == 9)
  }

  @Test("a hundred streams at once, each with its own answer")
  func manyStreams() throws {
    let backend = Self.echo()
    let proxy = try TestProxy.serving([backend.address])
    let client = try HTTP2Peer(try proxy.connect())
    let streams = try (0..<100).map { try client.request(.get, "/\($0)") }
    for (i, stream) in streams.enumerated() {
      #expect(String(decoding: try client.finish(stream).body, as: UTF8.self) == "/\(i)")
    }
    #expect(try proxy.count("response_total", "status_code=\"200\"") == 100)
  }

  @Test("failures are answered on their stream, with the connection left open")
  func failures() throws {
    let proxy = try TestProxy.serving([], rules: [.toOrders(matches: [RouteMatch(path: .exact("/a"))])])
    let client = try HTTP2Peer(try proxy.connect())
    #expect(try client.finish(client.request(.get, "/a")).status == 503)
    let answer = try client.finish(client.request(.head, "/b"))
    #expect(answer.status == 404)
    #expect(answer.body.isEmpty)
    #expect(answer.head.value("x-apus-response-flag") == nil)
  }

  @Test("an extended CONNECT becomes an upgrade at an HTTP/1 endpoint")
  func extendedConnect() throws {
    let seen = Promise<String>()
    let backend = Backend { peer, _ in
      seen.put(try peer.readThrough("\r\n\r\n"))
      try peer.send("HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\nhello")
      try peer.send(try peer.read(4))
    }
    let proxy = try TestProxy.serving([backend.address])
    let client = try HTTP2Peer(try proxy.connect())
    while !client.engine.peerEnablesConnectProtocol { try client.step() }
    guard let stream = client.engine.openStream() else { return #expect(Bool(false), "no stream") }
    let head = HTTP2Peer.head(.connect, "/chat")
    head.connectProtocol = head.intern("chat")
    client.engine.sendHead(head, on: stream, endStream: false)
    try client.flush()
    while client.stream(stream).body.count < 5 { try client.step() }
    #expect(client.stream(stream).status == 200)
    try client.send(Array("ping".utf8), on: stream, endStream: false)
    while client.stream(stream).body.count < 9 { try client.step() }
    #expect(String(decoding: client.stream(stream).body, as: UTF8.self) == "helloping")
    #expect(try seen.get().lowercased().contains("upgrade: chat"))
  }

  @Test("a drain sends GOAWAY, finishes the streams in flight and closes")
  func drain() throws {
    let (asked, go) = (Signal(), Signal())
    let backend = Backend { peer, _ in
      _ = try peer.message()
      asked.raise()
      go.wait()
      try peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
      _ = peer.isCut()
    }
    let proxy = try TestProxy.serving([backend.address])
    let client = try HTTP2Peer(try proxy.connect())
    let stream = try client.request(.get, "/")
    #expect(asked.wait())
    let drained = Signal()
    _ = try proxy.onLoop { $0.drain { drained.raise() } }
    while !client.isGoingAway { try client.step() }
    go.raise()
    #expect(try client.finish(stream).body.count == 2)
    #expect(drained.wait())
    #expect(client.peer.isCut())
  }

  @Test("a client that gives no credit stops a large answer, and gets all of it later")
  func noCredit() throws {
    let total = 24 << 20
    let stuck = Promise<Int>()
    let backend = Backend { peer, _ in
      _ = try peer.message()
      try peer.send("HTTP/1.1 200 OK\r\nContent-Length: \(total)\r\n\r\n")
      let sent = peer.sendUntilBlocked(total)
      stuck.put(sent)
      try peer.send([UInt8](repeating: 0x61, count: total - sent))
      _ = peer.isCut()
    }
    let proxy = try TestProxy.serving([backend.address])
    let client = try HTTP2Peer(try proxy.connect())
    client.givesCredit = false
    let stream = try client.request(.get, "/")
    let window = 1 << 20
    while client.stream(stream).body.count < window { try client.step() }
    #expect(try stuck.get() < total)
    #expect(try proxy.onLoop { $0.bytesHeld } < 1 << 20)
    #expect(client.stream(stream).body.count == window)
    client.givesCredit = true
    client.engine.consumed(window, on: stream)
    try client.flush()
    #expect(try client.finish(stream).body.count == total)
  }

  @Test("an upstream that closes after its whole answer does not cut a client that reads late")
  func closesAfterAnswer() throws {
    let window = 1 << 20
    let count = window + 20_000
    let backend = Backend { peer, _ in
      _ = try peer.message()
      try peer.send("HTTP/1.1 200 OK\r\nContent-Length: \(count)\r\n\r\n")
      try peer.send([UInt8](repeating: 0x61, count: count))
    }
    let proxy = try TestProxy.serving([backend.address])
    let client = try HTTP2Peer(try proxy.connect())
    client.givesCredit = false
    let stream = try client.request(.get, "/")
    while client.stream(stream).body.count < window { try client.step() }
    #expect(try proxy.becomes { $0.loop.counters.bytesRead >= UInt64(count) })
    client.givesCredit = true
    client.engine.consumed(window, on: stream)
    try client.flush()
    let answer = try client.finish(stream)
    #expect(answer.body.count == count)
    #expect(answer.reset == nil)
  }

  @Test(
    "an endpoint outside the mesh is spoken to as its port's appProtocol says, and anew when that changes",
    arguments: [[(AppProtocol.http2, "PRI"), (.http, "GET")], [(.tcp, "GET"), (.grpc, "PRI")]])
  func appProtocol(expected: [(AppProtocol, String)]) throws {
    let seen = expected.map { _ in Promise<String>() }
    let backend = Backend { peer, number in
      seen[number].put(try peer.readText(3))
      while !peer.isCut() {}
    }
    let proxy = try TestProxy.serving([backend.address])
    for (number, (appProtocol, start)) in expected.enumerated() {
      proxy.configure([backend.address], appProtocol: appProtocol)
      let client = try proxy.connect(1)
      try client.send("GET http://orders.shop/ HTTP/1.1\r\nHost: orders.shop\r\n\r\n")
      #expect(try seen[number].get() == start)
      client.reset()
      #expect(try proxy.becomes { $0.exchangeCount == 0 })
    }
  }

  @Test("requests travel to an application that speaks HTTP/2 on one connection")
  func toHTTP2() throws {
    let backend = Backend { peer, _ in
      let server = try HTTP2Peer(peer, role: .server)
      var answered: Set<UInt32> = []
      while true {
        try server.step()
        for (id, stream) in server.streams where stream.isEnded && answered.insert(id).inserted {
          let head = MessageHead()
          head.status = 200
          let stream = HTTP2StreamID(rawValue: id)
          server.engine.sendHead(head, on: stream, endStream: false)
          try server.send(Array(server.stream(stream).path.utf8) + server.stream(stream).body, on: stream)
        }
      }
    }
    let proxy = try TestProxy([.inboundPlaintext])
    let port = InboundPortConfig(port: 8080, appProtocol: .grpc, service: .orders, application: backend.address)
    proxy.apply(ConfigUpdate(workload: WorkloadUpdate(name: "orders-0", ports: [port])))
    let client = try proxy.connect()
    for i in 0..<5 {
      #expect(try client.exchange("GET /\(i) HTTP/1.1\r\nHost: orders:8080\r\n\r\n").text == "/\(i)")
    }
    let answer = try client.exchange(
      "POST /p HTTP/1.1\r\nHost: orders:8080\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
    #expect(answer.text == "/pabc")
    let second = try HTTP2Peer(try proxy.connect())
    #expect(try second.finish(second.request(.get, "/h2")).body == Array("/h2".utf8))
    #expect(backend.connections == 1)
  }
}
