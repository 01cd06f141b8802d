internal import MeshCore
internal import MeshPolicy

/// Whose view of endpoints is asked for.
struct EndpointClients {
  /// Without a zone none counts.
  var home = Locality()
  /// Endpoints by address, as the balancers of the clients' proxy see them now.
  var states: [String: String] = [:]
  /// Of the subset that requests name.
  var subset: UInt64?

  /// What each endpoint gets, asked of the balancer that proxies have. Nil: nobody may serve the requests.
  func shares(of set: EndpointSet) -> [Double]? {
    let now = Instant(nanoseconds: 0)
    let balancer = EndpointBalancer(set.endpoints, policy: set.policy, home: home, seed: 0, now: now)
    for endpoint in set.endpoints where (states[endpoint.address.description] ?? "ready") != "ready" {
      balancer.setHealth(of: endpoint.address, to: .unhealthy(.timeout), now: now)
    }
    return balancer.shares(subset: subset, now: now)
  }
}

extension MeshView {
  /// Whose certificate endpoints outside the mesh must show, and whether the proxy shows one, too.
  func tlsName(_ port: ServicePort) -> String? {
    endpoints[port]?.tls.map {
      ($0.hostname.isEmpty ? "the host asked for" : $0.hostname) + ($0.clientCertificate == nil ? "" : " (mutual)")
    }
  }

  /// The ready endpoints of a port, then those that are not ready.
  func rows(_ port: ServicePort, for clients: EndpointClients = EndpointClients()) -> [EndpointRow] {
    let set = endpoints[port]
    let balancing = set?.policy.balancing ?? BalancingPolicy()
    let plan = balancing.locality.flatMap { LocalityPlan($0, home: clients.home) }
    let isDivided = plan != nil || balancing.subset != nil
    let shares = isDivided ? set.map { clients.shares(of: $0) ?? $0.endpoints.map { _ in 0 } } : nil
    let tls = tlsName(port)
    func row(_ endpoint: Endpoint, _ ready: Bool, _ share: Double?) -> EndpointRow {
      EndpointRow(
        address: endpoint.address.description, workload: endpoint.workload, ready: ready, weight: endpoint.weight,
        zone: endpoint.locality.zone.isEmpty ? nil : endpoint.locality.zone, labels: endpoint.labels,
        subset: balancing.subset.flatMap { endpoint.labels[$0.label] },
        priority: plan.map { $0.level(of: endpoint.locality) }, share: share,
        tls: endpoint.identity == nil ? tls : nil, identity: endpoint.identity?.description,
        state: clients.states[endpoint.address.description])
    }
    let ready = (set?.endpoints ?? []).enumerated().map { row($1, true, shares?[$0]) }
    return ready + (unready[port] ?? []).map { row($0, false, nil) }
  }
}
