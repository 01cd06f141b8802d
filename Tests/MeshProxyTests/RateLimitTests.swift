import MeshCore
import MeshHTTP
import MeshPolicy
import MeshRuntime
import Testing

@testable import MeshProxy

@Suite("Rate limits of requests")
struct RateLimitProxyTests {
  // Listeners close with their objects, which optimized code lets go after their last use: hence each `withExtendedLifetime`.

  private static func get(_ fields: String = "") -> String { "GET / HTTP/1.1\r\nHost: orders.shop\r\n\(fields)\r\n" }

  private static func proxy(_ backend: Backend, _ limits: [RateLimit]) throws -> TestProxy {
    var rule = RouteRule.toOrders()
    rule.rateLimits = limits
    return try TestProxy.serving([backend.address], rules: [rule])
  }

  @Test("past a rule's limit requests are answered 429, which says when to come back")
  func rule() throws {
    let backend = Backend.named("orders")
    defer { withExtendedLifetime(backend) {} }
    let proxy = try Self.proxy(backend, [RateLimit(3, per: .seconds(3_600))])
    let client = try proxy.connect()
    for _ in 0..<3 { #expect(try client.exchange(Self.get()).status == 200) }
    let refused = try client.exchange(Self.get())
    #expect(refused.status == 429)
    // A third of an hour for one request, whole seconds, and a little of it is gone.
    let wait = Int(refused.value("retry-after") ?? "") ?? 0
    #expect((1_170...1_200).contains(wait))
    #expect(refused.value("ratelimit-limit") == "3")
    #expect(refused.value("ratelimit-remaining") == "0")
    #expect(refused.value("ratelimit-reset") == "\(wait)")
    #expect(refused.text.hasPrefix("rate limited: "))
    #expect(try proxy.count("response_total", "response_flag=\"RL\"", "status_code=\"429\"") == 1)
    #expect(try proxy.count("rate_limited_total", "key=\"all\"", "backend=\"orders\"") == 1)
    // A client that waits is not the endpoint's failure, and the connection goes on.
    #expect(try client.exchange(Self.get()).status == 429)
  }

  @Test("values of a header have buckets of their own, requests without it share one")
  func header() throws {
    let backend = Backend.named("orders")
    defer { withExtendedLifetime(backend) {} }
    let proxy = try Self.proxy(backend, [RateLimit(2, per: .seconds(3_600), key: .header("x-tenant"))])
    let client = try proxy.connect()
    for fields in ["X-Tenant: a\r\n", "x-tenant: b\r\n", ""] {
      let statuses = try (0..<3).map { _ in try client.exchange(Self.get(fields)).status }
      #expect(statuses == [200, 200, 429])
    }
    #expect(try proxy.count("rate_limited_total", "key=\"header\"") == 3)
  }

  @Test("of several limits each must have a token")
  func several() throws {
    let backend = Backend.named("orders")
    defer { withExtendedLifetime(backend) {} }
    let proxy = try Self.proxy(
      backend, [RateLimit(2, per: .seconds(3_600), key: .header("x-tenant")), RateLimit(3, per: .seconds(3_600))])
    let client = try proxy.connect()
    let statuses = try ["a", "a", "a", "b", "b"].map {
      try client.exchange(Self.get("x-tenant: \($0)\r\n")).status
    }
    #expect(statuses == [200, 200, 429, 200, 429])
  }

  @Test("configuration that comes anew does not fill buckets, another limit begins with its own")
  func updates() throws {
    let backend = Backend.named("orders")
    defer { withExtendedLifetime(backend) {} }
    var rule = RouteRule.toOrders()
    rule.rateLimits = [RateLimit(2, per: .seconds(3_600))]
    let proxy = try TestProxy.serving([backend.address], rules: [rule])
    let client = try proxy.connect()
    #expect(try client.exchange(Self.get()).status == 200)
    rule.timeouts.request = .seconds(20)
    proxy.configure([backend.address], rules: [rule])
    #expect(try (0..<2).map { _ in try client.exchange(Self.get()).status } == [200, 429])
    rule.rateLimits = [RateLimit(4, per: .seconds(3_600))]
    proxy.configure([backend.address], rules: [rule])
    #expect(try client.exchange(Self.get()).status == 200)
    rule.rateLimits = []
    proxy.configure([backend.address], rules: [rule])
    for _ in 0..<8 { #expect(try client.exchange(Self.get()).status == 200) }
  }

  @Test("a workload's port limits its callers, each by its identity; those outside the mesh share a bucket")
  func inbound() throws {
    let backend = Backend.named("orders")
    defer { withExtendedLifetime(backend) {} }
    let pair = try MeshPair(to: backend, rateLimits: [RateLimit(2, per: .seconds(3_600), key: .caller)])
    let client = try pair.sender.connect()
    let get = "GET / HTTP/1.1\r\nHost: orders.shop\r\n\r\n"
    #expect(try (0..<3).map { _ in try client.exchange(get).status } == [200, 200, 429])
    // The client's proxy learns why.
    #expect(try pair.sender.count("response_total", "response_flag=\"RL\"") == 1)
    #expect(try pair.receiver.count("rate_limited_total", "key=\"caller\"") == 1)
    let plain = try pair.receiver.connect(1)
    #expect(try (0..<3).map { _ in try plain.exchange(get).status } == [200, 200, 429])
  }

  @Test("a gRPC call past a limit is UNAVAILABLE, which its client may repeat")
  func grpc() throws {
    let backend = Backend.http2(named: "orders")
    defer { withExtendedLifetime(backend) {} }
    var rule = RouteRule.toOrders()
    rule.rateLimits = [RateLimit(1, per: .seconds(3_600))]
    let proxy = try TestProxy.serving([backend.address], rules: [rule], appProtocol: .grpc)
    let client = try HTTP2Peer(proxy.connect())
    let fields = [("content-type", "application/grpc"), ("te", "trailers")]
    #expect(try client.finish(client.request(.post, "/a/b", fields)).status == 200)
    let refused = try client.finish(client.request(.post, "/a/b", fields))
    #expect(refused.head.value("grpc-status") == "14")
    #expect(refused.head.value("retry-after") == "3600")
  }

  @Test("what a client is told is whole seconds, at least one")
  func seconds() {
    for (wait, seconds) in [(TimeSpan.zero, 1), (.milliseconds(1), 1), (.milliseconds(1_001), 2), (.seconds(5), 5)] {
      #expect(RateLimitRefusal(quota: 1, wait: wait).seconds == seconds)
    }
    #expect(RateLimitRefusal(quota: 1, wait: .nanoseconds(.max)).seconds > 1)
  }
}
