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

/// Addresses that begin with the same bits, as RFC 4632 writes them; one address is a block of its own.
package struct AddressBlock: Hashable, Sendable {
  private let high: UInt64
  private let low: UInt64
  private let bits: Int

  package init?(_ text: String) {
    let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
    // A port would be no part of it.
    guard let address = SocketAddress(parts[0], defaultPort: 0), address.port == 0,
      !parts[0].hasPrefix("["), !parts[0].hasSuffix(":0") || !address.isIPv4
    else { return nil }
    let width = address.isIPv4 ? 32 : 128
    var length = width
    if parts.count == 2 {
      guard parts[1].utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = Int(parts[1]), number <= width else {
        return nil
      }
      length = number
    }
    bits = 128 - width + length
    high = address.high & Self.mask(bits)
    low = address.low & Self.mask(bits - 64)
  }

  package func contains(_ address: SocketAddress) -> Bool {
    address.high & Self.mask(bits) == high && address.low & Self.mask(bits - 64) == low
  }

  private static func mask(_ bits: Int) -> UInt64 {
    bits <= 0 ? 0 : bits >= 64 ? .max : ~(UInt64.max >> UInt64(bits))
  }
}
