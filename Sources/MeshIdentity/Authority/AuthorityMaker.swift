import Crypto
import SwiftASN1
import X509

#if canImport(FoundationEssentials)
package import FoundationEssentials
#else
package import Foundation
#endif

/// Makes roots and issuers with keys of their own (ECDSA P-256).
package struct AuthorityMaker: Sendable {
  package static let rootLifetime: TimeInterval = 10 * 365 * 24 * 3600
  package static let issuerLifetime: TimeInterval = 365 * 24 * 3600

  package var rootLifetime: TimeInterval
  package var issuerLifetime: TimeInterval

  package init(rootLifetime: TimeInterval = Self.rootLifetime, issuerLifetime: TimeInterval = Self.issuerLifetime) {
    self.rootLifetime = rootLifetime
    self.issuerLifetime = issuerLifetime
  }

  /// A root that allows one authority below it, the issuer.
  func makeRoot(key: Certificate.PrivateKey, now: Date) throws -> Certificate {
    try make(
      "root", key.publicKey, for: rootLifetime, now: now, below: nil, signedWith: key, pathLength: 1)
  }

  func makeIssuer(
    key: Certificate.PublicKey, below root: Certificate, signedWith rootKey: Certificate.PrivateKey, now: Date
  ) throws -> Certificate {
    guard case .isCertificateAuthority(let longest)? = try root.extensions.basicConstraints,
      longest.map({ $0 > 0 }) ?? true
    else { throw IdentityError.rootWithoutIssuers }
    return try make(
      "issuer", key, for: issuerLifetime, now: now, below: root, signedWith: rootKey, pathLength: 0)
  }

  private func make(
    _ role: String, _ key: Certificate.PublicKey, for lifetime: TimeInterval, now: Date, below root: Certificate?,
    signedWith signer: Certificate.PrivateKey, pathLength: Int
  ) throws -> Certificate {
    let identifier = SubjectKeyIdentifier(hash: key)
    // Two authorities of one name would be taken for each other wherever the name is looked up.
    let name = try DistinguishedName {
      CommonName("Apus \(role) \(Hexadecimal.text(identifier.keyIdentifier.prefix(4)))")
    }
    let wanted = now.addingTimeInterval(lifetime)
    return try Certificate(
      version: .v3,
      serialNumber: Self.randomSerialNumber(),
      publicKey: key,
      notValidBefore: now.addingTimeInterval(-CertificateAuthority.clockSkew),
      notValidAfter: root.map { min(wanted, $0.notValidAfter) } ?? wanted,
      issuer: root?.subject ?? name,
      subject: name,
      extensions: Certificate.Extensions {
        Critical(BasicConstraints.isCertificateAuthority(maxPathLength: pathLength))
        Critical(KeyUsage(keyCertSign: true, cRLSign: true))
        identifier
        AuthorityKeyIdentifier(
          keyIdentifier: try root?.extensions.subjectKeyIdentifier?.keyIdentifier ?? identifier.keyIdentifier)
      },
      issuerPrivateKey: signer)
  }

  /// 128 random bits, positive (RFC 5280 section 4.1.2.2). Numbers that can be guessed made forged certificates
  /// possible when hashes broke.
  static func randomSerialNumber() -> Certificate.SerialNumber {
    var random = SystemRandomNumberGenerator()
    var bytes = (0..<16).map { _ in UInt8.random(in: 0...255, using: &random) }
    bytes[0] = bytes[0] & 0x7F | 0x40
    return Certificate.SerialNumber(bytes: bytes)
  }
}
