import Crypto
package import MeshCore
import SwiftASN1
package import X509

#if canImport(FoundationEssentials)
package import FoundationEssentials
#else
package import Foundation
#endif

/// The mesh's certificate authority: one self-signed root (ECDSA P-256) and the key that signs the workloads'
/// certificates. Immutable after loading, so any task may use it.
///
/// It signs X.509 SVIDs (SPIFFE X509-SVID specification): one URI name, no subject, no authority bit. Renewal
/// and revocation rest on short lifetimes.
package struct CertificateAuthority: Sendable {
  /// Time by which two clocks of the mesh may differ.
  package static let clockSkew: TimeInterval = 20
  package static let defaultLifetime: TimeInterval = 24 * 3600
  static let rootLifetime: TimeInterval = 10 * 365 * 24 * 3600

  package let trustDomain: String
  package let root: Certificate
  let key: P256.Signing.PrivateKey

  /// What members of the mesh trust. More than one while a root is being replaced.
  package var anchors: [Certificate] { [root] }

  package let trustBundlePEM: String

  init(trustDomain: String, root: Certificate, key: P256.Signing.PrivateKey) throws {
    self.trustDomain = trustDomain
    self.root = root
    self.key = key
    trustBundlePEM = try root.serializeAsPEM().pemString + "\n"
  }

  // MARK: - Workloads

  /// Signs the key of a request for the identity that its sender has proved by other means (a token).
  ///
  /// Valid from `clockSkew` before `now`, for `lifetime`, but never past the root's own end.
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
    guard now < root.notValidAfter else { throw IdentityError.rootExpired(path: "root.cert.pem") }
    let names = [GeneralName.uniformResourceIdentifier(identity.description)] + dnsNames.map(GeneralName.dnsName)
    let extensions = try Certificate.Extensions {
      Critical(BasicConstraints.notCertificateAuthority)
      Critical(KeyUsage(digitalSignature: true))
      try ExtendedKeyUsage([.serverAuth, .clientAuth])
      // RFC 5280 section 4.2.1.6: critical, because the subject is empty.
      Critical(SubjectAlternativeNames(names))
      SubjectKeyIdentifier(hash: publicKey)
      AuthorityKeyIdentifier(keyIdentifier: try root.extensions.subjectKeyIdentifier?.keyIdentifier)
    }
    let certificate = try Certificate(
      version: .v3,
      serialNumber: Self.randomSerialNumber(),
      publicKey: publicKey,
      notValidBefore: now.addingTimeInterval(-Self.clockSkew),
      notValidAfter: min(now.addingTimeInterval(lifetime), root.notValidAfter),
      issuer: root.subject,
      subject: DistinguishedName(),
      signatureAlgorithm: .ecdsaWithSHA256,
      extensions: extensions,
      issuerPrivateKey: Certificate.PrivateKey(key))
    return IssuedCertificate(certificate: certificate, chainPEM: try certificate.serializeAsPEM().pemString + "\n")
  }

  /// A root of its own key.
  static func makeRoot(key: P256.Signing.PrivateKey, now: Date) throws -> Certificate {
    let name = try DistinguishedName { CommonName("Apus root") }
    let signer = Certificate.PrivateKey(key)
    return try Certificate(
      version: .v3,
      serialNumber: randomSerialNumber(),
      publicKey: signer.publicKey,
      notValidBefore: now.addingTimeInterval(-clockSkew),
      notValidAfter: now.addingTimeInterval(rootLifetime),
      issuer: name,
      subject: name,
      signatureAlgorithm: .ecdsaWithSHA256,
      extensions: Certificate.Extensions {
        Critical(BasicConstraints.isCertificateAuthority(maxPathLength: 0))
        Critical(KeyUsage(keyCertSign: true, cRLSign: true))
        SubjectKeyIdentifier(hash: signer.publicKey)
      },
      issuerPrivateKey: signer)
  }

  /// 128 random bits, positive (RFC 5280 section 4.1.2.2). Numbers that can be guessed made forged certificates
  /// possible when hashes broke.
  private static func randomSerialNumber() -> Certificate.SerialNumber {
    var random = SystemRandomNumberGenerator()
    var bytes = (0..<16).map { _ in UInt8.random(in: 0...255, using: &random) }
    bytes[0] = bytes[0] & 0x7F | 0x40
    return Certificate.SerialNumber(bytes: bytes)
  }
}
