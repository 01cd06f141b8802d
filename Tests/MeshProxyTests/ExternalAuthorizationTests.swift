import MeshCore
import MeshHTTP
import MeshPolicy
import MeshRuntime
import Synchronization
import Testing

@testable import MeshProxy

/// Custom policies: what proxies ask a provider, and what they make of its answer, or of none.
@Suite("External authorizers in the proxy")
struct ExternalAuthorizationTests {
  /// Frames of gRPC with a `CheckResponse`.
  private static func frame(_ message: [UInt8]) -> [UInt8] { [0, 0, 0, 0, UInt8(message.count)] + message }
  private static let yes = frame([10, 0])
  /// 418, `no!`.
  private static let no = frame([10, 2, 8, 7, 18, 10, 10, 3, 8, 162, 3, 26, 3, 110, 111, 33])
  /// Allowed: `x-user: ada` for the request, `x-in` taken away, `x-out: 1` for the client.
  private static let changed: [UInt8] = {
    var message: [UInt8] = [10, 0, 26, 40, 18, 15, 10, 13, 10, 6]
    message += Array("x-user".utf8) + [18, 3]
    message += Array("ada".utf8) + [42, 4]
    message += Array("x-in".utf8) + [50, 12, 10, 10, 10, 5]
    message += Array("x-out".utf8) + [18, 1, 49, 66, 1, 107]
    return frame(message)
  }()

  private final class Record: Sendable {
    private let asked = Mutex<[[UInt8]]>([])
    func add(_ body: [UInt8]) { asked.withLock { $0.append(body) } }
    var all: [[UInt8]] { asked.withLock { $0 } }
    var last: String { String(decoding: (all.last ?? []).filter { (0x20...0x7A).contains($0) }, as: UTF8.self) }
  }

  /// Answers each question in gRPC with what `answer` says of its number; with nothing for nil.
  private static func authorizer(_ record: Record, _ answer: @escaping @Sendable (Int) -> [UInt8]?) -> Backend {
    Backend { peer, _ in
      let server = try HTTP2Peer(peer, role: .server)
      var last: UInt32 = 0
      while true {
        let stream = try server.nextRequest(after: last)
        last = stream.rawValue
        while !server.stream(stream).isEnded { try server.step() }
        record.add(server.stream(stream).body)
        guard let bytes = answer(record.all.count) else { continue }
        server.engine.sendHead(
          HTTP2Peer.answer(200, [("content-type", "application/grpc")]), on: stream, endStream: false)
        try server.send(bytes, on: stream, endStream: false)
        let trailers = MessageHead()
        trailers.append(name: "grpc-status", value: "0")
        server.engine.sendTrailers(trailers, on: stream)
        try server.flush()
      }
    }
  }

  private static func pair(
    _ backend: Backend, _ provider: Backend, appProtocol: AppProtocol = .grpc, _ authorizer: ExternalAuthorizer,
    also: [AuthorizationPolicy] = []
  ) throws -> MeshPair {
    let pair = try MeshPair(to: backend)
    let endpoint = Endpoint(address: provider.address, workload: "opa-0", identity: nil)
    let direct = RouteRule(name: "service/shop/other", backends: [WeightedBackend(backend: .other, weight: 1)])
    let policy = AuthorizationPolicy(
      name: "shop/ask", action: .custom(provider: "opa"), rules: [AuthorizationRule()], authorizer: authorizer)
    pair.authorize(Authorization(policies: [policy] + also))
    // What nobody has subscribed to is not taken: the policy has to be there.
    pair.receiver.apply(
      ConfigUpdate(
        endpoints: [(.other, EndpointSet(key: .other, endpoints: [endpoint], appProtocol: appProtocol))],
        services: [(.other, ServiceConfig(key: .other, appProtocol: appProtocol, rules: [direct]))]))
    return pair
  }

  private static func grpc(
    _ failure: ExternalAuthorizer.Failure = .deny(status: 403), timeout: TimeSpan = .seconds(20),
    content: ExternalAuthorizer.Content? = nil
  ) -> ExternalAuthorizer {
    ExternalAuthorizer(service: .other, wire: .grpc(.init()), timeout: timeout, failure: failure, content: content)
  }

  private static func get(_ fields: String = "", _ path: String = "/") -> String {
    "GET \(path) HTTP/1.1\r\nHost: orders.shop\r\n\(fields)\r\n"
  }

  @Test("what the provider allows goes on, and what it denies is answered as it says")
  func verdicts() throws {
    let record = Record()
    let (backend, provider) = (Backend.named("orders"), Self.authorizer(record) { $0 == 1 ? Self.yes : Self.no })
    defer { withExtendedLifetime((backend, provider)) {} }
    let pair = try Self.pair(backend, provider, Self.grpc())
    let client = try pair.sender.connect()
    #expect(try client.exchange(Self.get("x-a: 1\r\n", "/a?b=c")).text == "orders")
    for part in ["GET", "/a?b=c", "orders.shop", "x-a", "spiffe://cluster.local/ns/shop/sa/web", "127.0.0.1"] {
      #expect(record.last.contains(part), "\(part)")
    }
    let refused = try client.exchange(Self.get())
    #expect(refused.status == 418 && refused.text == "no!")
    #expect(try pair.receiver.count("external_authorization_total", "result=\"allowed\"", "backend=\"orders\"") == 1)
    #expect(try pair.receiver.count("external_authorization_total", "result=\"denied\"") == 1)
    #expect(
      try pair.receiver.count(
        "authorization_denied_total", "reason=\"provider\"", "authorization_policy=\"shop/ask\"") == 1)
    #expect(try pair.receiver.count("response_total", "response_flag=\"UAEX\"", "status_code=\"418\"") == 1)
    #expect(try pair.receiver.onLoop { $0.authorizationCalls } == 0)
  }

  @Test("the answer changes the request before the application has it, and the client's answer")
  func changes() throws {
    let backend = Backend.answering { request in
      let said = "\(request.value("x-user") ?? "-") \(request.value("x-in") ?? "-")"
      return "HTTP/1.1 200 OK\r\nContent-Length: \(said.utf8.count)\r\n\r\n\(said)"
    }
    let provider = Self.authorizer(Record()) { _ in Self.changed }
    defer { withExtendedLifetime((backend, provider)) {} }
    let pair = try Self.pair(backend, provider, Self.grpc())
    let answer = try pair.sender.connect().exchange(Self.get("x-user: forged\r\nx-in: secret\r\n"))
    #expect(answer.text == "ada -" && answer.value("x-out") == "1")
  }

  @Test("without an answer in time the failure mode decides, and so does an answer that is none")
  func failures() throws {
    for answer in [nil, Self.frame([255]), Self.frame([])] as [[UInt8]?] {
      let (backend, provider) = (Backend.named("orders"), Self.authorizer(Record()) { _ in answer })
      defer { withExtendedLifetime((backend, provider)) {} }
      let timeout: TimeSpan = answer == nil ? .milliseconds(10) : .seconds(20)
      let closed = try Self.pair(backend, provider, Self.grpc(.deny(status: 503), timeout: timeout))
      #expect(try closed.sender.connect().exchange(Self.get()).status == 503)
      #expect(try closed.receiver.count("external_authorization_total", "result=\"error\"") == 1)
      #expect(try closed.receiver.count("authorization_denied_total", "reason=\"provider_failed\"") == 1)
      let open = try Self.pair(backend, provider, Self.grpc(.allow, timeout: timeout))
      #expect(try open.sender.connect().exchange(Self.get()).status == 200)
      #expect(try open.receiver.count("external_authorization_total", "result=\"error_allowed\"") == 1)
    }
  }

  @Test("policies behind the provider's still count: what it allows another may deny")
  func order() throws {
    let (backend, provider) = (Backend.named("orders"), Self.authorizer(Record()) { _ in Self.changed })
    defer { withExtendedLifetime((backend, provider)) {} }
    let rule = AuthorizationRule(operations: [AuthorizationOperation(methods: Selection(["DELETE"]))])
    let deny = AuthorizationPolicy(name: "shop/no", action: .deny, rules: [rule])
    let pair = try Self.pair(backend, provider, Self.grpc(), also: [deny])
    let client = try pair.sender.connect()
    #expect(try client.exchange(Self.get()).status == 200)
    #expect(try client.exchange("DELETE / HTTP/1.1\r\nHost: orders.shop\r\n\r\n").status == 403)
  }

  @Test("content is part of the question as far as it may be; longer content is refused, or told in part")
  func content() throws {
    let record = Record()
    let backend = Backend.answering { "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n\($0.body.count)" }
    let provider = Self.authorizer(record) { _ in Self.yes }
    defer { withExtendedLifetime((backend, provider)) {} }
    func post(_ length: Int) -> String {
      "POST / HTTP/1.1\r\nHost: orders.shop\r\nContent-Length: \(length)\r\n\r\n"
        + String(repeating: "z", count: length)
    }
    let whole = try Self.pair(backend, provider, Self.grpc(content: .init(maximumBytes: 20)))
    let client = try whole.sender.connect()
    #expect(try client.exchange(post(20)).text == "20")
    #expect(record.last.contains(String(repeating: "z", count: 20)) && record.last.contains("false"))
    #expect(try whole.sender.connect().exchange(post(21)).status == 413)
    #expect(record.all.count == 1)
    let part = try Self.pair(backend, provider, Self.grpc(content: .init(maximumBytes: 20, allowsPart: true)))
    #expect(try part.sender.connect().exchange(post(50)).text == "50")
    #expect(record.last.contains("true") && !record.last.contains(String(repeating: "z", count: 21)))
  }

  @Test("by HTTP 200 allows, with fields that no client can forge, and the rest is told to the client")
  func http() throws {
    let backend = Backend.answering { request in
      let said = request.value("x-user") ?? "nobody"
      return "HTTP/1.1 200 OK\r\nContent-Length: \(said.utf8.count)\r\n\r\n\(said)"
    }
    let provider = Backend.answering { request in
      switch (request.value("authorization"), request.value("cookie")) {
      case ("good", nil): "HTTP/1.1 200 OK\r\nx-user: ada\r\nContent-Length: 0\r\n\r\n"
      case ("anonymous", nil): "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
      case ("broken", nil): "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n"
      default: "HTTP/1.1 302 Found\r\nLocation: /login\r\nx-inner: 1\r\nContent-Length: 2\r\n\r\ngo"
      }
    }
    defer { withExtendedLifetime((backend, provider)) {} }
    let wire = ExternalAuthorizer.HTTP(pathPrefix: "/check", requestFields: ["x-user"], denialFields: [])
    let pair = try Self.pair(
      backend, provider, appProtocol: .http,
      ExternalAuthorizer(service: .other, wire: .http(wire), timeout: .seconds(20)))
    let client = try pair.sender.connect()
    func ask(_ who: String) throws -> String {
      try client.exchange(Self.get("authorization: \(who)\r\nx-user: root\r\n")).text
    }
    #expect(try ask("good") == "ada" && ask("anonymous") == "nobody")
    let login = try client.exchange(Self.get("x-user: root\r\n"))
    #expect(login.status == 302 && login.value("location") == "/login" && login.value("x-inner") == nil)
    #expect(try client.exchange(Self.get("authorization: broken\r\n")).status == 403)
  }

  @Test("past the most questions at a time the failure mode decides, and a client that leaves leaves nothing behind")
  func questions() throws {
    let gate = Signal()
    let provider = Self.authorizer(Record()) { _ in
      gate.wait()
      return Self.yes
    }
    let backend = Backend.named("orders")
    defer { withExtendedLifetime((backend, provider)) {} }
    let pair = try Self.pair(backend, provider, Self.grpc())
    let (leaving, staying) = (try pair.receiver.connect(1), try pair.sender.connect())
    try leaving.send(Self.get())
    #expect(try pair.receiver.becomes { $0.authorizationCalls == 1 })
    leaving.reset()
    try staying.send(Self.get())
    #expect(try pair.receiver.becomes { $0.authorizationCalls == 2 })
    gate.raise()
    #expect(try staying.message().status == 200)
    #expect(try pair.receiver.becomes { $0.authorizationCalls == 0 && $0.exchangeCount == 0 })
  }
}
