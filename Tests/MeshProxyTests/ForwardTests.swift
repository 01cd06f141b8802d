import MeshCore
import Testing

@testable import MeshProxy

/// HTTP/1 in, HTTP/1 out: what a plain forwarder must let through unchanged.
@Suite("HTTP/1 through the proxy")
struct ForwardTests {
  @Test("the letter case of field names is kept in both directions")
  func fieldCase() throws {
    let seen = Promise<String>()
    let backend = Backend.answering { request in
      seen.put(request.head)
      return "HTTP/1.1 200 OK\r\nX-ODD-case: b\r\nContent-Length: 2\r\n\r\nhi"
    }
    let proxy = try TestProxy.forwarding(to: backend)
    let answer = try proxy.connect().exchange("GET /a?b HTTP/1.1\r\nHost: h\r\nx-MiXed-Case: a\r\n\r\n")
    #expect(try seen.get().hasPrefix("GET /a?b HTTP/1.1\r\nHost: h\r\n"))
    #expect(try seen.get().contains("x-MiXed-Case: a"))
    #expect(answer.head.contains("X-ODD-case: b"))
    #expect(answer.text == "hi")
  }

  @Test("an HTTP/1.0 client gets a chunked answer without chunks, ended by the close")
  func http10() throws {
    let backend = Backend.answering { _ in
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    }
    let proxy = try TestProxy.forwarding(to: backend)
    let client = try proxy.connect()
    try client.send("GET / HTTP/1.0\r\nHost: h\r\n\r\n")
    let text = String(decoding: try client.readToEnd(), as: UTF8.self)
    #expect(text.hasSuffix("\r\n\r\nabcde"))
    #expect(!text.lowercased().contains("transfer-encoding"))
  }

  @Test("an answer that ends with the upstream's close is chunked for an HTTP/1.1 client")
  func closeDelimited() throws {
    let backend = Backend { peer, _ in
      _ = try peer.message()
      try peer.send("HTTP/1.1 200 OK\r\n\r\nuntil the end")
    }
    let proxy = try TestProxy.forwarding(to: backend)
    let client = try proxy.connect()
    for _ in 0..<2 {
      let answer = try client.exchange("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
      #expect(answer.isChunked)
      #expect(answer.text == "until the end")
    }
  }

  @Test("pipelined requests are answered in their order")
  func pipelining() throws {
    let backend = Backend.answering { request in
      let path = String(request.startLine.split(separator: " ")[1])
      return "HTTP/1.1 200 OK\r\nContent-Length: \(path.count)\r\n\r\n\(path)"
    }
    let proxy = try TestProxy.forwarding(to: backend)
    let client = try proxy.connect()
    try client.send((0..<20).map { "GET /\($0) HTTP/1.1\r\nHost: h\r\n\r\n" }.joined())
    for i in 0..<20 { #expect(try client.message().text == "/\(i)") }
  }

  @Test("pipelined requests are all answered when the client closes its sending side after them")
  func pipeliningThenHalfClose() throws {
    let backend = Backend.named("b")
    let proxy = try TestProxy.forwarding(to: backend)
    let client = try proxy.connect()
    try client.send(String(repeating: "GET / HTTP/1.1\r\nHost: h\r\n\r\n", count: 3))
    client.shutdownWrite()
    for _ in 0..<3 { #expect(try client.message().status == 200) }
    #expect(client.isCut())
  }

  @Test("chunked messages with trailers pass in both directions")
  func trailers() throws {
    let backend = Backend.answering { request in
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-End\r\n\r\n"
        + "\(String(request.body.count, radix: 16))\r\n\(request.text)\r\n0\r\nX-End: \(request.trailers)\r\n\r\n"
    }
    let proxy = try TestProxy.forwarding(to: backend)
    let client = try proxy.connect()
    for _ in 0..<2 {
      let answer = try client.exchange(
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n1\r\ne\r\n0\r\nX-Sum: 5\r\n\r\n")
      #expect(answer.text == "abcde")
      #expect(answer.trailers == "X-End: X-Sum: 5")
    }
    #expect(backend.connections == 1)
  }

  @Test("a body with a length passes and the connections serve again")
  func lengths() throws {
    let backend = Backend.answering { "HTTP/1.1 200 OK\r\nContent-Length: \($0.body.count)\r\n\r\n\($0.text)" }
    let proxy = try TestProxy.forwarding(to: backend)
    let client = try proxy.connect()
    for size in [0, 1, 10, 5_000, 300_000] {
      let body = String(repeating: "x", count: size)
      let answer = try client.exchange("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: \(size)\r\n\r\n\(body)")
      #expect(answer.text == body)
    }
    #expect(backend.connections == 1)
  }

  @Test("answers to HEAD, 204 and 304 have no body, and the connection stays in step", arguments: [200, 204, 304])
  func withoutBody(status: Int) throws {
    let backend = Backend.answering { request in
      guard request.startLine.hasPrefix("HEAD") || status != 200 else {
        return "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnext"
      }
      return status == 204 ? "HTTP/1.1 204 N\r\n\r\n" : "HTTP/1.1 \(status) S\r\nContent-Length: 9\r\n\r\n"
    }
    let proxy = try TestProxy.forwarding(to: backend)
    let client = try proxy.connect()
    let method = status == 200 ? "HEAD" : "GET"
    for _ in 0..<3 {
      let answer = try client.exchange("\(method) / HTTP/1.1\r\nHost: h\r\n\r\n", isHead: true)
      #expect(answer.status == status)
      #expect(answer.value("content-length") == (status == 204 ? nil : "9"))
    }
    if status == 200 { #expect(try client.exchange("GET / HTTP/1.1\r\nHost: h\r\n\r\n").text == "next") }
    #expect(backend.connections == 1)
  }

  @Test("100 Continue travels from the upstream before the body travels to it")
  func continues() throws {
    let backend = Backend { peer, _ in
      let head = try peer.readThrough("\r\n\r\n")
      guard head.lowercased().contains("expect: 100-continue") else { return }
      try peer.send("HTTP/1.1 100 Continue\r\n\r\n")
      let body = try peer.readText(4)
      try peer.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n\(body)")
    }
    let proxy = try TestProxy.forwarding(to: backend)
    let client = try proxy.connect()
    try client.send("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
    #expect(try client.message().status == 100)
    try client.send("body")
    let answer = try client.message()
    #expect(answer.status == 200)
    #expect(answer.text == "body")
  }

  @Test("an interim answer is kept from an HTTP/1.0 client")
  func interimForHTTP10() throws {
    let backend = Backend.answering { _ in
      "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    }
    let proxy = try TestProxy.forwarding(to: backend)
    #expect(try proxy.connect().exchange("GET / HTTP/1.1\r\nHost: h\r\n\r\n").status == 103)
    #expect(try proxy.connect().exchange("GET / HTTP/1.0\r\nHost: h\r\n\r\n").status == 200)
  }

  @Test("fields of the connection end at the proxy")
  func hopByHop() throws {
    let seen = Promise<Message>()
    let backend = Backend.answering {
      seen.put($0)
      return "HTTP/1.1 200 OK\r\nConnection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: a\r\nContent-Length: 0\r\n\r\n"
    }
    let proxy = try TestProxy.forwarding(to: backend)
    let answer = try proxy.connect().exchange(
      "GET / HTTP/1.1\r\nHost: h\r\nConnection: X-Mine\r\nX-Mine: 1\r\nProxy-Authorization: secret\r\n\r\n")
    #expect(try seen.get().value("x-mine") == nil)
    #expect(try seen.get().value("proxy-authorization") == nil)
    #expect(answer.value("x-hop") == nil)
    #expect(answer.value("keep-alive") == nil)
  }

  @Test("Connection: close of the client is honoured")
  func clientCloses() throws {
    let backend = Backend.named("b")
    let proxy = try TestProxy.forwarding(to: backend)
    let client = try proxy.connect()
    let answer = try client.exchange("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
    #expect(answer.value("connection")?.lowercased() == "close")
    #expect(client.isCut())
  }
}
