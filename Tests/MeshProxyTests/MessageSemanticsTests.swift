import MeshCore
import MeshHTTP
import Testing

@testable import MeshProxy

/// What a message means does not change with the versions that carry it: every rule for all pairings of client and
/// application, with and without a hop between two proxies.
@Suite("Message semantics across versions")
struct MessageSemanticsTests {
  @Test("103 and other interim responses pass, the final one follows (RFC 9110, section 15.2)", arguments: Pairing.all)
  func interim(_ pairing: Pairing) throws {
    try pairing.run { application in
      while true {
        _ = try application.request()
        try application.interim(103, [("link", "</a.css>; rel=preload")])
        try application.interim(102)
        try application.answer(200, body: "final")
      }
    } client: { (client) throws in
      let answer = try client.get("/")
      #expect(answer.interim == [103, 102])
      #expect(answer.status == 200)
      #expect(answer.body == "final")
      #expect(answer.values("link").isEmpty)
    }
  }

  @Test("a client that expects 100 sends its content only when the application says so", arguments: Pairing.all)
  func expectation(_ pairing: Pairing) throws {
    try pairing.run { application in
      let request = try application.request()
      #expect(request.values("expect") == ["100-continue"])
      try application.interim(100)
      try application.answer(200, body: "got \(try application.content().body)")
    } client: { (client) throws in
      try client.sendHead(.post, "/", [("expect", "100-continue"), ("content-length", "4")], ends: false)
      #expect(try client.receiveInterim() == 100)
      try client.sendBody("body")
      #expect(try client.receive().body == "got body")
    }
  }

  @Test("a final answer to an expectation needs no content", arguments: Pairing.all)
  func refusedExpectation(_ pairing: Pairing) throws {
    try pairing.run { application in
      _ = try application.request()
      try application.answer(417, [("content-length", "2")], body: "no")
      _ = try application.content()
    } client: { (client) throws in
      try client.sendHead(.post, "/", [("expect", "100-continue"), ("content-length", "4")], ends: false)
      let answer = try client.receive()
      #expect(answer.status == 417)
      #expect(answer.body == "no")
    }
  }

  @Test("trailers pass both ways, less what may not stand there (RFC 9110, section 6.5.1)", arguments: Pairing.all)
  func trailers(_ pairing: Pairing) throws {
    try pairing.run { application in
      _ = try application.request()
      let content = try application.content()
      #expect(content.body == "abc")
      #expect(content.trailers.lowercased() == "x-sum: 6")
      let isHTTP1 = application.version == .http1
      try application.answer(
        200, body: "def", trailers: [("x-end", "1")] + (isHTTP1 ? [("content-length", "9"), ("host", "x")] : []))
    } client: { (client) throws in
      try client.sendHead(.post, "/", [("te", "trailers")], ends: false)
      try client.sendBody("abc", trailers: [("x-sum", "6")])
      let answer = try client.receive()
      #expect(answer.body == "def")
      #expect(answer.trailers.lowercased() == "x-end: 1")
    }
  }

  @Test("TE: trailers passes, other codings do not (RFC 9110, section 10.1.4)", arguments: Pairing.all)
  func te(_ pairing: Pairing) throws {
    try pairing.run { application in
      while true {
        let request = try application.request()
        try application.answer(200, body: request.values("te").joined(separator: "|"))
      }
    } client: { (client) throws in
      #expect(try client.get("/", [("te", "trailers")]).body == "trailers")
      #expect(try client.get("/").body == "")
      guard pairing.client == .http1 else { return }
      #expect(try client.get("/", [("TE", "gzip;q=0.5, trailers"), ("Connection", "TE")]).body == "trailers")
      #expect(try client.get("/", [("TE", "gzip"), ("Connection", "TE")]).body == "")
    }
  }

  @Test("cookie crumbs become one field, Set-Cookie lines stay apart (RFC 9113, section 8.2.3)", arguments: Pairing.all)
  func cookies(_ pairing: Pairing) throws {
    try pairing.run { application in
      let request = try application.request()
      #expect(request.values("cookie") == ["a=1; b=2; c=3"])
      try application.answer(200, [("set-cookie", "x=1"), ("set-cookie", "y=2; Path=/")], body: "")
    } client: { (client) throws in
      let crumbs = ["a=1", "b=2", "c=3"]
      let isHTTP1 = pairing.client == .http1
      let answer = try client.get(
        "/", isHTTP1 ? [("Cookie", crumbs.joined(separator: "; "))] : crumbs.map { ("cookie", $0) })
      #expect(answer.values("set-cookie") == ["x=1", "y=2; Path=/"])
    }
  }

  @Test("fields of one connection stay on it, both ways (RFC 9110, section 7.6.1)", arguments: Pairing.all)
  func connectionFields(_ pairing: Pairing) throws {
    let ofConnection: [(String, String)] = [
      ("Connection", "keep-alive, X-Private"), ("Keep-Alive", "timeout=5"), ("Proxy-Connection", "keep-alive"),
      ("X-Private", "1"), ("X-Public", "2"),
    ]
    let names = ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "x-private", "upgrade"]
    try pairing.run { application in
      let request = try application.request()
      for name in names { #expect(request.values(name).isEmpty) }
      let isHTTP1 = application.version == .http1
      try application.answer(200, isHTTP1 ? ofConnection : [("x-public", "2")], body: request.values("x-public")[0])
    } client: { (client) throws in
      let isHTTP1 = pairing.client == .http1
      let answer = try client.get(
        "/", isHTTP1 ? ofConnection + [("Upgrade", "h2c"), ("Connection", "Upgrade")] : [("x-public", "2")])
      #expect(answer.body == "2")
      #expect(answer.values("x-public") == ["2"])
      for name in names where name != "transfer-encoding" { #expect(answer.values(name).isEmpty) }
    }
  }

  @Test("the authority is Host for HTTP/1 and :authority for HTTP/2, once", arguments: Pairing.all)
  func authority(_ pairing: Pairing) throws {
    try pairing.run { application in
      let request = try application.request()
      #expect(request.start == "GET /a?b=c")
      #expect(request.authority == "orders.shop")
      #expect(request.values("host").count == (application.version == .http1 ? 1 : 0))
      try application.answer(204)
    } client: { (client) throws in
      #expect(try client.get("/a?b=c").status == 204)
    }
  }

  struct Empty: Sendable, CustomTestStringConvertible {
    var method = Method.get
    var status: Int
    var fields: [(String, String)] = []
    var endsLate = false
    var testDescription: String { "\(method) \(status)\(endsLate ? " that ends late" : "")" }
  }

  static let empty: [Empty] = [false, true].flatMap { endsLate in
    [
      Empty(method: .head, status: 200, fields: [("content-length", "5")], endsLate: endsLate),
      Empty(method: .head, status: 200, endsLate: endsLate),
      Empty(method: .head, status: 404, endsLate: endsLate),
      Empty(status: 204, endsLate: endsLate),
      Empty(status: 304, fields: [("etag", "\"x\"")], endsLate: endsLate),
      Empty(status: 304, fields: [("content-length", "5")], endsLate: endsLate),
      Empty(status: 205, fields: [("content-length", "0")], endsLate: endsLate),
    ]
  }

  @Test("answers without content leave the connection in step", arguments: Pairing.all, empty)
  func noContent(_ pairing: Pairing, _ empty: Empty) throws {
    try pairing.run { application in
      while true {
        let request = try application.request()
        if request.start.hasSuffix("/next") {
          try application.answer(200, body: "next")
        } else {
          try application.answer(empty.status, empty.fields, endsLate: empty.endsLate)
        }
      }
    } client: { (client) throws in
      try client.sendHead(empty.method, "/", ends: true)
      let answer = try client.receive()
      #expect(answer.status == empty.status)
      #expect(answer.body == "")
      for (name, value) in empty.fields { #expect(answer.values(name) == [value]) }
      let next = try client.get("/next")
      #expect(next.status == 200)
      #expect(next.body == "next")
    }
  }

  @Test("an answer that is shorter than it announced is never taken for whole", arguments: Pairing.all)
  func tooShort(_ pairing: Pairing) throws {
    try pairing.run { application in
      _ = try application.request()
      try application.answer(200, [("content-length", "10")], body: "12345")
    } client: { (client) throws in
      #expect(try client.get("/").isCut)
    }
  }

  @Test("what an answer has beyond its length is never taken for the next answer", arguments: Pairing.all)
  func tooLong(_ pairing: Pairing) throws {
    try pairing.run { application in
      while true {
        let isBad = try application.request().start.hasSuffix("/bad")
        try application.answer(
          200, [("content-length", "2")], body: isBad ? "okHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil" : "ok")
      }
    } client: { (client) throws in
      let answer = try client.get("/bad")
      #expect(answer.isCut || answer.body == "ok")
      guard !answer.isCut || pairing.client == .http2 else { return }
      #expect(try client.get("/good").body == "ok")
    }
  }

  @Test("a request that is shorter or longer than it announced never arrives whole", arguments: Pairing.all, [3, 10])
  func requestLength(_ pairing: Pairing, announced: Int) throws {
    // In HTTP/1 what goes beyond is the next request.
    guard pairing.client == .http2 else { return }
    let (isThere, seen) = (Signal(), Promise<Bool>())
    try pairing.run { application in
      _ = try application.request()
      isThere.raise()
      let content = try? application.content()
      seen.put(content.map { $0.isCut } ?? true)
    } client: { (client) throws in
      try client.sendHead(.post, "/", [("content-length", "\(announced)")], ends: false)
      #expect(isThere.wait())
      _ = try? client.sendBody("12345")
      #expect(try client.receive().isCut)
      #expect(try seen.get())
    }
  }

  @Test("a POST without content says so to HTTP/1, and adds nothing to HTTP/2", arguments: Pairing.all)
  func emptyPost(_ pairing: Pairing) throws {
    try pairing.run { application in
      let request = try application.request()
      #expect(request.values("transfer-encoding").isEmpty)
      if application.version == .http1 { #expect(request.values("content-length") == ["0"]) }
      #expect(try application.content().body == "")
      try application.answer(201, [("content-length", "0")])
    } client: { (client) throws in
      try client.sendHead(.post, "/", pairing.client == .http1 ? [("content-length", "0")] : [], ends: true)
      #expect(try client.receive().status == 201)
    }
  }
}
