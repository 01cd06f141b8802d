import MeshCore
import MeshHTTP
import MeshPolicy
import Testing

@testable import MeshProxy

/// TLS connections that are passed on by the server their clients ask for.
@Suite("Connections by server name")
struct ServerNameTests {
  private static let secure = ServicePort(service: ServiceName(name: "secure", namespace: "shop"), port: 443)

  /// Greets with its name once it has been sent something, and echoes it.
  private static func server(_ name: String) -> Backend {
    Backend { peer, _ in
      while true {
        let bytes = try peer.receive()
        if bytes.isEmpty { return }
        try peer.send(Array("\(name):".utf8) + bytes)
      }
    }
  }

  /// The least greeting that has a name.
  static func greeting(_ name: String?) -> [UInt8] {
    let host = name.map { name in
      [0, 0, 0, UInt8(name.utf8.count + 5), 0, UInt8(name.utf8.count + 3), 0, 0, UInt8(name.utf8.count)]
        + Array(name.utf8)
    }
    let extensions = host.map { [0, UInt8($0.count)] + $0 } ?? []
    let body = [3, 3] + [UInt8](repeating: 7, count: 32) + [0, 0, 2, 0x13, 0x01, 1, 0] + extensions
    return [22, 3, 1, 0, UInt8(body.count + 4), 1, 0, 0, UInt8(body.count)] + body
  }

  private struct Setup {
    let one = ServerNameTests.server("one")
    let two = ServerNameTests.server("two")
    let proxy: TestProxy

    /// A rule for one.example, and one for what ends in .two.example; with `everyName` one for all others.
    init(everyName: Bool = false, limits: ProxyLimits = ProxyLimits()) throws {
      proxy = try TestProxy([.mapped(ServerNameTests.secure), .outboundProxy], limits: limits)
      var rules = [
        Self.rule("one", ["one.example"], .orders), Self.rule("two", ["*.two.example"], .other),
      ]
      if everyName { rules.append(Self.rule("rest", ["*"], .other)) }
      let sets = [(ServicePort.orders, one), (.other, two)].map { key, backend in
        let endpoint = Endpoint(address: backend.address, workload: key.service.name, identity: nil)
        return (key, EndpointSet(key: key, endpoints: [endpoint]) as EndpointSet?)
      }
      let config = ServiceConfig(key: ServerNameTests.secure, appProtocol: .tcp, rules: rules)
      proxy.apply(ConfigUpdate(endpoints: sets, services: [(ServerNameTests.secure, config)]))
    }

    private static func rule(_ name: String, _ names: [String], _ backend: ServicePort) -> RouteRule {
      RouteRule(
        name: "tlsroute/shop/\(name)#0", serverNames: names, backends: [WeightedBackend(backend: backend, weight: 1)])
    }

    /// Whether the client is answered by `server`, with every byte it sent.
    func answers(_ server: String, to bytes: [UInt8]) throws -> Bool {
      let client = try proxy.connect()
      try client.send(bytes)
      return try client.readText(server.utf8.count + 1) == "\(server):" && client.read(bytes.count) == bytes
    }

    func flags(_ flag: String) throws -> Int { try proxy.count("response_total", "response_flag=\"\(flag)\"") }
  }

  @Test("a connection goes to the backend of its server name, and every byte of it goes along")
  func names() throws {
    let setup = try Setup()
    #expect(try setup.answers("one", to: Self.greeting("ONE.example")))
    #expect(try setup.answers("two", to: Self.greeting("a.b.two.example") + Array("early".utf8)))
    // A connection is counted at its end.
    #expect(try setup.proxy.becomes { $0.exchangeCount == 0 })
    #expect(try setup.proxy.count("request_total", "route_name=\"tlsroute/shop/two#0\"", "backend=\"other\"") == 1)
  }

  @Test("the name is found when the greeting comes in two pieces, wherever it is cut")
  func pieces() throws {
    let setup = try Setup()
    let greeting = Self.greeting("one.example")
    for cut in 1..<greeting.count {
      let client = try setup.proxy.connect()
      try client.send(Array(greeting[..<cut]))
      // The first piece has been looked at when the proxy has it.
      #expect(try setup.proxy.becomes { $0.waitsForGreetings(bytes: cut) })
      try client.send(Array(greeting[cut...]))
      #expect(try client.readText(4) == "one:")
    }
  }

  @Test("a name of no rule, and none at all, are reset and counted, unless a rule takes every name")
  func unknownNames() throws {
    let strict = try Setup()
    for name in ["two.example", "other", nil] {
      let client = try strict.proxy.connect()
      try client.send(Self.greeting(name))
      #expect(client.isCut())
    }
    #expect(try strict.flags("NR") == 3)
    let open = try Setup(everyName: true)
    for name in ["two.example", nil] { #expect(try open.answers("two", to: Self.greeting(name))) }
  }

  @Test("what is not TLS goes to no server, even where a rule takes every name")
  func notTLS() throws {
    let setup = try Setup(everyName: true)
    for bytes in [
      Array("GET / HTTP/1.1\r\n".utf8), [22, 3, 1, 0, 0], Array(Self.greeting("one.example").dropLast(12)) + [0],
    ] {
      let client = try setup.proxy.connect()
      try client.send(bytes)
      client.shutdownWrite()
      #expect(client.isCut())
    }
    #expect(try setup.flags("DPE") == 3)
  }

  @Test("a client that says nothing, or too little, or too much, is cut off by a named limit")
  func limits() throws {
    var limits = ProxyLimits()
    limits.clientHelloTimeout = .milliseconds(50)
    limits.maximumClientHelloBytes = 1_000
    let setup = try Setup(limits: limits)
    let silent = try setup.proxy.connect()
    #expect(silent.isCut())
    let slow = try setup.proxy.connect()
    try slow.send(Array(Self.greeting("one.example")[..<30]))
    #expect(slow.isCut())
    #expect(try setup.proxy.count("limit_hits_total", "limit=\"client_hello_timeout\"") == 2)
    #expect(try setup.flags("SI") == 2)
    let long = try setup.proxy.connect()
    try long.send([22, 3, 1, 4, 0, 1, 0, 4, 0])
    #expect(long.isCut())
    #expect(try setup.proxy.count("limit_hits_total", "limit=\"client_hello_bytes\"") == 1)
  }

  @Test("a time limit for the greeting does not end the connection after it")
  func timeAfterwards() throws {
    var limits = ProxyLimits()
    limits.clientHelloTimeout = .milliseconds(20)
    let setup = try Setup(limits: limits)
    let client = try setup.proxy.connect()
    try client.send(Self.greeting("one.example"))
    #expect(try client.readText(4) == "one:")
    _ = try client.read(Self.greeting("one.example").count)
    // Another client's time passes after this one's would have.
    #expect(try setup.proxy.connect().isCut())
    try client.send("more")
    #expect(try client.readText(8) == "one:more")
  }

  @Test("behind a CONNECT the greeting is looked at, too")
  func connect() throws {
    let setup = try Setup()
    let client = try setup.proxy.connect(1)
    try client.send("CONNECT secure.shop:443 HTTP/1.1\r\nHost: secure.shop:443\r\n\r\n")
    #expect(try client.readThrough("\r\n\r\n").hasPrefix("HTTP/1.1 200 "))
    try client.send(Self.greeting("x.two.example"))
    #expect(try client.readText(4) == "two:")
  }

  @Test("a plain HTTP request for such a service has no rule")
  func request() throws {
    let setup = try Setup(everyName: true)
    let answer = try setup.proxy.connect(1).exchange(
      "GET http://secure.shop:443/ HTTP/1.1\r\nHost: secure.shop:443\r\n\r\n")
    #expect(answer.status == 404)
  }
}

extension ProxyWorker {
  fileprivate func waitsForGreetings(bytes: Int) -> Bool {
    var waits = false
    forEachExchange { if $0.phase == .greeting, $0.requestBuffer.count == bytes { waits = true } }
    return waits
  }
}
