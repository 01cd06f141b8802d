import MeshCore
import MeshHTTP
import MeshPolicy
import MeshTelemetry
import Testing

@testable import MeshProxy

/// What the filters of a rule do to requests and answers on their way.
@Suite("Filters of a rule")
struct RouteFilterTests {
  private static let get = "GET /a/b?c=d HTTP/1.1\r\nHost: orders.shop\r\n\r\n"

  /// Answers with the request's first line and host as the body, and with `fields`.
  static func echo(_ fields: String = "") -> Backend {
    Backend.answering { request in
      let text = "\(request.startLine) \(request.value("host") ?? "-")"
      return "HTTP/1.1 200 OK\r\n\(fields)Content-Length: \(text.utf8.count)\r\n\r\n\(text)"
    }
  }

  // MARK: - Redirect

  @Test("a redirect is answered without a backend, on a connection that goes on")
  func redirect() throws {
    let backend = Backend.named("b")
    let redirect = RequestRedirect(
      scheme: "https", path: .prefix(matched: "/a", replacement: "/z"), port: 8443, status: 308)
    let rules: [RouteRule] = [.toOrders(routeFilters: [.redirect(redirect)])]
    let proxy = try TestProxy.serving([backend.address], rules: rules)
    let client = try proxy.connect()
    for _ in 0..<2 {
      let answer = try client.exchange(Self.get)
      #expect(answer.status == 308)
      #expect(answer.value("location") == "https://orders.shop:8443/z/b?c=d")
      #expect(answer.value("content-length") == "0")
    }
    #expect(try client.exchange("HEAD /a HTTP/1.1\r\nHost: h\r\n\r\n", isHead: true).status == 308)
    let http2 = try HTTP2Peer(proxy.connect())
    let answer = try http2.finish(http2.request(.get, "/a?q"))
    #expect(answer.status == 308)
    #expect(answer.head.value("location") == "https://orders.shop:8443/z?q")
    #expect(backend.connections == 0)
    #expect(try proxy.count("response_total", "status_code=\"308\"", "response_flag=\"-\"", "orders#0") == 4)
  }

  @Test("fields of the response are set on redirects, too, those of the rule and of the backend")
  func redirectFields() throws {
    func add(_ value: String) -> RouteFilter {
      .headers(HeaderFilter(direction: .response, add: [HeaderPair(name: "x-order", value: value)]))
    }
    var rule = RouteRule.toOrders(routeFilters: [add("rule")])
    rule.backends[0].filters = [add("backend"), .redirect(RequestRedirect(hostname: "elsewhere.example"))]
    let proxy = try TestProxy.serving([], rules: [rule])
    let answer = try proxy.connect().exchange(Self.get)
    #expect(answer.status == 302)
    #expect(answer.value("location") == "http://elsewhere.example/a/b?c=d")
    #expect(answer.values("x-order") == ["rule", "backend"])
  }

  // MARK: - Upgrades

  private static let upgrade =
    "GET /a HTTP/1.1\r\nHost: orders.shop\r\nConnection: upgrade\r\nUpgrade: chat\r\nX-Old: 1\r\n\r\n"

  @Test("the head of an upgrade is filtered as any other, and so is the answer that accepts it")
  func upgradeFilters() throws {
    let backend = Backend { peer, _ in
      let request = Message(head: try peer.readThrough("\r\n\r\n"))
      let fields = "X-Seen: \(request.startLine) \(request.value("host") ?? "-") \(request.value("x-old") ?? "-")"
      try peer.send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: chat\r\n\(fields)\r\n\r\n")
      try peer.send(try peer.read(4))
      _ = peer.isCut()
    }
    let filters: [RouteFilter] = [
      .rewrite(URLRewrite(hostname: "inner.example", path: .full("/b"))),
      .headers(HeaderFilter(direction: .request, remove: ["x-old"])),
      .headers(HeaderFilter(direction: .response, add: [HeaderPair(name: "x-new", value: "1")])),
    ]
    let proxy = try TestProxy.serving([backend.address], rules: [.toOrders(routeFilters: filters)])
    let client = try proxy.connect()
    try client.send(Self.upgrade)
    let answer = Message(head: try client.readThrough("\r\n\r\n"))
    #expect(answer.status == 101)
    #expect(answer.value("x-seen") == "GET /b HTTP/1.1 inner.example -")
    #expect(answer.value("x-new") == "1")
    try client.send("ping")
    #expect(try client.readText(4) == "ping")
  }

  @Test("an upgrade is redirected as any other request, over HTTP/1 and as an extended CONNECT")
  func upgradeRedirect() throws {
    let redirect = RouteFilter.redirect(RequestRedirect(hostname: "elsewhere.example"))
    let proxy = try TestProxy.serving([], rules: [.toOrders(routeFilters: [redirect])])
    let client = try proxy.connect()
    #expect(try client.exchange(Self.upgrade).value("location") == "http://elsewhere.example/a")
    let http2 = try PairedClient(.http2, proxy)
    try http2.sendUpgrade("/a", key: "")
    let answer = try http2.receiveUpgrade()
    #expect(answer.status == 302)
    #expect(answer.values("location") == ["http://elsewhere.example/a"])
  }

  // MARK: - Rewrite

  @Test("a backend is asked for the rewritten path and host, and the log keeps what the client asked for")
  func rewrite() throws {
    let backend = Self.echo()
    let rewrite = URLRewrite(hostname: "inner.example", path: .prefix(matched: "/a", replacement: "/z/"))
    let rules: [RouteRule] = [.toOrders(routeFilters: [.rewrite(rewrite)])]
    let proxy = try TestProxy.serving([backend.address], rules: rules, accessLog: .all)
    let client = try proxy.connect()
    #expect(try client.exchange(Self.get).text == "GET /z/b?c=d HTTP/1.1 inner.example")
    #expect(
      try client.exchange("GET http://orders.shop/a HTTP/1.1\r\nHost: x\r\n\r\n").text
        == "GET /z HTTP/1.1 inner.example")
    #expect(
      try client.exchange("OPTIONS * HTTP/1.1\r\nHost: orders\r\n\r\n").text == "OPTIONS * HTTP/1.1 inner.example")
    _ = try proxy.onLoop { $0.accessLog.flush() }
    #expect(proxy.log.lines.first?.contains("\"path\":\"/a/b\",\"authority\":\"orders.shop\"") == true)
  }

  @Test("HTTP/2 backends get the rewritten pseudo-header fields")
  func rewriteHTTP2() throws {
    let seen = Promise<(String, String)>()
    let backend = Backend { peer, _ in
      let server = try HTTP2Peer(peer, role: .server)
      let stream = try server.nextRequest(after: 0)
      seen.put((server.stream(stream).path, server.stream(stream).authority))
      server.engine.sendHead(HTTP2Peer.answer(200), on: stream, endStream: true)
      try server.flush()
      while true { try server.step() }
    }
    let rewrite = URLRewrite(hostname: "inner.example", path: .full("/new"))
    let proxy = try TestProxy.serving(
      [backend.address], rules: [.toOrders(routeFilters: [.rewrite(rewrite)])], appProtocol: .http2)
    #expect(try proxy.connect().exchange(Self.get).status == 200)
    let (path, authority) = try seen.get()
    #expect(path == "/new?c=d")
    #expect(authority == "inner.example")
  }

  // MARK: - Backends of a rule

  @Test("filters of a backend come after the rule's, on the request and on the response")
  func backendFilters() throws {
    let seen = Promise<Message>()
    let backend = Backend.answering {
      seen.put($0)
      return "HTTP/1.1 200 OK\r\nX-Order: app\r\nContent-Length: 0\r\n\r\n"
    }
    func add(_ value: String) -> [RouteFilter] {
      let pair = HeaderPair(name: "x-order", value: value)
      return [HeaderFilter(direction: .request, add: [pair]), HeaderFilter(direction: .response, add: [pair])]
        .map(RouteFilter.headers)
    }
    var rule = RouteRule.toOrders(routeFilters: add("rule"))
    rule.backends[0].filters = add("backend") + [.rewrite(URLRewrite(path: .full("/own")))]
    let proxy = try TestProxy.serving([backend.address], rules: [rule])
    let answer = try proxy.connect().exchange("GET / HTTP/1.1\r\nHost: h\r\nX-Order: client\r\n\r\n")
    #expect(try seen.get().values("x-order") == ["client", "rule", "backend"])
    #expect(try seen.get().startLine == "GET /own HTTP/1.1")
    #expect(answer.values("x-order") == ["app", "rule", "backend"])
  }

  @Test("filters of a backend touch the requests of its share only")
  func share() throws {
    let backend = Backend.named("b")
    var rule = RouteRule.toOrders()
    rule.backends.append(
      WeightedBackend(
        backend: .orders, weight: 1, filters: [.redirect(RequestRedirect(hostname: "elsewhere.example"))]))
    let proxy = try TestProxy.serving([backend.address], rules: [rule])
    let client = try proxy.connect()
    let answers = try (0..<40).map { _ in try client.exchange(Self.get).status }
    #expect((18...22).contains(answers.filter { $0 == 302 }.count))
    #expect((18...22).contains(answers.filter { $0 == 200 }.count))
  }

  @Test("rules are told apart by query parameters")
  func query() throws {
    let backend = Self.echo()
    let whale = RouteMatch(queryParameters: [QueryMatch(name: "animal", value: .exact("whale"))])
    let proxy = try TestProxy.serving([backend.address], rules: [.toOrders(matches: [whale])])
    let client = try proxy.connect()
    #expect(try client.exchange("GET /?animal=whale HTTP/1.1\r\nHost: h\r\n\r\n").status == 200)
    #expect(try client.exchange("GET /?animal=dolphin HTTP/1.1\r\nHost: h\r\n\r\n").status == 404)
  }

  // MARK: - CORS

  private static let policy = CORSPolicy(
    allowOrigins: ["https://*.example"], allowCredentials: true, allowMethods: ["*"], exposeHeaders: ["x-a"])

  @Test("a preflight is answered by the proxy, with permission or without")
  func preflight() throws {
    let backend = Backend.named("b")
    let proxy = try TestProxy.serving([backend.address], rules: [.toOrders(routeFilters: [.cors(Self.policy)])])
    let client = try proxy.connect()
    func ask(_ origin: String) throws -> Message {
      try client.exchange(
        "OPTIONS / HTTP/1.1\r\nHost: h\r\nOrigin: \(origin)\r\nAccess-Control-Request-Method: PUT\r\n\r\n")
    }
    let allowed = try ask("https://a.example")
    #expect(allowed.status == 204)
    #expect(allowed.value("access-control-allow-origin") == "https://a.example")
    #expect(allowed.value("access-control-allow-methods") == "PUT")
    #expect(allowed.value("access-control-allow-credentials") == "true")
    let refused = try ask("https://evil")
    #expect(refused.status == 204)
    #expect(!refused.head.lowercased().contains("access-control"))
    #expect(backend.connections == 0)
    #expect(try proxy.count("response_total", "status_code=\"204\"", "response_flag=\"-\"") == 2)
  }

  @Test("answers are marked by the rule alone, and failures are readable, too")
  func actual() throws {
    let backend = Self.echo("Access-Control-Allow-Origin: *\r\nAccess-Control-Max-Age: 9\r\n")
    let rule = RouteRule.toOrders(routeFilters: [.cors(Self.policy)])
    let proxy = try TestProxy.serving([backend.address], rules: [rule])
    let client = try proxy.connect()
    func get(_ origin: String) throws -> Message {
      try client.exchange("GET / HTTP/1.1\r\nHost: h\r\nOrigin: \(origin)\r\n\r\n")
    }
    let allowed = try get("https://a.example")
    #expect(allowed.values("access-control-allow-origin") == ["https://a.example"])
    #expect(allowed.values("access-control-expose-headers") == ["x-a"])
    #expect(allowed.value("access-control-max-age") == nil)
    #expect(allowed.value("vary") == "Origin")
    #expect(try !get("https://evil").head.lowercased().contains("access-control"))
    #expect(try client.exchange("OPTIONS / HTTP/1.1\r\nHost: h\r\n\r\n").text.hasPrefix("OPTIONS /"))
    proxy.configure([], rules: [rule])
    let failure = try get("https://a.example")
    #expect(failure.status == 503)
    #expect(failure.value("access-control-allow-origin") == "https://a.example")
  }
}
