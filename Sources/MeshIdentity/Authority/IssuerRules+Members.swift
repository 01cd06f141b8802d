import SwiftASN1
import X509

/// What members' verification asks of authorities beyond `check`: OpenSSL, with the purposes of a TLS client and server, over the
/// names that the mesh's leaves have. A chain that breaks one of these would be believed here and refused by every proxy.
extension IssuerRules {
  /// `path` leads from the issuer to its root.
  static func checkForMembers(_ path: [Certificate], trustDomain: String) throws {
    // It names the issuer to every member.
    if let id = try? path.first?.extensions.subjectKeyIdentifier?.keyIdentifier, !(1...longestKeyID).contains(id.count)
    {
      throw IdentityError.unusableIssuer(
        "its subjectKeyIdentifier has \(id.count) bytes, 1 to \(longestKeyID) are allowed")
    }
    for (depth, certificate) in path.enumerated() {
      let name = certificate.subject.isEmpty ? "certificate \(depth + 1) of the chain" : "\(certificate.subject)"
      try checkUsages(of: certificate, name)
      // A root's own signature is checked by nobody: it is trusted as it stands.
      if depth + 1 < path.count, certificate.signatureAlgorithm == .sha1WithRSAEncryption {
        throw IdentityError.unusableIssuer("\(name) is signed with SHA-1")
      }
      let below = path[..<depth].map(\.subject).filter { !$0.isEmpty }.map(GeneralName.directoryName)
      let leaves: [GeneralName] = [
        .uniformResourceIdentifier("spiffe://\(trustDomain)"), .dnsName(CertificateAuthority.controllerName),
      ]
      try checkNames(below + leaves, under: certificate, name)
    }
  }

  /// Bytes; RFC 5280 suggests 20, and hashes have up to 64.
  private static let longestKeyID = 64

  /// Critical extensions that OpenSSL knows (`X509_supported_extension`).
  private static let knownExtensions: Set<ASN1ObjectIdentifier> = [
    [2, 5, 29, 15], [2, 5, 29, 17], [2, 5, 29, 19], [2, 5, 29, 30], [2, 5, 29, 31], [2, 5, 29, 32], [2, 5, 29, 33],
    [2, 5, 29, 36], [2, 5, 29, 37], [2, 5, 29, 54],
  ]

  private static func checkUsages(of certificate: Certificate, _ name: String) throws {
    if let foreign = certificate.extensions.first(where: { $0.critical && !knownExtensions.contains($0.oid) }) {
      throw IdentityError.unusableIssuer("\(name) has a critical extension that proxies do not know (\(foreign.oid))")
    }
    let usage: ExtendedKeyUsage?
    do {
      usage = try certificate.extensions.extendedKeyUsage
    } catch {
      throw IdentityError.unusableIssuer("\(name) has an extendedKeyUsage that cannot be read")
    }
    // In an authority it is a limit on what is below (not in RFC 5280, but everywhere).
    guard let usage else { return }
    guard usage.contains(.serverAuth), usage.contains(.clientAuth) else {
      throw IdentityError.unusableIssuer(
        "\(name) may not sign for clients and servers of TLS both (extendedKeyUsage serverAuth, clientAuth, or none at all)"
      )
    }
  }

  // MARK: - Name constraints (RFC 5280, section 4.2.1.10)

  private static func checkNames(_ names: [GeneralName], under certificate: Certificate, _ authority: String) throws {
    let constraints: NameConstraints
    do {
      guard let found = try certificate.extensions.nameConstraints else { return }
      constraints = found
    } catch {
      throw IdentityError.unusableIssuer("\(authority) has name constraints that cannot be read")
    }
    for name in names where !isAllowed(name, by: constraints) {
      throw IdentityError.unusableIssuer(
        "\(authority) may not sign for \(text(name)) (nameConstraints); the mesh needs the URI host of its trust domain and the "
          + "DNS name \(CertificateAuthority.controllerName)")
    }
  }

  private static func isAllowed(_ name: GeneralName, by constraints: NameConstraints) -> Bool {
    if constraints.excludedSubtrees.contains(where: { matches(name, $0) == true }) { return false }
    let permitted = constraints.permittedSubtrees.compactMap { matches(name, $0) }
    return permitted.isEmpty || permitted.contains(true)
  }

  /// Nil: the constraint is about another kind of names.
  private static func matches(_ name: GeneralName, _ constraint: GeneralName) -> Bool? {
    switch (name, constraint) {
    case (.uniformResourceIdentifier(let uri), .uniformResourceIdentifier(let base)):
      let (host, base) = (uri.dropFirst("spiffe://".count).lowercased(), base.lowercased())
      return base.hasPrefix(".") ? host.utf8.count > base.utf8.count && host.hasSuffix(base) : host == base
    case (.dnsName(let host), .dnsName(let base)):
      let (host, base) = (host.lowercased(), base.lowercased())
      return base.isEmpty || host == base || host.hasSuffix(base.hasPrefix(".") ? base : "." + base)
    case (.directoryName(let subject), .directoryName(let base)): return subject.starts(with: base)
    default: return nil
    }
  }

  private static func text(_ name: GeneralName) -> String {
    switch name {
    case .uniformResourceIdentifier(let uri): uri
    case .dnsName(let host): "the DNS name \(host)"
    case .directoryName(let subject): "the subject \(subject)"
    default: "\(name)"
    }
  }
}
