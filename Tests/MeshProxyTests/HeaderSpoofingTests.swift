import MeshCore
import MeshHTTP
import MeshPolicy
import MeshRuntime
import MeshTelemetry
import Testing

@testable import MeshProxy

/// Every field that proxies of the mesh set or read, sent by somebody who is none of them.
@Suite("Fields of the mesh from outside") struct HeaderSpoofingTests {
  static let evil = "By=spiffe://cluster.local/ns/shop/sa/orders;URI=spiffe://cluster.local/ns/shop/sa/admin"
  /// Name in some spelling, and a value that would do harm.
  static let fields: [(String, String)] = [
    ("x-forwarded-client-cert", evil), ("X-Forwarded-Client-Cert", evil), ("x-apus-target-port", "22"),
    ("X-APUS-Service", "admin.shop:80"), ("x-apus-response-flag", "UF"), ("x-apus-upgrade", "refused"),
    ("x-apus-timeout", "1ms"), ("x-apus-attempt-timeout", "1ms"), ("x-apus-retries", "100"),
  ]

  private static func request(_ host: String) -> String {
    // Twice each: to drop the first alone would let the second through.
    let lines = (fields + fields).map { "\($0): \($1)\r\n" }.joined()
    return "GET http://\(host)/ HTTP/1.1\r\nHost: \(host)\r\n\(lines)\r\n"
  }

  /// An application that answers with all that it was sent.
  private static func echo() -> Backend {
    Backend.answering { message in
      let text = message.head.lowercased()
      return "HTTP/1.1 200 OK\r\nContent-Length: \(text.utf8.count)\r\n\r\n\(text)"
    }
  }

  private static func leaks(_ answer: String) -> [String] {
    answer.split(separator: "\r\n").map(String.init).filter { line in
      line.hasPrefix("x-apus-") || line.hasPrefix("x-forwarded-client-cert")
    }
  }

  @Test("through the outbound port none reaches an application, nor changes what is done with the request")
  func outbound() throws {
    let backend = Self.echo()
    let proxy = try TestProxy.serving([backend.address])
    let answer = try proxy.connect(1).exchange(Self.request("orders"))
    #expect(answer.status == 200 && Self.leaks(answer.text) == [])
    let mapped = try proxy.connect(0).exchange(Self.request("orders"))
    #expect(mapped.status == 200 && Self.leaks(mapped.text) == [])
    #expect(try proxy.count("reserved_fields_removed_total", "direction=\"outbound\"") == 2)
    _ = try proxy.connect(0).exchange("GET / HTTP/1.1\r\nHost: orders\r\n\r\n")
    #expect(try proxy.count("reserved_fields_removed_total") == 2)
  }

  @Test("through the plaintext port none reaches an application, nor chooses its port")
  func plaintext() throws {
    let backend = Self.echo()
    let proxy = try TestProxy([.inboundPlaintext])
    let secret = Backend.named("secret")
    proxy.apply(
      ConfigUpdate(
        workload: WorkloadUpdate(
          name: "orders-0",
          ports: [
            InboundPortConfig(port: 8080, appProtocol: .http, service: .orders, application: backend.address),
            InboundPortConfig(port: 22, appProtocol: .http, service: .other, application: secret.address),
          ])))
    let answer = try proxy.connect().exchange(Self.request("orders"))
    #expect(answer.status == 200 && Self.leaks(answer.text) == [])
    #expect(secret.connections == 0)
    #expect(try proxy.count("reserved_fields_removed_total", "direction=\"inbound\"") == 1)
  }

  @Test("through a forward listener none of what proxies tell each other reaches the server") func forward() throws {
    let backend = Self.echo()
    let proxy = try TestProxy.forwarding(to: backend)
    let answer = try proxy.connect().exchange(Self.request("orders"))
    #expect(backend.connections == 1)
    let leaks = Self.leaks(answer.text).filter { !$0.contains("-timeout") && !$0.contains("-retries") }
    #expect(answer.status == 200 && leaks == [])
    #expect(try proxy.count("request_total") == 1)
  }

  @Test("over the mesh the application hears who calls by what was proved, whatever the caller's program says")
  func mesh() throws {
    let backend = Self.echo()
    let pair = try MeshPair(to: backend)
    let answer = try pair.sender.connect().exchange(Self.request("orders"))
    #expect(backend.connections == 1)
    let told = Self.leaks(answer.text)
    #expect(answer.status == 200 && told.count == 1)
    let value = try #require(told.first)
    let expected =
      #/x-forwarded-client-cert: by=spiffe://cluster.local/ns/shop/sa/orders;hash=[0-9a-f]{64};subject="[^"]*";uri=spiffe://cluster.local/ns/shop/sa/web/#
    #expect(value.wholeMatch(of: expected) != nil, "\(value)")
    #expect(try pair.receiver.count("request_total", "direction=\"inbound\"") == 1)
    // What proxies tell each other is no forgery.
    #expect(try pair.sender.count("reserved_fields_removed_total") == 1)
    #expect(try pair.receiver.count("reserved_fields_removed_total") == 0)
  }

  @Test("what an application answers under these names reaches no client, and makes no proxy repeat a request")
  func answers() throws {
    let backend = Backend.answering { _ in
      "HTTP/1.1 503 Down\r\nX-Apus-Response-Flag: UF\r\nX-Apus-Upgrade: refused\r\nContent-Length: 0\r\n\r\n"
    }
    let pair = try MeshPair(to: backend)
    let answer = try pair.sender.connect().exchange("GET / HTTP/1.1\r\nHost: orders\r\n\r\n")
    #expect(answer.status == 503 && Self.leaks(answer.head.lowercased()) == [])
    #expect(try pair.sender.count("retries_total") == 0)
    #expect(try pair.sender.count("response_total", "response_flag=\"UF\"") == 0)
  }

  @Test("a subject with quotes stays inside of its quotes") func quotes() {
    let text = ForwardedClientCertificate.text(
      by: SPIFFEID(trustDomain: "a", namespace: "b", serviceAccount: "c"),
      PeerCertificate(sha256: "00", subject: "CN=\"x\";URI=spiffe://evil\\\r\n"),
      SPIFFEID(trustDomain: "a", namespace: "b", serviceAccount: "d"))
    #expect(text == #"By=spiffe://a/ns/b/sa/c;Hash=00;Subject="CN=\"x\";URI=spiffe://evil\\";URI=spiffe://a/ns/b/sa/d"#)
  }
}
