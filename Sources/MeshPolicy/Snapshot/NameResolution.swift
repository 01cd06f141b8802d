package import MeshCore

/// Endpoints that proxies find by the DNS.
package struct NameResolution: Hashable, Sendable {
  /// In lower case: one name, or several and wildcards (`*.example.com`).
  package var hosts: [String]
  /// Where the servers listen.
  package var port: UInt16
  /// An answer counts at least, and at most, for so long.
  package var minimumTTL: TimeSpan
  package var maximumTTL: TimeSpan

  package init(
    hosts: [String], port: UInt16, minimumTTL: TimeSpan = .seconds(5), maximumTTL: TimeSpan = .seconds(300)
  ) {
    self.hosts = hosts
    self.port = port
    self.minimumTTL = minimumTTL
    self.maximumTTL = maximumTTL
  }

  /// The one name that all requests are for; nil where the request says which.
  package var onlyHost: String? { hosts.count == 1 && !hosts[0].hasPrefix("*") ? hosts[0] : nil }

  package func covers(_ host: String) -> Bool { hosts.contains { $0 == "*" || HostName.covers($0, host) } }
}

extension EndpointSet {
  /// The set of one host, with the addresses that it has.
  package func resolved(_ host: String, _ addresses: [SocketAddress]) -> EndpointSet {
    guard let names else { return self }
    var set = self
    if set.tls?.hostname.isEmpty == true { set.tls?.hostname = host }
    set.endpoints = addresses.map { address in
      Endpoint(
        address: SocketAddress(high: address.high, low: address.low, port: names.port), workload: host, identity: nil)
    }
    return set
  }
}
