import MeshCore
import MeshHTTP
import MeshPolicy
import MeshRuntime

@testable import MeshProxy

/// Two proxies with mutual TLS between them: a client's, which listens for `orders.shop:80`, and that of a workload of
/// `orders`, in front of `backend`.
final class MeshPair: Sendable {
  static let web = SPIFFEID(trustDomain: "cluster.local", namespace: "shop", serviceAccount: "web")
  static let orders = SPIFFEID(trustDomain: "cluster.local", namespace: "shop", serviceAccount: "orders")

  let sender: TestProxy
  let receiver: TestProxy
  let anchors: [UInt8]
  private let port: InboundPortConfig
  private let endpoint: Endpoint
  private let policy: BackendPolicy

  init(
    to backend: Backend, appProtocol: AppProtocol = .http, policy: BackendPolicy = BackendPolicy(),
    rateLimits: [RateLimit] = [], requestBody: RequestBodyPolicy? = nil,
    adaptiveConcurrency: AdaptiveConcurrency? = nil, receiverLimits: ProxyLimits = ProxyLimits()
  ) throws {
    let authority = TestAuthority()
    anchors = authority.pem
    receiver = try TestProxy([.mesh, .inboundPlaintext], limits: receiverLimits)
    sender = try TestProxy([.mapped(.orders)])
    try Self.identify(receiver, as: Self.orders, by: authority)
    try Self.identify(sender, as: Self.web, by: authority)
    port = InboundPortConfig(
      port: 80, appProtocol: appProtocol, service: .orders, application: backend.address,
      rateLimits: rateLimits, requestBody: requestBody, adaptiveConcurrency: adaptiveConcurrency)
    receiver.apply(ConfigUpdate(workload: WorkloadUpdate(name: "orders-0", ports: [port])))
    self.policy = policy
    endpoint = Endpoint(
      address: .loopback(port: 80), workload: "orders-0", identity: Self.orders, meshPort: receiver.port())
    let service = ServiceConfig(key: .orders, appProtocol: appProtocol, rules: [.toOrders()])
    sender.apply(
      ConfigUpdate(
        endpoints: [(.orders, EndpointSet(key: .orders, endpoints: [endpoint], policy: policy))],
        services: [(.orders, service)]))
  }

  /// Another endpoint beside the receiver.
  func add(_ other: Endpoint) {
    let set = EndpointSet(key: .orders, endpoints: [endpoint, other], policy: policy)
    sender.apply(ConfigUpdate(endpoints: [(.orders, set)]))
  }

  /// The receiver's port, with other limits.
  func reconfigure(rateLimits: [RateLimit], _ adaptiveConcurrency: AdaptiveConcurrency?) {
    var port = port
    port.rateLimits = rateLimits
    port.adaptiveConcurrency = adaptiveConcurrency
    receiver.apply(ConfigUpdate(workload: WorkloadUpdate(name: "orders-0", ports: [port])))
  }

  /// The receiver's port, with other rules of who may call, and of whose tokens are taken.
  func authorize(_ authorization: Authorization?, tokens: TokenPolicy? = nil) {
    var port = port
    port.authorization = authorization
    port.tokens = tokens
    receiver.apply(ConfigUpdate(workload: WorkloadUpdate(name: "orders-0", ports: [port])))
  }

  private static func identify(_ proxy: TestProxy, as identity: SPIFFEID, by authority: TestAuthority) throws {
    let key = try WorkloadKey()
    let chain = authority.issue(key, names: "URI:\(identity)")
    let anchors = authority.pem
    _ = try proxy.onLoop { worker in
      func context(_ role: TLSConfiguration.Role) throws -> TLSContext {
        try TLSContext(
          TLSConfiguration(
            role: role, key: key, chainPEM: chain, trustAnchorsPEM: anchors, protocols: ["h2"],
            ticketKey: TLSTicketKey()))
      }
      guard let client = try? context(.client), let server = try? context(.server) else { return false }
      worker.setIdentity(WorkerIdentity(identity: identity, clientContext: client, serverContext: server))
      return true
    }
  }
}
