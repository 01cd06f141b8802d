import MeshCore
import MeshHTTP
import MeshPolicy
import Testing

@Suite struct RewriteTests {
  private func rewritten(_ path: String, _ modifier: PathModifier, method: Method = .get) -> String {
    let head = requestHead(path, method: method)
    CompiledRewrite(URLRewrite(path: modifier)).apply(to: head)
    return head.text(head.path)
  }

  @Test(
    "a prefix is replaced by elements, and slashes at its end do not count",
    arguments: [
      ("/foo/bar", "/foo", "/xyz", "/xyz/bar"), ("/foo/bar", "/foo", "/xyz/", "/xyz/bar"),
      ("/foo/bar", "/foo/", "/xyz", "/xyz/bar"), ("/foo/bar", "/foo/", "/xyz/", "/xyz/bar"),
      ("/foo", "/foo", "/xyz", "/xyz"), ("/foo/", "/foo", "/xyz", "/xyz/"), ("/foo/bar", "/foo", "", "/bar"),
      ("/foo/", "/foo", "", "/"), ("/foo", "/foo", "", "/"), ("/foo/", "/foo", "/", "/"), ("/foo", "/foo", "/", "/"),
      ("/a", "/", "/xyz", "/xyz/a"), ("/", "/", "/xyz", "/xyz/"), ("/foobar", "/foo", "/xyz", "/foobar"),
      ("/foo/bar", "/foo", "xyz", "/xyz/bar"),
    ])
  func prefix(_ path: String, _ matched: String, _ replacement: String, _ wanted: String) {
    #expect(rewritten(path, .prefix(matched: matched, replacement: replacement)) == wanted)
    #expect(
      rewritten(path + "?a=/foo&b", .prefix(matched: matched, replacement: replacement)) == wanted + "?a=/foo&b")
  }

  @Test("a full path takes the place of the path and leaves the query")
  func full() {
    #expect(rewritten("/a/b?c=d", .full("/new")) == "/new?c=d")
    #expect(rewritten("/a/b", .full("")) == "/")
    #expect(rewritten("/a?", .full("new/")) == "/new/?")
  }

  @Test("what would end the path or the request line is encoded")
  func encoded() {
    #expect(rewritten("/a?q", .full("/n w?x#y\r\n%20")) == "/n%20w%3Fx%23y%0D%0A%20?q")
  }

  @Test(
    "the asterisk of OPTIONS and the empty path of CONNECT stay", arguments: [("*", Method.options), ("", .connect)])
  func noPath(_ path: String, _ method: Method) {
    #expect(rewritten(path, .full("/new"), method: method) == path)
    #expect(rewritten(path, .prefix(matched: "/", replacement: "/new"), method: method) == path)
  }

  @Test("a host name becomes the authority and the field of that name goes")
  func hostname() {
    let head = requestHead("/", authority: "old:8080", [("Host", "old:8080")])
    CompiledRewrite(URLRewrite(hostname: "new.example")).apply(to: head)
    #expect(head.text(head.authority) == "new.example")
    #expect(head.value(.host) == nil)
    CompiledRewrite(URLRewrite(hostname: "evil\r\nx: y")).apply(to: head)
    #expect(head.text(head.authority) == "new.example")
  }
}

@Suite struct RedirectTests {
  private func location(
    _ redirect: RequestRedirect, _ path: String = "/a?b=c", authority: String = "orders", scheme: String = "",
    method: Method = .get, port: UInt16 = 80
  ) -> String? {
    let reply = MessageHead(capacity: 16)
    let service = ServicePort(service: ServiceName(name: "orders", namespace: "shop"), port: port)
    CompiledRedirect(redirect).writeLocation(
      for: requestHead(path, method: method, authority: authority, scheme: scheme), to: service, into: reply)
    return reply.value(.location)?.string
  }

  @Test("what a redirect does not name stays as the request has it, with the query")
  func parts() {
    #expect(location(RequestRedirect()) == "http://orders/a?b=c")
    #expect(location(RequestRedirect(hostname: "new.example")) == "http://new.example/a?b=c")
    #expect(location(RequestRedirect(), authority: "orders:80", scheme: "http") == "http://orders/a?b=c")
    #expect(location(RequestRedirect(), scheme: "https", port: 443) == "https://orders/a?b=c")
    #expect(location(RequestRedirect(path: .full("/new"))) == "http://orders/new?b=c")
    let prefix = PathModifier.prefix(matched: "/a", replacement: "/z")
    #expect(location(RequestRedirect(path: prefix), "/a/b") == "http://orders/z/b")
  }

  @Test(
    "the port is the one named, else the scheme's, else the service's, and is left out where the scheme implies it",
    arguments: [
      (nil, nil, 80, "http://h/"), (nil, nil, 8080, "http://h:8080/"), (nil, nil, 443, "http://h:443/"),
      ("https", nil, 8080, "https://h/"), ("http", nil, 8080, "http://h/"), (nil, 8083, 80, "http://h:8083/"),
      ("https", 443, 80, "https://h/"), ("http", 80, 8080, "http://h/"), ("https", 80, 8080, "https://h:80/"),
      (nil, 80, 8080, "http://h/"), ("HTTPS", 8443, 80, "https://h:8443/"),
    ] as [(String?, UInt16?, UInt16, String)])
  func ports(_ scheme: String?, _ port: UInt16?, _ servicePort: UInt16, _ wanted: String) {
    let redirect = RequestRedirect(scheme: scheme, hostname: "h", port: port)
    #expect(location(redirect, "/", port: servicePort) == wanted)
  }

  @Test("a request without a path or a host gets a location all the same")
  func incomplete() {
    #expect(location(RequestRedirect(path: .full("/x")), "*", method: .options) == "http://orders")
    #expect(location(RequestRedirect(), "/", authority: "") == "http://orders.shop/")
    #expect(location(RequestRedirect(), "/", authority: "[::1]:8080", port: 8080) == "http://[::1]:8080/")
    #expect(location(RequestRedirect(), "//evil.example/") == "http://orders//evil.example/")
  }

  @Test("a status that is no redirection becomes 302")
  func status() {
    #expect(CompiledRedirect(RequestRedirect(status: 308)).status == 308)
    #expect(CompiledRedirect(RequestRedirect(status: 200)).status == 302)
  }
}
