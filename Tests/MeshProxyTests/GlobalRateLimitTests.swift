import MeshCore
import MeshHTTP
import MeshPolicy
import MeshRuntime
import Synchronization
import Testing

@testable import MeshProxy

/// Rate limits that a service counts.
@Suite("Global rate limits in the proxy")
struct GlobalRateLimitTests {
  // Listeners close with their objects, which optimized code lets go after their last use: hence each `withExtendedLifetime`.

  private static let yes: [UInt8] = [0, 0, 0, 0, 2, 8, 1]
  private static let no: [UInt8] = [0, 0, 0, 0, 17, 8, 2, 18, 13, 8, 2, 18, 4, 8, 5, 16, 3, 34, 3, 8, 210, 9]

  /// What was asked, as text, with everything that is no letter left out.
  private final class Record: Sendable {
    private let asked = Mutex<[String]>([])
    func add(_ body: [UInt8]) {
      asked.withLock { $0.append(String(decoding: body.filter { (0x2D...0x7A).contains($0) }, as: UTF8.self)) }
    }
    var all: [String] { asked.withLock { $0 } }
  }

  /// Answers each call with what `answer` says of its number; with nothing for nil.
  private static func service(_ record: Record, _ answer: @escaping @Sendable (Int) -> [UInt8]?) -> Backend {
    Backend { peer, _ in
      let server = try HTTP2Peer(peer, role: .server)
      var last: UInt32 = 0
      while true {
        let stream = try server.nextRequest(after: last)
        last = stream.rawValue
        while !server.stream(stream).isEnded { try server.step() }
        record.add(server.stream(stream).body)
        guard let bytes = answer(record.all.count) else { continue }
        let fields = [("content-type", "application/grpc")]
        server.engine.sendHead(HTTP2Peer.answer(200, fields), on: stream, endStream: false)
        try server.send(bytes, on: stream, endStream: false)
        let trailers = MessageHead()
        trailers.append(name: "grpc-status", value: "0")
        server.engine.sendTrailers(trailers, on: stream)
        try server.flush()
      }
    }
  }

  private static func limit(
    _ descriptors: [[GlobalRateLimit.Entry]], timeout: TimeSpan = .seconds(20),
    failure: GlobalRateLimit.Failure = .allow
  ) -> GlobalRateLimit {
    GlobalRateLimit(service: .other, domain: "shop", descriptors: descriptors, timeout: timeout, failure: failure)
  }

  private static let tenant = [[GlobalRateLimit.Entry(key: "tenant", value: .header("x-tenant"))]]

  private static func proxy(
    _ backend: Backend, _ counter: Backend, _ limit: GlobalRateLimit, limits: ProxyLimits = ProxyLimits()
  ) throws -> TestProxy {
    var rule = RouteRule.toOrders()
    rule.globalRateLimit = limit
    let web = SPIFFEID(trustDomain: "cluster.local", namespace: "shop", serviceAccount: "web")
    let proxy = try TestProxy.serving([backend.address], rules: [rule], limits: limits, client: web)
    let endpoint = Endpoint(address: counter.address, workload: "limits-0", identity: nil)
    let direct = RouteRule(name: "service/shop/other", backends: [WeightedBackend(backend: .other, weight: 1)])
    proxy.apply(
      ConfigUpdate(
        endpoints: [(.other, EndpointSet(key: .other, endpoints: [endpoint], appProtocol: .grpc))],
        services: [(.other, ServiceConfig(key: .other, appProtocol: .grpc, rules: [direct]))]))
    return proxy
  }

  private static func get(_ fields: String = "x-tenant: a\r\n", _ path: String = "/") -> String {
    "GET \(path) HTTP/1.1\r\nHost: orders.shop\r\n\(fields)\r\n"
  }

  @Test("what the service refuses is answered 429, with its limit and its time; what it allows goes on")
  func verdicts() throws {
    let record = Record()
    let (backend, counter) = (Backend.named("orders"), Self.service(record) { $0 <= 2 ? Self.yes : Self.no })
    defer { withExtendedLifetime((backend, counter)) {} }
    let proxy = try Self.proxy(backend, counter, Self.limit(Self.tenant))
    let client = try proxy.connect()
    for _ in 0..<2 { #expect(try client.exchange(Self.get()).text == "orders") }
    let refused = try client.exchange(Self.get())
    #expect(refused.status == 429)
    #expect(refused.value("retry-after") == "1234" && refused.value("ratelimit-limit") == "5")
    #expect(record.all.count == 3 && record.all.allSatisfy { $0.contains("shop") && $0.contains("tenant") })
    #expect(try proxy.count("global_rate_limit_calls_total", "result=\"ok\"", "backend=\"orders\"") == 2)
    #expect(try proxy.count("global_rate_limit_calls_total", "result=\"over_limit\"") == 1)
    #expect(try proxy.count("rate_limited_total", "key=\"global\"") == 1)
    #expect(try proxy.count("response_total", "response_flag=\"RL\"", "status_code=\"429\"") == 1)
    // Questions are requests to a service as all are.
    #expect(try proxy.count("request_total", "dst_service=\"other\"") == 3)
    #expect(try proxy.onLoop { $0.rateLimitCalls } == 0)
  }

  @Test("requests are described as the policy says; one that lacks a part is not counted by it")
  func descriptors() throws {
    let record = Record()
    let (backend, counter) = (Backend.named("orders"), Self.service(record) { _ in Self.yes })
    defer { withExtendedLifetime((backend, counter)) {} }
    let entries: [GlobalRateLimit.Entry] = [
      .init(key: "c", value: .constant("fixed")), .init(key: "s", value: .service), .init(key: "r", value: .route),
      .init(key: "m", value: .method), .init(key: "p", value: .path), .init(key: "a", value: .remoteAddress),
      .init(key: "w", value: .caller),
    ]
    let proxy = try Self.proxy(backend, counter, Self.limit([entries] + Self.tenant))
    let client = try proxy.connect()
    #expect(try client.exchange(Self.get("", "/a/b?secret=1")).status == 200)
    let asked = record.all.first ?? ""
    for part in [
      "fixed", "orders.shop", "httproute/shop/orders", "GET", "/a/b", "127.0.0.1", "cluster.local/ns/shop/sa/web",
    ] { #expect(asked.contains(part)) }
    #expect(!asked.contains("secret") && !asked.contains("tenant"))
    let bare = try Self.proxy(backend, counter, Self.limit(Self.tenant))
    #expect(try bare.connect().exchange(Self.get("")).status == 200)
    #expect(record.all.count == 1)
  }

  @Test("without an answer in time the policy decides: on, refused, or this proxy's own limit")
  func failures() throws {
    let (backend, counter) = (Backend.named("orders"), Self.service(Record()) { _ in nil })
    defer { withExtendedLifetime((backend, counter)) {} }
    func statuses(_ failure: GlobalRateLimit.Failure) throws -> ([Int], TestProxy) {
      let limit = Self.limit(Self.tenant, timeout: .milliseconds(10), failure: failure)
      let proxy = try Self.proxy(backend, counter, limit)
      let client = try proxy.connect()
      return (try (0..<3).map { _ in try client.exchange(Self.get()).status }, proxy)
    }
    let (allowed, proxy) = try statuses(.allow)
    #expect(allowed == [200, 200, 200])
    #expect(try proxy.count("global_rate_limit_calls_total", "result=\"error\"") == 3)
    let (denied, denying) = try statuses(.deny)
    #expect(denied == [503, 503, 503])
    #expect(try denying.count("response_total", "response_flag=\"RLSE\"", "status_code=\"503\"") == 3)
    #expect(try statuses(.local(RateLimit(2, per: .seconds(3_600)))).0 == [200, 200, 429])
  }

  @Test("an answer that cannot be read is none, and neither is one of a service that nobody runs")
  func nonsense() throws {
    let (backend, counter) = (Backend.named("orders"), Self.service(Record()) { _ in [0, 0, 0, 0, 2, 8, 7] })
    defer { withExtendedLifetime((backend, counter)) {} }
    let proxy = try Self.proxy(backend, counter, Self.limit(Self.tenant, failure: .deny))
    #expect(try proxy.connect().exchange(Self.get()).status == 503)
    proxy.apply(ConfigUpdate(endpoints: [(.other, EndpointSet(key: .other, endpoints: []))]))
    #expect(try proxy.connect().exchange(Self.get()).status == 503)
    #expect(try proxy.count("global_rate_limit_calls_total", "result=\"error\"") == 2)
  }

  @Test("past the most questions at a time the policy decides at once")
  func questions() throws {
    let record = Record()
    let (backend, counter) = (Backend.named("orders"), Self.service(record) { _ in Self.yes })
    defer { withExtendedLifetime((backend, counter)) {} }
    var limits = ProxyLimits()
    limits.maximumRateLimitCalls = 0
    let proxy = try Self.proxy(backend, counter, Self.limit(Self.tenant, failure: .deny), limits: limits)
    #expect(try proxy.connect().exchange(Self.get()).status == 503)
    let allowing = try Self.proxy(backend, counter, Self.limit(Self.tenant), limits: limits)
    #expect(try allowing.connect().exchange(Self.get()).status == 200)
    #expect(try allowing.count("limit_hits_total", "limit=\"rate_limit_calls\"") == 1)
    #expect(record.all.isEmpty)
  }

  @Test("a client that leaves while its request waits leaves nothing behind, and content waits with its request")
  func waiting() throws {
    let gate = Signal()
    let (backend, counter) = (
      Backend.answering { "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n\($0.body.count)" },
      Self.service(Record()) { _ in
        gate.wait()
        return Self.yes
      }
    )
    defer { withExtendedLifetime((backend, counter)) {} }
    let proxy = try Self.proxy(backend, counter, Self.limit(Self.tenant))
    let (leaving, staying) = (try proxy.connect(), try proxy.connect())
    try leaving.send(Self.get())
    #expect(try proxy.becomes { $0.rateLimitCalls == 1 })
    leaving.reset()
    try staying.send("POST / HTTP/1.1\r\nHost: orders.shop\r\nx-tenant: a\r\nContent-Length: 300000\r\n\r\n")
    #expect(try proxy.becomes { $0.rateLimitCalls == 2 && $0.exchangeCount == 3 })
    onThread { _ = try? staying.send([UInt8](repeating: 0x61, count: 300_000)) }
    gate.raise()
    #expect(try staying.message().text == "300000")
    #expect(try proxy.becomes { $0.rateLimitCalls == 0 && $0.exchangeCount == 0 && $0.bufferBudget.held == 0 })
  }
}
