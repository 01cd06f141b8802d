import CMallocCounter
import MeshCore
import MeshHTTP
import MeshPolicy
import MeshRuntime
import Testing

@testable import MeshProxy

@Suite("Authorization at the port of a workload")
struct AuthorizationProxyTests {
  private static func get(_ target: String, _ fields: String = "") -> String {
    "GET \(target) HTTP/1.1\r\nHost: orders.shop\r\n\(fields)\r\n"
  }

  private static func allow(_ account: String, _ operation: AuthorizationOperation? = nil) -> Authorization {
    let source = AuthorizationSource(serviceAccounts: Selection([account]))
    let rule = AuthorizationRule(sources: [source], operations: operation.map { [$0] } ?? [])
    return Authorization(policies: [AuthorizationPolicy(name: "shop/\(account)", action: .allow, rules: [rule])])
  }

  @Test("the identity that the connection between proxies proves decides, request by request")
  func identity() throws {
    let backend = Backend.named("orders")
    defer { withExtendedLifetime(backend) {} }
    let pair = try MeshPair(to: backend)
    let client = try pair.sender.connect()
    #expect(try client.exchange(Self.get("/")).status == 200)
    pair.authorize(Self.allow("shop/mail"))
    let refused = try client.exchange(Self.get("/"))
    #expect(refused.status == 403 && refused.text.hasPrefix("forbidden: "))
    pair.authorize(Self.allow("shop/web"))
    #expect(try client.exchange(Self.get("/")).status == 200)
    // Who has no identity is not that account, whatever he says.
    let stranger = try pair.receiver.connect(1)
    #expect(try stranger.exchange(Self.get("/", "x-apus-service: shop/web\r\n")).status == 403)
    #expect(try pair.receiver.count("authorization_denied_total", "reason=\"nothing_allows\"") == 2)
    #expect(try pair.receiver.count("response_total", "response_flag=\"UAEX\"", "status_code=\"403\"") == 2)
  }

  @Test("an answer that is under way ends when its caller is shut out, and others go on")
  func edit() throws {
    let backend = Backend { peer, _ in
      while true {
        _ = try peer.message()
        try peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n")
      }
    }
    defer { withExtendedLifetime(backend) {} }
    let pair = try MeshPair(to: backend)
    pair.authorize(Self.allow("shop/web"))
    let client = try pair.sender.connect()
    try client.send(Self.get("/"))
    _ = try client.readThrough("hi\r\n")
    let other = AuthorizationPolicy(name: "shop/x", action: .audit, rules: [AuthorizationRule()])
    var authorization = Self.allow("shop/web")
    authorization.policies.append(other)
    pair.authorize(authorization)
    #expect(
      try pair.receiver.becomes { worker in
        var count = 0
        worker.forEachExchange { _ in count += 1 }
        return count == 1
      })
    pair.authorize(Self.allow("shop/mail"))
    #expect(client.isCut())
    #expect(try pair.receiver.count("authorization_denied_total", "reason=\"nothing_allows\"") == 1)
  }

  @Test("a policy whose provider nobody knows refuses")
  func provider() throws {
    let backend = Backend.named("orders")
    defer { withExtendedLifetime(backend) {} }
    let pair = try MeshPair(to: backend)
    let rule = AuthorizationRule(operations: [AuthorizationOperation(methods: Selection(["GET"]))])
    pair.authorize(
      Authorization(policies: [AuthorizationPolicy(name: "shop/ask", action: .custom(provider: "none"), rules: [rule])])
    )
    let client = try pair.sender.connect()
    #expect(try client.exchange(Self.get("/")).status == 403)
    #expect(
      try pair.receiver.count(
        "authorization_denied_total", "reason=\"no_provider\"", "authorization_policy=\"shop/ask\"") == 1)
  }

  @Test("a policy with a mistake closes the port, under its own reason")
  func broken() throws {
    let backend = Backend.named("orders")
    defer { withExtendedLifetime(backend) {} }
    let pair = try MeshPair(to: backend)
    let client = try pair.sender.connect()
    #expect(try client.exchange(Self.get("/")).status == 200)
    pair.authorize(Authorization(policies: Self.allow("shop/web").policies + [.broken("shop/b")]))
    #expect(try client.exchange(Self.get("/")).status == 403)
    let labels = ["reason=\"broken_policy\"", "authorization_policy=\"shop/b\""]
    #expect(try pair.receiver.count("authorization_denied_total", labels[0], labels[1]) == 1)
  }

  @Test("judging a request allocates nothing")
  func allocations() throws {
    #if DEBUG
    // Without optimization, closures and boxes of iterators.
    let limit = 80.0
    #else
    let limit = 0.0
    #endif
    let path = AuthorizationOperation(
      methods: Selection(["GET"]), hosts: Selection(["*.shop"]),
      paths: Selection([.template("/orders/{id}"), .glob("/a*")]))
    var authorization = Self.allow("shop/web", path)
    authorization.policies += Self.allow("shop/mail").policies
    authorization.policies.append(
      AuthorizationPolicy(
        name: "shop/no", action: .deny,
        rules: [AuthorizationRule(conditions: [AuthorizationCondition(.header("x-a"), Selection(["1*"]))])]))
    let authorizer = Authorizer(authorization)
    let caller = CallerFacts(identity: SPIFFEID("spiffe://cluster.local/ns/shop/sa/web"), address: nil)
    let head = MessageHead()
    head.authority = head.intern("orders.shop:80")
    head.path = head.intern("/orders/7")
    head.append(name: "x-b", value: "1")
    func judge() -> Bool {
      CanonicalPath.of(head.bytes(head.path)) == .unchanged
        && authorizer.decide(AuthorizationCall(caller: caller, request: head)).verdict == .allow
    }
    for _ in 0..<10 { #expect(judge()) }
    let before = apus_malloc_count()
    var allowed = 0
    for _ in 0..<1_000 where judge() { allowed += 1 }
    let number = Double(apus_malloc_count() - before) / 1_000
    #expect(allowed == 1_000)
    #expect(number <= limit, "\(number)")
  }
}
