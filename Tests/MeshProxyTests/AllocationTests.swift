import CMallocCounter
import Glibc
import MeshCore
import MeshHTTP
import MeshPolicy
import Testing

@testable import MeshProxy

/// Calls into the allocator on the worker's thread for a steady request: each costs time and, with many workers, locks.
@Suite("Allocations of a steady request", .serialized)
struct AllocationTests {
  /// None at all when optimized; the slack is for a timer that may fire meanwhile. Without optimization each `for` over
  /// fields boxes its iterator.
  #if DEBUG
  private static let limit = 80.0
  #else
  private static let limit = 0.05
  #endif
  private static let get = "GET /a/b?c=d HTTP/1.1\r\nHost: orders.shop\r\nUser-Agent: test\r\nAccept: */*\r\n\r\n"

  private static func perRequest(_ proxy: TestProxy, _ request: () throws -> Void) throws -> Double {
    let counted = try proxy.onLoop { _ in
      let before = apus_malloc_count()
      apus_malloc_probe()
      return apus_malloc_count() - before
    }
    try #require(counted == 1, "the counter does not count")
    for _ in 0..<500 { try request() }
    let before = try proxy.onLoop { _ in apus_malloc_count() }
    for _ in 0..<1_000 { try request() }
    let after = try proxy.onLoop { _ in apus_malloc_count() }
    if let traces = getenv("APUS_MALLOC_TRACE").flatMap({ Int32(String(cString: $0)) }) {
      _ = try proxy.onLoop { _ in apus_malloc_trace(traces) }
      for _ in 0..<4 { try request() }
      _ = try proxy.onLoop { _ in apus_malloc_trace(0) }
    }
    let number = Double(after - before) / 1_000
    print("allocations per request: \(number)")
    return number
  }

  @Test("HTTP/1 to HTTP/1 on kept connections")
  func http1() throws {
    let backend = Backend.named("hello")
    let proxy = try TestProxy.forwarding(to: backend)
    let client = try proxy.connect()
    let number = try Self.perRequest(proxy) { _ = try client.exchange(Self.get) }
    #expect(backend.connections == 1)
    #expect(number <= Self.limit)
  }

  @Test("routed by a rule, and by one with header filters, a rewrite, time limits, retries and CORS")
  func routed() throws {
    let backend = Backend.named("hello")
    let filters: [RouteFilter] = [
      .headers(HeaderFilter(direction: .request, set: [HeaderPair(name: "x-a", value: "1")], remove: ["accept"])),
      .headers(HeaderFilter(direction: .response, add: [HeaderPair(name: "x-b", value: "1")])),
      .rewrite(URLRewrite(hostname: "inner.example", path: .prefix(matched: "/a", replacement: "/z"))),
      .cors(CORSPolicy(allowOrigins: ["https://*.example"], allowCredentials: true, exposeHeaders: ["x-b"])),
    ]
    let full = RouteRule.toOrders(
      matches: [RouteMatch(path: .prefix("/a"), queryParameters: [QueryMatch(name: "c", value: .exact("d"))])],
      routeFilters: filters, timeouts: RouteTimeouts(request: .seconds(60), backendRequest: .seconds(30)),
      retry: RetryPolicy(attempts: 2, statusCodes: [503]))
    for rule in [RouteRule.toOrders(), full] {
      let limits = ProxyLimits.with { $0.upstreamIdleTimeout = .seconds(60) }
      let proxy = try TestProxy.serving([backend.address], rules: [rule], limits: limits)
      let client = try proxy.connect()
      let request = Self.get.dropLast(2) + "Origin: https://a.example\r\n\r\n"
      let number = try Self.perRequest(proxy) { _ = try client.exchange(String(request)) }
      #expect(number <= Self.limit, "\(rule.filters.count) filters")
    }
    #expect(backend.connections == 2)
  }

  @Test("HTTP/1 to HTTP/2 on kept connections")
  func http2() throws {
    let backend = Backend { peer, _ in
      let server = try HTTP2Peer(peer, role: .server)
      var next: UInt32 = 1
      let head = MessageHead()
      while true {
        try server.step()
        while server.streams[next]?.isEnded == true {
          head.reset()
          head.status = 200
          head.append(name: "content-length", value: "5")
          server.engine.sendHead(head, on: HTTP2StreamID(rawValue: next), endStream: false)
          try server.send(Array("hello".utf8), on: HTTP2StreamID(rawValue: next))
          next += 2
        }
      }
    }
    let proxy = try TestProxy([.inboundPlaintext])
    let port = InboundPortConfig(port: 80, appProtocol: .http2, service: .orders, application: backend.address)
    proxy.apply(ConfigUpdate(workload: WorkloadUpdate(name: "orders-0", ports: [port])))
    let client = try proxy.connect()
    let number = try Self.perRequest(proxy) { _ = try client.exchange(Self.get) }
    #expect(backend.connections == 1)
    #expect(number <= Self.limit)
  }

  @Test("gRPC with a deadline and a status in trailers, HTTP/2 on both sides")
  func grpc() throws {
    let backend = Backend { peer, _ in
      let server = try HTTP2Peer(peer, role: .server)
      var next: UInt32 = 1
      let (head, trailers) = (MessageHead(), MessageHead())
      head.status = 200
      head.append(name: "content-type", value: "application/grpc")
      trailers.append(name: "grpc-status", value: "0")
      while true {
        try server.step()
        while server.streams[next]?.isEnded == true {
          let stream = HTTP2StreamID(rawValue: next)
          server.engine.sendHead(head, on: stream, endStream: false)
          try server.send([0, 0, 0, 0, 1, 7], on: stream, endStream: false)
          server.engine.sendTrailers(trailers, on: stream)
          try server.flush()
          next += 2
        }
      }
    }
    let proxy = try TestProxy([.inboundPlaintext])
    let port = InboundPortConfig(port: 80, appProtocol: .grpc, service: .orders, application: backend.address)
    proxy.apply(ConfigUpdate(workload: WorkloadUpdate(name: "orders-0", ports: [port])))
    let client = try HTTP2Peer(try proxy.connect())
    let fields = [("content-type", "application/grpc"), ("te", "trailers"), ("grpc-timeout", "20S")]
    let number = try Self.perRequest(proxy) {
      let stream = try client.request(.post, "/shop.Orders/Get", fields, endStream: false)
      try client.send([0, 0, 0, 0, 1, 7], on: stream)
      guard try client.finish(stream).trailers == "grpc-status: 0" else {
        throw SocketProblem(description: "not the answer")
      }
    }
    #expect(backend.connections == 1)
    #expect(number <= Self.limit)
  }
}
