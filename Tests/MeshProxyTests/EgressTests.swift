import MeshCore
import MeshHTTP
import MeshPolicy
import MeshRuntime
import MeshTelemetry
import Testing

@testable import MeshProxy

@Suite("Requests that leave the mesh") struct EgressTests {
  private static func proxy(_ policy: EgressPolicy) throws -> TestProxy {
    let proxy = try TestProxy([.outboundProxy])
    proxy.apply(ConfigUpdate(workload: WorkloadUpdate(name: "web-0", ports: [], egress: policy)))
    return proxy
  }

  /// What the control thread finds for every host of a port.
  private static func resolve(_ proxy: TestProxy, _ host: String, _ address: SocketAddress) throws {
    let key = ServicePort.outside(address.port)
    let set = try #require(EndpointSet.outside(key)).resolved(host, [address])
    // Asked for by the first request.
    #expect(try proxy.becomes { $0.backends[key]?.hosts?.all.contains { $0.name == host } == true })
    proxy.apply(ConfigUpdate(named: [NamedSet(host: host, set: set)]))
  }

  private static func get(_ host: String) -> String { "GET http://\(host)/ HTTP/1.1\r\nHost: \(host)\r\n\r\n" }

  @Test("ALLOW_ANY resolves a host that the mesh does not know, and sends the request there as it is")
  func allowAny() throws {
    let backend = Backend.answering { "HTTP/1.1 200 OK\r\nContent-Length: \($0.head.utf8.count)\r\n\r\n\($0.head)" }
    let proxy = try Self.proxy(EgressPolicy())
    let host = "www.example.com:\(backend.address.port)"
    let client = try proxy.connect()
    try client.send(Self.get(host))
    try Self.resolve(proxy, "www.example.com", backend.address)
    let answer = try client.message()
    #expect(answer.status == 200 && answer.text.lowercased().contains("host: \(host)"))
    #expect(
      try proxy.count("egress_requests_total", "host=\"\(host)\"", "decision=\"allowed\"", "reason=\"ALLOW_ANY\"") == 1)
    #expect(proxy.asked.all == [])
  }

  @Test("a name of two labels is asked of the mesh first, and of the DNS when the mesh knows no such namespace")
  func twoLabels() throws {
    let backend = Backend.named("outside")
    let proxy = try Self.proxy(EgressPolicy())
    let key = ServicePort(service: ServiceName(name: "example", namespace: "com"), port: backend.address.port)
    let client = try proxy.connect()
    try client.send(Self.get("example.com:\(key.port)"))
    #expect(try proxy.becomes { $0.services[key] != nil })
    proxy.apply(ConfigUpdate(services: [(key, nil)], outside: [key]))
    try Self.resolve(proxy, "example.com", backend.address)
    #expect(try client.message().text == "outside")
    // In a namespace of the mesh it is a mistake, and no program's request for it leaves the machine.
    let lost = ServicePort(service: ServiceName(name: "ordres", namespace: "shop"), port: 80)
    try client.send(Self.get("ordres.shop"))
    #expect(try proxy.becomes { $0.services[lost] != nil })
    proxy.apply(ConfigUpdate(services: [(lost, nil)]))
    #expect(try client.message().status == 404)
  }

  @Test(
    "REGISTRY_ONLY refuses names, addresses and tunnels that nothing declares",
    arguments: [
      get("www.example.com"), get("192.0.2.1:8080"), "CONNECT www.example.com:443 HTTP/1.1\r\nHost: x\r\n\r\n",
      "CONNECT [2001:db8::1]:443 HTTP/1.1\r\nHost: x\r\n\r\n",
    ])
  func registryOnly(_ request: String) throws {
    let proxy = try Self.proxy(EgressPolicy(mode: .registryOnly))
    let answer = try proxy.connect().exchange(request)
    #expect(answer.status == 403 && answer.text.hasPrefix("egress refused"))
    #expect(try proxy.count("egress_requests_total", "decision=\"refused\"", "reason=\"REGISTRY_ONLY\"") == 1)
    #expect(try proxy.count("response_total", "response_flag=\"UAEX\"") == 1)
  }

  @Test("a change of the policy counts for hosts that were called before") func change() throws {
    let backend = Backend.named("outside")
    let proxy = try Self.proxy(EgressPolicy())
    let client = try proxy.connect()
    #expect(try client.exchange(Self.get(backend.address.description)).text == "outside")
    let deny = EgressPolicy(deny: [.init(hosts: ["127.0.0.0/8"], name: "egress.deny[0]")])
    proxy.apply(ConfigUpdate(workload: WorkloadUpdate(name: "web-0", ports: [], egress: deny)))
    #expect(try client.exchange(Self.get(backend.address.description)).status == 403)
    #expect(try proxy.count("egress_requests_total", "reason=\"egress.deny[0]\"") == 1)
  }

  @Test("an ExternalService passes REGISTRY_ONLY, and no deny rule") func registered() throws {
    let backend = Backend.named("outside")
    let key = ServicePort(service: ServiceName(name: "api", namespace: "shop"), port: 80)
    let hosts = ExternalHosts([.init(host: "api.example.com", service: key)])
    let set = EndpointSet(key: key, endpoints: [Endpoint(address: backend.address, workload: "", identity: nil)])
    let rule = RouteRule(name: "direct", backends: [WeightedBackend(backend: key, weight: 1)])
    func ask(_ policy: EgressPolicy) throws -> Int {
      let proxy = try Self.proxy(policy)
      proxy.apply(ConfigUpdate(hosts: hosts))
      let client = try proxy.connect()
      try client.send(Self.get("api.example.com"))
      _ = try proxy.becomes { $0.services[key] != nil }
      proxy.apply(
        ConfigUpdate(
          endpoints: [(key, set)], services: [(key, ServiceConfig(key: key, appProtocol: .http, rules: [rule]))]))
      return try Int(client.message().status)
    }
    #expect(try ask(EgressPolicy(mode: .registryOnly)) == 200)
    #expect(try ask(EgressPolicy(deny: [.init(hosts: ["api.example.com"], name: "d")])) == 403)
  }

  @Test("a host whose address is a listener of the proxy itself is a loop") func loop() throws {
    let proxy = try Self.proxy(EgressPolicy())
    let own = SocketAddress.loopback(port: proxy.port())
    let client = try proxy.connect()
    try client.send(Self.get("evil.example.com:\(own.port)"))
    try Self.resolve(proxy, "evil.example.com", own)
    #expect(try client.message().status == 508)
  }

  @Test(
    "https in plaintext is refused, and so is what is no host",
    arguments: ["https://www.example.com/", "http://a_b.com:0/"])
  func mistakes(_ target: String) throws {
    let proxy = try Self.proxy(EgressPolicy())
    #expect(try proxy.connect().exchange("GET \(target) HTTP/1.1\r\nHost: x\r\n\r\n").status == 400)
    #expect(try proxy.count("response_total", "status_code=\"400\"") == 1)
  }

  // MARK: - Server names

  /// A tunnel to `backend` under a policy that lets its address through, and one name.
  private func tunnel(to backend: Backend) throws -> (proxy: TestProxy, client: Peer) {
    let rule = EgressPolicy.Rule(hosts: ["127.0.0.1", "good.example.com"], name: "egress.allow[0]")
    let proxy = try Self.proxy(EgressPolicy(mode: .registryOnly, allow: [rule]))
    let client = try proxy.connect()
    try client.send("CONNECT \(backend.address) HTTP/1.1\r\nHost: x\r\n\r\n")
    #expect(try client.readThrough("\r\n\r\n").hasPrefix("HTTP/1.1 200 "))
    return (proxy, client)
  }

  private static func echo() -> Backend {
    Backend { peer, _ in
      while true {
        let bytes = try peer.receive()
        if bytes.isEmpty { return }
        try peer.send(bytes)
      }
    }
  }

  @Test("a tunnel carries TLS to a server that the policy allows, in however many pieces its name comes")
  func allowedName() throws {
    let backend = Self.echo()
    let (proxy, client) = try tunnel(to: backend)
    let greeting = ServerNameTests.greeting("good.example.com")
    for piece in [greeting[..<3], greeting[3..<30], greeting[30...]] { try client.send(Array(piece)) }
    #expect(try client.read(greeting.count) == greeting)
    try client.send("more")
    #expect(try client.readText(4) == "more")
    #expect(try proxy.count("egress_requests_total", "decision=\"refused\"") == 0)
  }

  @Test("a tunnel to an allowed address ends when its client asks in TLS for a server that is not")
  func frontedName() throws {
    let backend = Self.echo()
    let (proxy, client) = try tunnel(to: backend)
    try client.send(ServerNameTests.greeting("evil.example.com"))
    #expect(client.isCut())
    let host = "host=\"evil.example.com:\(backend.address.port)\""
    #expect(try proxy.count("egress_requests_total", host, "decision=\"refused\"", "reason=\"REGISTRY_ONLY\"") == 1)
  }

  @Test("what is not TLS, or names no server, goes through the tunnel; so does what ends early")
  func otherBytes() throws {
    let backend = Self.echo()
    for bytes in [Array("SSH-2.0-x\r\n".utf8), ServerNameTests.greeting(nil)] {
      let (proxy, client) = try tunnel(to: backend)
      try client.send(bytes)
      #expect(try client.read(bytes.count) == bytes)
      #expect(try proxy.count("egress_requests_total", "decision=\"allowed\"") == 1)
    }
    let (proxy, client) = try tunnel(to: backend)
    let cut = Array(ServerNameTests.greeting("good.example.com")[..<20])
    try client.send(cut)
    client.shutdownWrite()
    #expect(try client.readToEnd() == cut)
    #expect(try proxy.count("egress_requests_total", "decision=\"refused\"") == 0)
  }
}
