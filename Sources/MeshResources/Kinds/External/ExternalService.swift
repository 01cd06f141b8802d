package import MeshCore
package import MeshPolicy

/// `mesh.apus.dev/v1alpha1 ExternalService`: hosts outside the mesh that its programs call as services of it.
package struct ExternalService: Hashable, Sendable {
  package var metadata: ObjectMetadata
  /// In lower case: names, and wildcards such as `*.example.com`.
  package var hosts: [String]
  package var ports: [Port]
  package var resolution: Resolution
  /// With `static` only.
  package var endpoints: [Endpoint]

  package init(
    metadata: ObjectMetadata, hosts: [String], ports: [Port], resolution: Resolution = .static, endpoints: [Endpoint]
  ) {
    self.metadata = metadata
    self.hosts = hosts
    self.ports = ports
    self.resolution = resolution
    self.endpoints = endpoints
  }

  package enum Resolution: Hashable, Sendable {
    case `static`
    /// An answer counts at least, and at most, for so long.
    case dns(minimumTTL: TimeSpan, maximumTTL: TimeSpan)
  }

  package struct Port: Hashable, Sendable {
    /// Empty for none.
    package var name: String
    /// What clients name.
    package var port: UInt16
    /// Where the server listens.
    package var targetPort: UInt16
    package var appProtocol: AppProtocol
    /// Nil: what clients say goes on as it is.
    package var tls: TLSValidation?
    /// With `tls.mode: Mutual`.
    package var clientCertificate: TLSOrigination.ClientCertificate?

    package init(
      name: String = "", port: UInt16, targetPort: UInt16? = nil, appProtocol: AppProtocol = .http,
      tls: TLSValidation? = nil, clientCertificate: TLSOrigination.ClientCertificate? = nil
    ) {
      self.name = name
      self.port = port
      self.targetPort = targetPort ?? port
      self.appProtocol = appProtocol
      self.tls = tls
      self.clientCertificate = clientCertificate
    }
  }

  package struct Endpoint: Hashable, Sendable {
    /// Port 0: the target port.
    package var address: SocketAddress
    package var weight: UInt32
    package var labels: [String: String]

    package init(address: SocketAddress, weight: UInt32 = 1, labels: [String: String] = [:]) {
      self.address = address
      self.weight = weight
      self.labels = labels
    }
  }

  /// The one host of a service that has one; nil for several, and for a wildcard.
  package var onlyHost: String? { hosts.count == 1 && !hosts[0].hasPrefix("*") ? hosts[0] : nil }
}

/// Limits on an ExternalService; all are ours.
package enum ExternalServiceLimits {
  package static let hosts = 64
  package static let ports = 16
  package static let endpoints = 1_000
  package static let weight = 1_000_000
  /// Of the bounds of a TTL. A second is what the DNS can say; a day is long enough for a name that never moves.
  package static let ttl = TimeSpan.seconds(1)...TimeSpan.seconds(86_400)
}
