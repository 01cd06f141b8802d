import MeshCore
import MeshHTTP
import MeshPolicy
import MeshRuntime
import Synchronization
import Testing

@testable import MeshProxy

/// Requests that ask for an exception from what their rule says.
@Suite("Overrides in the proxy")
struct OverrideProxyTests {
  // Listeners close with their objects, which optimized code lets go after their last use: hence each `withExtendedLifetime`.

  private static let web = SPIFFEID(trustDomain: "cluster.local", namespace: "shop", serviceAccount: "web")
  private static let all: OverridePolicy.Kinds = [.timeout, .attemptTimeout, .retries]

  private static func proxy(
    _ backend: Backend, _ kinds: OverridePolicy.Kinds, caller: SPIFFEID? = web,
    timeouts: RouteTimeouts = RouteTimeouts()
  ) throws -> TestProxy {
    var rule = RouteRule.toOrders(timeouts: timeouts)
    rule.overrides = OverridePolicy(kinds: kinds, callers: ["shop/web"])
    return try TestProxy.serving([backend.address], rules: [rule], client: caller)
  }

  private static func get(_ fields: String) -> String { "GET / HTTP/1.1\r\nHost: orders.shop\r\n\(fields)\r\n" }

  /// Reads and never answers.
  private static func mute() -> Backend { Backend { peer, _ in while !peer.isCut() {} } }

  /// Answers with the head that it got.
  private static func mirror() -> Backend {
    .answering { "HTTP/1.1 200 OK\r\nContent-Length: \($0.head.utf8.count)\r\n\r\n\($0.head)" }
  }

  @Test("a caller that may shortens the time of one request, or of each attempt")
  func timeouts() throws {
    let backend = Self.mute()
    defer { withExtendedLifetime(backend) {} }
    let proxy = try Self.proxy(backend, Self.all)
    let late = try proxy.connect().exchange(Self.get("x-apus-timeout: 10ms\r\n"))
    #expect(late.status == 504 && late.text.hasPrefix("timeout: the request took longer"))
    let attempt = try proxy.connect().exchange(Self.get("X-Apus-Attempt-Timeout: 10ms\r\nx-apus-retries: 2\r\n"))
    #expect(attempt.status == 504 && attempt.text.hasPrefix("timeout: the endpoint took longer"))
    #expect(backend.connections == 4)
    #expect(try proxy.count("retries_total", "reason=\"timeout\"") == 2)
  }

  @Test("a caller that may frees one request of the rule's time limit")
  func freedom() throws {
    let gate = Signal()
    let backend = Backend { peer, _ in
      _ = try peer.message()
      gate.wait()
      try peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    }
    defer { withExtendedLifetime(backend) {} }
    let proxy = try Self.proxy(backend, Self.all, timeouts: RouteTimeouts(request: .milliseconds(20)))
    let patient = try proxy.connect()
    try patient.send(Self.get("x-apus-timeout: 0s\r\n"))
    // While it waits, the rule's own limit passes for another.
    #expect(try proxy.connect().exchange(Self.get("")).status == 504)
    gate.raise()
    #expect(try patient.message().text == "ok")
  }

  @Test("the fields end at the proxy, whether they were followed or not", arguments: [true, false])
  func stripping(isAllowed: Bool) throws {
    let backend = Self.mirror()
    defer { withExtendedLifetime(backend) {} }
    let proxy = try Self.proxy(backend, isAllowed ? Self.all : [])
    let fields = "x-apus-timeout: 20s\r\nX-Apus-Retries: 1\r\nx-apus-attempt-timeout: 20s\r\nx-other: 1\r\n"
    for port in [0, 1] {
      let answer = try proxy.connect(port).exchange(Self.get(fields))
      #expect(answer.status == 200)
      #expect(!answer.text.lowercased().contains("x-apus") && answer.text.contains("x-other"))
    }
    // An address outside of the mesh, without any rule.
    let through = "GET http://\(backend.address)/ HTTP/1.1\r\nHost: \(backend.address)\r\n\(fields)\r\n"
    let answer = try proxy.connect(1).exchange(through)
    #expect(answer.status == 200 && !answer.text.lowercased().contains("x-apus"))
  }

  @Test("nobody else changes anything: other callers, and kinds that are not allowed")
  func refusals() throws {
    let backend = Self.mirror()
    defer { withExtendedLifetime(backend) {} }
    let other = SPIFFEID(trustDomain: "cluster.local", namespace: "shop", serviceAccount: "other")
    for proxy in [
      try Self.proxy(backend, Self.all, caller: other), try Self.proxy(backend, Self.all, caller: nil),
      try Self.proxy(backend, [.retries]),
    ] {
      // What cannot be read would be answered 400 if it counted.
      #expect(try proxy.connect().exchange(Self.get("x-apus-timeout: soon\r\n")).status == 200)
    }
  }

  @Test("what cannot be read is answered 400 to who may ask")
  func malformed() throws {
    let backend = Self.mirror()
    defer { withExtendedLifetime(backend) {} }
    let proxy = try Self.proxy(backend, Self.all)
    let answer = try proxy.connect().exchange(Self.get("x-apus-retries: many\r\n"))
    #expect(answer.status == 400 && answer.text.hasPrefix("bad override: "))
    #expect(backend.connections == 0)
    #expect(try proxy.count("response_total", "response_flag=\"IH\"", "status_code=\"400\"") == 1)
  }

  @Test("backends take turns over all requests, whether they ask for something or not")
  func shares() throws {
    let (one, two) = (Backend.named("1"), Backend.named("2"))
    defer { withExtendedLifetime((one, two)) {} }
    var rule = RouteRule.toOrders()
    rule.backends.append(WeightedBackend(backend: .other, weight: 1))
    rule.overrides = OverridePolicy(kinds: Self.all, callers: ["shop/web"])
    let proxy = try TestProxy.serving([one.address], rules: [rule], client: Self.web)
    let set = EndpointSet(key: .other, endpoints: [Endpoint(address: two.address, workload: "other", identity: nil)])
    proxy.apply(ConfigUpdate(endpoints: [(.other, set)]))
    let client = try proxy.connect()
    let answers = try (0..<40).map { _ in try client.exchange(Self.get("x-apus-timeout: 20s\r\n")).text }
    #expect((19...21).contains(answers.filter { $0 == "1" }.count))
  }
}
