import Crypto
import Glibc
import SwiftASN1
package import X509

#if canImport(FoundationEssentials)
package import FoundationEssentials
#else
package import Foundation
#endif

/// The key of a request for an issuer's certificate, as long as the answer is not in force. The raw value is its file.
package enum PendingKey: String, CaseIterable, Sendable {
  /// Of `apus identity csr`.
  case tool = "pending.key.pem"
  /// Of the request to the signer.
  case signer = "pending-signer.key.pem"
}

/// Issuers that are signed elsewhere. A request's key is on disk before the request is seen by anybody, so whatever is signed can be
/// used; a request that is made again after a crash is one for the same key.
extension AuthorityStore {
  /// A request for an issuer's certificate, in PEM.
  package func signingRequest(for pending: PendingKey, besides state: AuthorityState) throws -> String {
    let request = try CertificateSigningRequest(
      version: .v1,
      subject: DistinguishedName { CommonName("Apus issuer of \(trustDomain)") },
      privateKey: try key(for: pending, besides: state),
      attributes: CertificateSigningRequest.Attributes([
        CertificateSigningRequest.Attribute(
          ExtensionRequest(
            extensions: Certificate.Extensions {
              Critical(BasicConstraints.isCertificateAuthority(maxPathLength: 0))
              Critical(KeyUsage(keyCertSign: true, cRLSign: true))
            }))
      ]))
    var serializer = DER.Serializer()
    try serializer.serialize(request)
    return PEMDocument(type: "CERTIFICATE REQUEST", derBytes: serializer.serializedBytes).pemString + "\n"
  }

  /// A crash may have come between an issuer's coming into force and the end of its pending key: that one is not used again.
  private func key(for pending: PendingKey, besides state: AuthorityState) throws -> Certificate.PrivateKey {
    if try AtomicFile.read(path(pending.rawValue)) != nil {
      let key = try readKey(pending.rawValue)
      let used = try state.keyFiles.filter { try AtomicFile.read(path($0)) != nil }.map { try readKey($0).publicKey }
      if !used.contains(key.publicKey) { return key }
    }
    let key = Certificate.PrivateKey(P256.Signing.PrivateKey())
    try writeKey(key, to: pending.rawValue)
    return key
  }

  /// The pending key is in force under another name.
  package func forget(_ pending: PendingKey) { unlink(path(pending.rawValue)) }

  /// The issuer of a chain that a person brings, with the key given or, without one, the pending key. Whoever brings it may bring
  /// its root, too.
  package func importIssuer(
    chainPEM: String, keyPEM: String?, known state: AuthorityState, now: Date
  ) throws -> AuthorityState.Signer {
    let roots = try state.anchorsPEM.flatMap { try certificates($0) }
    if let keyPEM {
      let issuer = try Issuer(chainPEM: chainPEM, keyPEM: keyPEM, knownRoots: roots, now: now)
      return try take(issuer, source: .imported, known: state, now: now)
    }
    guard try AtomicFile.read(path(PendingKey.tool.rawValue)) != nil else {
      throw IdentityError.unusableIssuer(
        "there is no key for it: pass --key, or have the request of apus identity csr signed")
    }
    let key = try readKey(PendingKey.tool.rawValue)
    let issuer = try Issuer(chainPEM: chainPEM, key: key, knownRoots: roots, now: now)
    return try take(issuer, source: .imported, known: state, now: now)
  }

  /// The issuer of a chain from the signer. It must lead to one of `roots` (the first that fits) or to a root that the mesh trusts, and
  /// live longer than the certificates that it signs.
  package func signedIssuer(
    chainPEM: String, roots: [Certificate], outliving leaves: TimeInterval, known state: AuthorityState, now: Date
  ) throws -> AuthorityState.Signer {
    let anchors = try state.anchorsPEM.flatMap { try certificates($0) }
    let issuer = try Issuer(
      chainPEM: chainPEM, key: try readKey(PendingKey.signer.rawValue), knownRoots: roots + anchors, bringsRoot: false,
      now: now)
    let life = issuer.notAfter.timeIntervalSince(now)
    guard life > leaves else {
      throw IdentityError.unusableIssuer(
        "it ends in \(Int(life)) s, before the certificates that it signs (\(Int(leaves)) s): have the signer let it, and all "
          + "above it, live at least three times as long")
    }
    return try take(issuer, source: .external, known: state, now: now)
  }

  private func take(
    _ issuer: Issuer, source: AuthorityState.Signer.Source, known state: AuthorityState, now: Date
  ) throws -> AuthorityState.Signer {
    try IssuerRules.checkForMembers(issuer.chain + [issuer.root], trustDomain: trustDomain)
    let isOwnRoot = state.settled.rootPEM == (try issuer.root.serializeAsPEM().pemString + "\n")
    var signer = try store(issuer, rootKeyFile: isOwnRoot ? state.settled.rootKeyFile : nil, source: source)
    signer.renewAt = Self.renewal(from: now, to: issuer.notAfter)
    return signer
  }

  /// After 60 to 66 % of the time that is left: meshes that were set up together do not ask together. Counted from now, since many
  /// authorities date what they sign back.
  static func renewal(from now: Date, to end: Date, share: Double = .random(in: 0.6...0.66)) -> Int64 {
    Int64(now.timeIntervalSince1970 + max(0, end.timeIntervalSince(now)) * share)
  }
}
