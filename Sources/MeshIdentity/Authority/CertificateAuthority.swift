import Crypto
package import MeshCore
import SwiftASN1
package import X509

#if canImport(FoundationEssentials)
package import FoundationEssentials
#else
package import Foundation
#endif

/// The mesh's certificate authority at one moment: the issuer that signs workloads' certificates, and the roots that members
/// trust. Immutable, so any task may use it; a rotation makes another.
///
/// It signs X.509 SVIDs (SPIFFE X509-SVID specification): one URI name, no subject, no authority bit.
package struct CertificateAuthority: Sendable {
  /// Time by which two clocks of the mesh may differ.
  package static let clockSkew: TimeInterval = 20
  package static let defaultLifetime: TimeInterval = 24 * 3600
  /// The DNS name in the controller's own certificate: those who join have no identity to look for.
  package static let controllerName = "apus-controller.apus-system"

  package let trustDomain: String
  package let issuer: Issuer
  /// What members of the mesh trust. More than one while a root is being replaced.
  package let anchors: [Certificate]
  package let trustBundlePEM: String
  /// Leaves' intermediates, as they travel behind the leaf.
  private let chainPEM: String

  package init(trustDomain: String, issuer: Issuer, anchors: [Certificate]) throws {
    self.trustDomain = trustDomain
    self.issuer = issuer
    self.anchors = anchors
    trustBundlePEM = try anchors.map { try $0.serializeAsPEM().pemString + "\n" }.joined()
    chainPEM = try issuer.chain.map { try $0.serializeAsPEM().pemString + "\n" }.joined()
  }

  package var root: Certificate { issuer.root }

  // MARK: - Workloads

  /// Signs the key of a request for the identity that its sender has proved by other means (a token).
  ///
  /// Valid from `clockSkew` before `now`, for `lifetime`, but never past the end of the authorities above it.
  package func issue(
    csrDER: [UInt8], for identity: SPIFFEID, lifetime: TimeInterval = defaultLifetime, now: Date
  ) throws -> IssuedCertificate {
    let request = try SigningRequest(der: csrDER, for: identity)
    return try sign(request.publicKey, identity: identity, dnsNames: [], lifetime: lifetime, now: now)
  }

  // MARK: - The controller's own

  /// A key and certificate made here, for the controller's own listener.
  package func issueServer(
    identity: SPIFFEID, dnsNames: [String], lifetime: TimeInterval, now: Date
  ) throws -> (certificate: IssuedCertificate, keyPEM: String) {
    let key = Certificate.PrivateKey(P256.Signing.PrivateKey())
    let issued = try sign(key.publicKey, identity: identity, dnsNames: dnsNames, lifetime: lifetime, now: now)
    return (issued, try key.serializeAsPEM().pemString)
  }

  // MARK: - Signing

  private func sign(
    _ publicKey: Certificate.PublicKey, identity: SPIFFEID, dnsNames: [String], lifetime: TimeInterval, now: Date
  ) throws -> IssuedCertificate {
    guard now < root.notValidAfter else { throw IdentityError.rootExpired }
    guard now < issuer.notAfter else { throw IdentityError.issuerExpired }
    let names = [GeneralName.uniformResourceIdentifier(identity.description)] + dnsNames.map(GeneralName.dnsName)
    let extensions = try Certificate.Extensions {
      Critical(BasicConstraints.notCertificateAuthority)
      Critical(KeyUsage(digitalSignature: true))
      try ExtendedKeyUsage([.serverAuth, .clientAuth])
      // RFC 5280 section 4.2.1.6: critical, because the subject is empty.
      Critical(SubjectAlternativeNames(names))
      SubjectKeyIdentifier(hash: publicKey)
      AuthorityKeyIdentifier(keyIdentifier: try issuer.certificate.extensions.subjectKeyIdentifier?.keyIdentifier)
    }
    let certificate = try Certificate(
      version: .v3,
      serialNumber: AuthorityMaker.randomSerialNumber(),
      publicKey: publicKey,
      notValidBefore: now.addingTimeInterval(-Self.clockSkew),
      notValidAfter: min(now.addingTimeInterval(lifetime), issuer.notAfter),
      issuer: issuer.certificate.subject,
      subject: DistinguishedName(),
      extensions: extensions,
      issuerPrivateKey: issuer.key)
    return IssuedCertificate(
      certificate: certificate, chainPEM: try certificate.serializeAsPEM().pemString + "\n" + chainPEM)
  }
}
