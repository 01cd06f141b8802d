package import MeshCore

/// Where the requests of one workload may go outside the mesh. The control plane has left out what is for other workloads.
///
/// `deny` goes before everything, then what the mesh knows (services and ExternalServices), then `allow`, then the mode.
package struct EgressPolicy: Hashable, Sendable {
  package enum Mode: String, Hashable, Sendable, CaseIterable {
    /// Hosts that the mesh does not know are found by the DNS, and called as they are.
    case allowAny = "ALLOW_ANY"
    /// Only what the mesh knows.
    case registryOnly = "REGISTRY_ONLY"
  }

  /// What one entry of the manifest is for.
  package struct Rule: Hashable, Sendable {
    /// Names in lower case, wildcards (`*.example.com`), addresses and blocks of them (`10.0.0.0/8`).
    package var hosts: [String]
    /// Empty: all.
    package var ports: [UInt16]
    /// Where it stands: `egress.deny[0]`.
    package var name: String

    package init(hosts: [String], ports: [UInt16] = [], name: String) {
      self.hosts = hosts
      self.ports = ports
      self.name = name
    }

    func covers(_ host: String, _ address: SocketAddress?, _ port: UInt16) -> Bool {
      guard ports.isEmpty || ports.contains(port) else { return false }
      return hosts.contains { pattern in
        if let address { return AddressBlock(pattern)?.contains(address) == true }
        return pattern == "*" || HostName.covers(pattern, host)
      }
    }
  }

  package enum Decision: Hashable, Sendable {
    case allowed(String)
    case refused(String)

    package var isAllowed: Bool { if case .allowed = self { true } else { false } }
    /// What decided: the mode, `registry`, or the name of a rule.
    package var reason: String {
      switch self {
      case .allowed(let reason), .refused(let reason): reason
      }
    }
  }

  package var mode: Mode
  package var allow: [Rule]
  package var deny: [Rule]

  package init(mode: Mode = .allowAny, allow: [Rule] = [], deny: [Rule] = []) {
    self.mode = mode
    self.allow = allow
    self.deny = deny
  }

  /// Some hosts may not be called.
  package var isRestricting: Bool { mode == .registryOnly || !deny.isEmpty }

  /// `host` in lower case, without a port. `isRegistered`: an ExternalService has it.
  package func decide(host: String, port: UInt16, isRegistered: Bool = false) -> Decision {
    decide(host, SocketAddress(host, defaultPort: 0), port, isRegistered)
  }

  package func decide(_ address: SocketAddress) -> Decision { decide("", address, address.port, false) }

  private func decide(_ host: String, _ address: SocketAddress?, _ port: UInt16, _ isRegistered: Bool) -> Decision {
    if let rule = deny.first(where: { $0.covers(host, address, port) }) { return .refused(rule.name) }
    if isRegistered { return .allowed("registry") }
    if let rule = allow.first(where: { $0.covers(host, address, port) }) { return .allowed(rule.name) }
    return mode == .allowAny ? .allowed(mode.rawValue) : .refused(mode.rawValue)
  }
}
