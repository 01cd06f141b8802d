import MeshAPI
import MeshControl
import MeshCore
import MeshPolicy
import SwiftProtobuf
import Testing

@Suite struct DiscoverySessionTests {
  static func port(_ name: String) -> ServicePort {
    ServicePort(service: ServiceName(name: name, namespace: "shop"), port: 80)
  }

  static func service(_ name: String, backends: [String]) -> MeshResource {
    .service(
      ServiceConfig(
        key: port(name), appProtocol: .http,
        rules: [
          RouteRule(name: "r", backends: backends.map { WeightedBackend(backend: port($0), weight: 1) })
        ]))
  }

  static func endpoints(_ name: String) -> MeshResource {
    .endpoints(EndpointSet(key: port(name), endpoints: []))
  }

  static let workload = MeshResource.workload(
    WorkloadConfig(
      name: "web-1", namespace: "shop",
      identity: SPIFFEID(trustDomain: "cluster.local", namespace: "shop", serviceAccount: "web"), ports: []))
  static let trust = MeshResource.trust(TrustBundle(trustDomain: "cluster.local", anchorsPEM: ""))

  var session = DiscoverySession(workload: "web-1", namespace: "shop")
  var snapshot = DistributionSnapshot(configTime: 7)

  init() {
    snapshot.set(Self.trust, hash: 1)
    snapshot.set(Self.workload, hash: 2)
    snapshot.set(Self.service("orders", backends: ["orders", "orders-v2"]), hash: 3)
    snapshot.set(Self.endpoints("orders"), hash: 4)
    snapshot.set(Self.endpoints("orders-v2"), hash: 5)
    snapshot.set(Self.service("mail", backends: ["mail"]), hash: 6)
    snapshot.set(Self.endpoints("mail"), hash: 7)
  }

  // MARK: - Steps

  mutating func hello(held: [(DiscoveryKey, UInt64)] = [], id: String = "web-1") throws {
    _ = try session.receive(
      .with {
        $0.hello.proxyID = id
        $0.hello.version = "1.0"
        $0.hello.held = held.map { key, hash in
          .with {
            $0.name = Apus_V1_ResourceName(key)
            $0.hash = hash
          }
        }
      })
  }

  mutating func subscribe(_ keys: DiscoveryKey...) throws {
    _ = try session.receive(.with { $0.subscribe.names = keys.map(Apus_V1_ResourceName.init) })
  }

  mutating func unsubscribe(_ keys: DiscoveryKey...) throws {
    _ = try session.receive(.with { $0.unsubscribe.names = keys.map(Apus_V1_ResourceName.init) })
  }

  mutating func next() throws -> (resources: [DiscoveryKey], removed: [DiscoveryKey])? {
    let messages = session.delta(to: snapshot)
    guard let message = messages.first else { return nil }
    #expect(messages.count == 1)
    return (
      try message.resources.map { try DiscoveryKey($0.name) }, try message.removed.map { try DiscoveryKey($0) }
    )
  }

  static let orders = DiscoveryKey.service(port("orders"))
  static let ordersEndpoints = DiscoveryKey.endpoints(port("orders"))
  static let ordersV2Endpoints = DiscoveryKey.endpoints(port("orders-v2"))

  // MARK: - Deltas

  @Test("a greeted proxy gets the trust bundle and its own workload")
  mutating func greeting() throws {
    #expect(try next() == nil)
    try hello()
    let first = try #require(try next())
    #expect(first.resources == [.trust, .workload("web-1")])
    #expect(first.removed.isEmpty)
    #expect(try next() == nil)
  }

  @Test("a subscription brings the service with its backends' endpoints in front, and nothing else")
  mutating func subscription() throws {
    try hello()
    _ = try next()
    try subscribe(Self.orders)
    let delta = try #require(try next())
    #expect(delta.resources == [Self.ordersEndpoints, Self.ordersV2Endpoints, Self.orders])
    #expect(try next() == nil)
  }

  @Test("the endpoints of mirrors come along, those of a backend's own filters too")
  mutating func mirrors() throws {
    func mirror(_ name: String) -> RouteFilter { .mirror(RequestMirror(backend: Self.port(name))) }
    let backend = WeightedBackend(backend: Self.port("orders"), weight: 1, filters: [mirror("orders-v2")])
    let rule = RouteRule(name: "r", filters: [mirror("mail")], backends: [backend])
    snapshot.set(.service(ServiceConfig(key: Self.port("orders"), appProtocol: .http, rules: [rule])), hash: 33)
    try hello()
    _ = try next()
    try subscribe(Self.orders)
    #expect(
      try #require(try next()).resources == [
        Self.ordersEndpoints, .endpoints(Self.port("mail")), Self.ordersV2Endpoints, Self.orders,
      ])
  }

  @Test("a consumer route of the workload's namespace stands in the service's place, one of another does not")
  mutating func consumerRoutes() throws {
    let own = DistributionSnapshot.Key(Self.orders, clients: "shop")
    snapshot.set(Self.service("orders", backends: ["mail"]), at: .init(Self.orders, clients: "web"), hash: 90)
    try hello()
    try subscribe(Self.orders)
    #expect(
      try #require(try next()).resources.suffix(3) == [Self.ordersEndpoints, Self.ordersV2Endpoints, Self.orders])

    snapshot.set(Self.service("orders", backends: ["mail"]), at: own, hash: 91)
    let replaced = try #require(try next())
    #expect(replaced.resources == [.endpoints(Self.port("mail")), Self.orders])
    #expect(Set(replaced.removed) == [Self.ordersEndpoints, Self.ordersV2Endpoints])

    snapshot.remove(own)
    let restored = try #require(try next())
    #expect(restored.resources == [Self.ordersEndpoints, Self.ordersV2Endpoints, Self.orders])
    #expect(restored.removed == [.endpoints(Self.port("mail"))])
  }

  @Test("only what changed is sent again")
  mutating func change() throws {
    try hello()
    try subscribe(Self.orders)
    _ = try next()
    snapshot.set(Self.endpoints("orders-v2"), hash: 50)
    snapshot.set(Self.endpoints("mail"), hash: 70)
    #expect(try #require(try next()).resources == [Self.ordersV2Endpoints])
  }

  @Test("snapshots that pass while the proxy is slow become one delta to the newest")
  mutating func coalescing() throws {
    try hello()
    try subscribe(Self.orders)
    _ = try next()
    for hash in UInt64(100)...200 { snapshot.set(Self.endpoints("orders"), hash: hash) }
    let messages = session.delta(to: snapshot)
    #expect(messages.map(\.resources.count) == [1])
    #expect(messages.first?.resources.first?.hash == 200)
  }

  @Test("what does not exist is answered at once, and comes when it appears")
  mutating func absent() throws {
    let ghost = DiscoveryKey.service(Self.port("ghost"))
    try hello()
    _ = try next()
    try subscribe(ghost)
    #expect(try #require(try next()).removed == [ghost])
    #expect(try next() == nil)
    try subscribe(ghost)
    #expect(try #require(try next()).removed == [ghost])
    snapshot.set(Self.service("ghost", backends: []), hash: 9)
    #expect(try #require(try next()).resources == [ghost])
    snapshot.remove(.init(ghost))
    #expect(try #require(try next()).removed == [ghost])
    #expect(try next() == nil)
  }

  @Test("a backend that leaves the rules takes its endpoints along")
  mutating func backendLeaves() throws {
    try hello()
    try subscribe(Self.orders)
    _ = try next()
    snapshot.set(Self.service("orders", backends: ["orders"]), hash: 30)
    let delta = try #require(try next())
    #expect(delta.resources == [Self.orders])
    #expect(delta.removed == [Self.ordersV2Endpoints])
  }

  @Test("an ended subscription ends its updates")
  mutating func unsubscription() throws {
    try hello()
    try subscribe(Self.orders)
    _ = try next()
    try unsubscribe(Self.orders)
    let delta = try #require(try next())
    #expect(Set(delta.removed) == [Self.orders, Self.ordersEndpoints, Self.ordersV2Endpoints])
    snapshot.set(Self.endpoints("orders"), hash: 40)
    #expect(try next() == nil)
    try subscribe(Self.orders)
    #expect(try #require(try next()).resources.count == 3)
  }

  @Test("a resumed stream sends only what differs from what the proxy holds")
  mutating func resume() throws {
    try hello(held: [
      (.trust, 1), (.workload("web-1"), 2), (Self.orders, 3), (Self.ordersEndpoints, 4),
      (Self.ordersV2Endpoints, 55), (.service(Self.port("gone")), 8),
    ])
    let first = try #require(try next())
    #expect(first.resources.isEmpty && first.removed.isEmpty)
    try subscribe(Self.orders, .service(Self.port("gone")))
    let second = try #require(try next())
    #expect(second.resources == [Self.ordersV2Endpoints])
    #expect(second.removed == [.service(Self.port("gone"))])
  }

  @Test("another workload's configuration is not given")
  mutating func foreignWorkload() throws {
    snapshot.set(
      .workload(
        WorkloadConfig(
          name: "orders-1", namespace: "shop",
          identity: SPIFFEID(trustDomain: "cluster.local", namespace: "shop", serviceAccount: "orders"), ports: [])),
      hash: 80)
    try hello()
    _ = try next()
    try subscribe(.workload("orders-1"))
    #expect(try #require(try next()).resources.isEmpty)
  }

  @Test("a large delta is cut into numbered messages")
  mutating func largeDelta() throws {
    for index in 0..<40 {
      let name = "s\(index)"
      let rules = (0..<10).map {
        RouteRule(name: String(repeating: "r", count: 10_000) + "\($0)", backends: [], failureStatus: 500)
      }
      snapshot.set(.service(ServiceConfig(key: Self.port(name), appProtocol: .http, rules: rules)), hash: 1)
      try hello(once: index == 0)
      try subscribe(.service(Self.port(name)))
    }
    let messages = session.delta(to: snapshot)
    #expect(messages.map(\.version) == Array(1...UInt64(messages.count)))
    #expect(messages.count == 4)
    #expect(messages.map(\.resources.count).reduce(0, +) == 42)
    #expect(messages.allSatisfy { $0.configTimeMs == 7 })
    for message in messages {
      let bytes: [UInt8] = try message.serializedBytes()
      #expect(bytes.count < DiscoverySession.messageBytes + 65_536)
    }
  }

  private mutating func hello(once: Bool) throws {
    if once { try hello() }
  }

  // MARK: - Answers

  @Test("acknowledged versions and rejections are remembered")
  mutating func answers() throws {
    try hello()
    _ = try next()
    _ = try session.receive(.with { $0.ack.version = 1 })
    #expect(session.ackedVersion == 1)
    try subscribe(Self.orders)
    _ = try next()
    _ = try session.receive(
      .with {
        $0.reject.version = 2
        $0.reject.resources = [
          .with {
            $0.name = Apus_V1_ResourceName(Self.orders)
            $0.error = "rules[0].name: empty"
          }
        ]
      })
    #expect(session.rejection == "orders.shop:80: rules[0].name: empty")
    #expect(session.ackedVersion == 1)
    snapshot.set(Self.service("orders", backends: ["orders"]), hash: 31)
    _ = try next()
    _ = try session.receive(.with { $0.ack.version = 3 })
    #expect(session.rejection.isEmpty)
    #expect(session.proxyVersion == "1.0")
  }

  @Test("a stream that breaks the protocol is told how")
  mutating func violations() throws {
    #expect(throws: DiscoverySession.Violation.helloExpected) { try subscribe(Self.orders) }
    #expect(throws: DiscoverySession.Violation.anotherWorkload("web-2")) { try hello(id: "web-2") }
    try hello()
    #expect(throws: DiscoverySession.Violation.secondHello) { try hello() }
    #expect(throws: DiscoverySession.Violation.unknownVersion(9)) {
      _ = try session.receive(.with { $0.ack.version = 9 })
    }
    #expect(throws: DiscoverySession.Violation.self) {
      _ = try session.receive(.with { $0.subscribe.names = [.with { $0.name = "x" }] })
    }
    let many = (0...DiscoverySession.maximumSubscriptions).map { DiscoveryKey.service(Self.port("s\($0)")) }
    #expect(throws: DiscoverySession.Violation.tooMany("subscriptions", 10_000)) {
      _ = try session.receive(.with { $0.subscribe.names = many.map(Apus_V1_ResourceName.init) })
    }
  }
}
