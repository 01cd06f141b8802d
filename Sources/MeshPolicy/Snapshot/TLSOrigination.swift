/// TLS to endpoints outside the mesh: whom the proxy trusts, and what the server there must prove to be.
///
/// There is no way to leave out the verification, and none back to plaintext.
package struct TLSOrigination: Hashable, Sendable {
  package enum Trust: Hashable, Sendable {
    /// The authorities that the proxy's machine trusts.
    case system
    /// PEM certificates.
    case authorities(String)
    /// What was asked for cannot be had: nobody is trusted, and no connection is opened.
    case nobody
  }

  /// The oldest that the server may speak.
  package enum Version: String, Hashable, Sendable, CaseIterable {
    case tls12 = "1.2"
    case tls13 = "1.3"
  }

  /// What the proxy shows to a server that asks for a certificate: PEM files of the proxy's own machine, so that no key passes
  /// through the control plane.
  package struct ClientCertificate: Hashable, Sendable {
    /// Own certificate first, then intermediates.
    package var certificateFile: String
    package var keyFile: String

    package init(certificateFile: String, keyFile: String) {
      self.certificateFile = certificateFile
      self.keyFile = keyFile
    }
  }

  package var trust: Trust
  /// SNI, and the name that the certificate must have if there are no alternatives. Empty: the host that a request names.
  package var hostname: String
  /// One of these, in the place of `hostname`, must stand in the certificate.
  package var alternativeHosts: [String]
  package var alternativeURIs: [String]
  package var minimumVersion: Version
  /// Nil: none, and a server that insists on one is not spoken to.
  package var clientCertificate: ClientCertificate?

  package init(
    trust: Trust, hostname: String, alternativeHosts: [String] = [], alternativeURIs: [String] = [],
    minimumVersion: Version = .tls12, clientCertificate: ClientCertificate? = nil
  ) {
    self.trust = trust
    self.hostname = hostname
    self.alternativeHosts = alternativeHosts
    self.alternativeURIs = alternativeURIs
    self.minimumVersion = minimumVersion
    self.clientCertificate = clientCertificate
  }
}

/// Limits of TLS to endpoints outside the mesh.
package enum TLSOriginationLimits {
  /// Of `subjectAltNames` (Gateway API).
  package static let alternatives = 5
  /// Of the authorities' certificates, in bytes of PEM. The bundle of a Linux machine has about 220 KiB.
  package static let authorityBytes = 512 * 1024
}
