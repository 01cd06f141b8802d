internal import MeshCore
internal import MeshPolicy

// Requests to hosts that no service of the mesh stands for, as the proxy's `EgressGate` judges them.
extension WhyReasoning {
  /// An IP address is no service: no rule applies.
  mutating func leave(to address: SocketAddress) {
    guard permits(view.egress.decide(address), "\(address)") else { return }
    answer.notes.append("an IP address is no service: the request goes there as it is, and no rule applies")
    answer.delivered = true
  }

  /// A host that the mesh does not know.
  mutating func leaveMesh() {
    guard let (host, port) = HostName.split(request.authority, defaultPort: request.defaultPort) else {
      return fail(
        400, "\(request.authority) is neither a service, nor a host name, nor an IP address",
        fix: "write SERVICE, SERVICE.NAMESPACE, a host name or an IP address")
    }
    guard permits(view.egress.decide(host: host, port: port), "\(host):\(port)") else { return }
    answer.notes.append(
      "\(host) is outside the mesh: the caller's proxy finds its addresses by the DNS and sends the request there as it is"
    )
    answer.delivered = true
  }

  /// False: a rule of the MeshConfig keeps the caller from a host of an ExternalService.
  mutating func permitsRegistered() -> Bool {
    guard
      ExternalHostTable(view.hosts).service(ofAuthority: request.authority, defaultPort: request.defaultPort) != nil,
      let (host, port) = HostName.split(request.authority, defaultPort: request.defaultPort)
    else { return true }
    let decision = view.egress.decide(host: host, port: port, isRegistered: true)
    return decision.isAllowed || permits(decision, "\(host):\(port)")
  }

  /// A service of a namespace in which the mesh has nothing may be a name of the DNS.
  func mayBeOutside(_ key: ServicePort) -> Bool {
    request.authority.contains(".") && !known.contains { $0.service.namespace == key.service.namespace }
      && key.service.namespace != answer.caller.namespace
  }

  private mutating func permits(_ decision: EgressPolicy.Decision, _ host: String) -> Bool {
    switch decision {
    case .allowed(let reason):
      answer.notes.append("\(answer.caller.identity) may leave the mesh for \(host): \(reason)")
      return true
    case .refused(EgressPolicy.Mode.registryOnly.rawValue):
      fail(
        403, "egress to \(host) is refused: the MeshConfig says REGISTRY_ONLY, and nothing declares the host",
        fix: "declare it in an ExternalService, or list it in egress.allow of the MeshConfig")
    case .refused(let rule):
      fail(
        403, "egress to \(host) is refused to \(answer.caller.identity) by \(rule) of the MeshConfig",
        fix: "change that rule: apus get meshconfig")
    }
    return false
  }
}
