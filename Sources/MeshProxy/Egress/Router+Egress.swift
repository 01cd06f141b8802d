import MeshCore
import MeshHTTP
import MeshPolicy
import MeshRuntime
import MeshTelemetry

// The way of requests to hosts outside the mesh.
extension Router {
  /// Lets the exchange out, or refuses it.
  func leave(_ exchange: Exchange, to host: OutsideHost) {
    worker.metrics.countEgress(host.series)
    guard host.isAllowed else {
      worker.egress.refused(host.name, host.decision.reason)
      return exchange.fail(.egressRefused)
    }
    // In TLS the client names the server once more, and may name another.
    exchange.watchesServerName = exchange.isTunnel && worker.egress.policy.isRestricting
    switch host.place {
    case .address(let address): passThrough(exchange, to: address)
    case .registered(let service): route(exchange, to: service)
    case .name(let service):
      guard exchange.isTunnel || !exchange.request.bytes(exchange.request.scheme).equals("https") else {
        return exchange.fail(.plainHTTPS)
      }
      exchange.leavesMesh = true
      exchange.request.removeFields(.overrides)
      route(exchange, to: service)
    }
  }

  /// `example.com` reads as a service of the namespace `com`, which the mesh does not know: then it is a name of the DNS. Only what
  /// the request itself names: a listener that stands for one service stands for nothing else.
  func leaveByName(_ exchange: Exchange, _ service: ServiceEntry) {
    let authority = exchange.request.bytes(exchange.request.authority)
    let defaultPort: UInt16 = exchange.request.bytes(exchange.request.scheme).equals("https") ? 443 : 80
    guard !authority.isEmpty, case .service(let named) = worker.target(of: authority, defaultPort: defaultPort),
      named === service, let (name, port) = HostName.split(authority.string, defaultPort: defaultPort)
    else { return exchange.fail(.unknownService) }
    exchange.service = nil
    let host = worker.egress.outside(name, port)
    // Until the mesh knows the namespace, or the policy is another.
    worker.remember(authority, defaultPort: defaultPort, .outside(host))
    leave(exchange, to: host)
  }
}

// MARK: - Server names

extension Exchange {
  /// The client of a tunnel out of the mesh has sent something: the server that it names in TLS must be one it may call. What is not
  /// TLS, or names none, goes on: the address it goes to was allowed.
  func judgeServerName() {
    switch ClientHello.parse(requestBuffer.readable, limit: worker.limits.maximumClientHelloBytes) {
    case .incomplete where !requestEnded: return
    case .complete(let name?): if !allows(server: name) { return }
    default: break
    }
    watchesServerName = false
    pumpRequest()
  }

  private func allows(server name: String) -> Bool {
    let port = Router.port(ofAuthority: request.bytes(request.authority)) ?? 443
    let isRegistered = worker.externalHosts.service(of: name, port: port) != nil
    let decision = worker.egress.policy.decide(host: name, port: port, isRegistered: isRegistered)
    if decision.isAllowed { return true }
    worker.metrics.countEgress(worker.egress.series("\(name):\(port)", decision))
    worker.egress.refused("\(name):\(port) (TLS server name)", decision.reason)
    fail(.egressRefused)
    return false
  }
}

extension ProxyError {
  static let egressRefused = ProxyError(
    status: 403, flag: .unauthorized, origin: .downstream, retry: .no,
    reason: "egress refused: the MeshConfig does not let this workload call the host; `apus why` names the rule")
  /// Sent on as it is, it would be plaintext.
  static let plainHTTPS = ProxyError(
    status: 400, flag: .downstreamProtocolError, origin: .downstream, retry: .no,
    reason: "bad request: https goes through CONNECT; or declare the host in an ExternalService with tls")
  static let notAHost = ProxyError(
    status: 400, flag: .downstreamProtocolError, origin: .downstream, retry: .no,
    reason: "bad request: the authority is neither a service, nor a host name, nor an IP address")
}
