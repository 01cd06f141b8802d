import MeshCore
import MeshPolicy
import Testing

@testable import MeshCLI

@Suite("apus why and apus routes, sessions")
struct WhySessionTests {
  private static let key = SipKey(8, 9)
  private static let orders = ServicePort(service: ServiceName(name: "orders", namespace: "shop"), port: 80)

  private static var view: MeshView {
    var view = MeshView()
    let session = SessionPolicy(
      .cookie(.init(name: "sid", isPermanent: true)), absoluteTimeout: .seconds(3_600), idleTimeout: .seconds(60),
      key: key)
    view.services[orders] = ServiceConfig(
      key: orders, appProtocol: .http,
      rules: [
        RouteRule(
          name: "httproute/shop/orders#0", backends: [WeightedBackend(backend: orders, weight: 1)], session: session)
      ])
    view.endpoints[orders] = EndpointSet(
      key: orders,
      endpoints: (1...2).map {
        Endpoint(address: SocketAddress(ipv4: 0x7F42_0000 + UInt32($0), port: 80), workload: "w\($0)", identity: nil)
      })
    return view
  }

  private static func why(_ headers: [String], now: Int64 = 1_000_000) throws -> String {
    let caller = WhyAnswer.Caller(
      workload: "web-1", service: "web", namespace: "shop", identity: "spiffe://cluster.local/ns/shop/sa/web",
      address: "127.66.0.9", ready: true, connected: true, configuration: "SYNCED")
    let answer = WhyReasoning.answer(
      try WhyRequest(url: "http://orders.shop/", method: nil, headers: headers, isGRPC: false), caller: caller,
      view: view, now: now)
    return WhyText.render(answer, color: false)
  }

  @Test("why says where the request's session is")
  func session() throws {
    let tag = SessionToken.tag(of: SocketAddress(ipv4: 0x7F42_0002, port: 80), in: Self.orders, Self.key)
    let token = SessionToken(began: 950, used: 950, endpoint: tag).text(Self.key)
    let text = try Self.why(["cookie: sid=\(token)"])
    #expect(text.contains("by cookie sid, permanent, at most 3600 s, idle at most 60 s"))
    #expect(text.contains("goes to 127.66.0.2:80 of orders.shop:80"))
    #expect(try Self.why([]).contains("the request begins one"))
    #expect(try Self.why(["cookie: sid=\(token)"], now: 1_010_000).contains("the request begins one"))
  }

  @Test("routes says that clients keep their endpoints")
  func routes() {
    #expect(RulesReport(Self.view).render().contains("session by cookie sid, permanent, at most 3600 s"))
  }
}
