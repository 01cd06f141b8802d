/// A Gateway API `TCPRoute` (v1, v1alpha2) with `Service` parents: where the connections to a port go, whatever they carry.
package struct TCPRoute: Hashable, Sendable {
  package var metadata: ObjectMetadata
  package var parents: [RouteParent]
  /// One; none only in a route that is refused.
  package var rules: [ConnectionRule]

  package init(metadata: ObjectMetadata, parents: [RouteParent], rules: [ConnectionRule]) {
    self.metadata = metadata
    self.parents = parents
    self.rules = rules
  }
}

/// A Gateway API `TLSRoute` (v1, v1alpha3, v1alpha2) with `Service` parents: where TLS connections to a port go, by the server
/// that their clients ask for. They are passed on as they are.
package struct TLSRoute: Hashable, Sendable {
  package var metadata: ObjectMetadata
  package var parents: [RouteParent]
  /// In lower case, such as `a.example.com` and `*.example.com`; empty, which only v1alpha2 allows: every TLS connection.
  package var hostnames: [String]
  /// As of a `TCPRoute`.
  package var rules: [ConnectionRule]

  package init(metadata: ObjectMetadata, parents: [RouteParent], hostnames: [String], rules: [ConnectionRule]) {
    self.metadata = metadata
    self.parents = parents
    self.hostnames = hostnames
    self.rules = rules
  }
}

/// A Gateway API `UDPRoute` (v1, v1alpha2) with `Service` parents. Its rules are checked, and apply to nothing: the mesh carries TCP.
package struct UDPRoute: Hashable, Sendable {
  package var metadata: ObjectMetadata
  package var parents: [RouteParent]

  package init(metadata: ObjectMetadata, parents: [RouteParent]) {
    self.metadata = metadata
    self.parents = parents
  }
}

/// The rule of a route for connections: backends by weight.
package struct ConnectionRule: Hashable, Sendable {
  package var name: String?
  package var backends: [RouteBackend]

  package init(name: String? = nil, backends: [RouteBackend]) {
    self.name = name
    self.backends = backends
  }
}
