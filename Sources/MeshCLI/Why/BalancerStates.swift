internal import Foundation
internal import MeshControl
internal import MeshCore
internal import MeshPolicy

/// `/clusters` of a proxy: what the balancers of its workers think of each endpoint, those that it found by the DNS included.
struct BalancerStates: Decodable {
  struct Worker: Decodable { var backends: [Backend] }
  struct Backend: Decodable {
    /// `api.shop:80`.
    var backend: String
    /// Of an external service with several.
    var host: String?
    var endpoints: [Endpoint]
  }
  struct Endpoint: Decodable {
    var address: String
    var state: String
    /// Of a server outside the mesh, whose last handshake failed.
    var tlsFailure: String?

    private enum CodingKeys: String, CodingKey {
      case address, state
      case tlsFailure = "tls_failure"
    }

    var shown: String { tlsFailure.map { "\(state), TLS failed: \($0)" } ?? state }
  }

  var workers: [Worker]

  /// By address. An endpoint that some workers have ejected is told with their number.
  var byAddress: [String: String] {
    var states: [String: [String]] = [:]
    for endpoint in workers.flatMap(\.backends).flatMap(\.endpoints) {
      states[endpoint.address, default: []].append(endpoint.shown)
    }
    return states.mapValues { Self.together($0, "workers") }
  }

  /// What several see.
  static func together(_ states: [String], _ noun: String) -> String {
    guard let bad = states.first(where: { $0 != "ready" }) else { return "ready" }
    let count = states.count { $0 == bad }
    return count == states.count ? bad : "\(bad) (by \(count) of \(states.count) \(noun))"
  }

  /// Nil when the proxy does not answer: its balancers are a detail of the answer.
  static func fetch(from address: String) async -> BalancerStates? {
    guard let admin = SocketAddress(address, defaultPort: RunPlan.adminPort),
      let reply = try? await HTTPFetch.get(admin, path: "/clusters"), reply.status == 200
    else { return nil }
    return try? JSONDecoder().decode(BalancerStates.self, from: Data(reply.body))
  }
}

extension MeshView {
  /// Puts the addresses that proxies found by the DNS into the sets that have names in their place; `host`: of sets with several, those of
  /// that one. Returns the state of each.
  mutating func resolveNames(_ proxies: [BalancerStates], host: String? = nil) -> [String: String] {
    var states: [String: [String]] = [:]
    for proxy in proxies {
      let known = proxy.byAddress
      for (key, host, address) in found(proxy, host) {
        let text = address.description
        if let state = known[text] { states[text, default: []].append(state) }
        guard endpoints[key]?.endpoints.contains(where: { $0.address == address && $0.workload == host }) == false
        else {
          continue
        }
        endpoints[key]?.endpoints.append(Endpoint(address: address, workload: host, identity: nil))
      }
    }
    for (key, set) in endpoints where set.names != nil {
      endpoints[key]?.endpoints = set.endpoints.sorted {
        ($0.workload, $0.address.high, $0.address.low) < ($1.workload, $1.address.high, $1.address.low)
      }
    }
    return states.mapValues { BalancerStates.together($0, "proxies") }
  }

  /// Each once, whichever worker has it.
  private func found(
    _ proxy: BalancerStates, _ wanted: String?
  ) -> [(ServicePort, host: String, address: SocketAddress)] {
    var seen: Set<String> = []
    return proxy.workers.flatMap(\.backends).flatMap { backend in
      guard let key = ServicePort(backend.backend), let names = endpoints[key]?.names,
        let host = names.onlyHost ?? backend.host, names.onlyHost != nil || wanted == nil || wanted == host
      else { return [(ServicePort, host: String, address: SocketAddress)]() }
      return backend.endpoints.compactMap { endpoint in
        guard let address = SocketAddress(endpoint.address, defaultPort: 0),
          seen.insert("\(key) \(host) \(endpoint.address)").inserted
        else { return nil }
        return (key, host: host, address: address)
      }
    }
  }
}
