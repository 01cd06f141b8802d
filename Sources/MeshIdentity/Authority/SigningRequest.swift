import Crypto
import MeshCore
import SwiftASN1
import X509

/// A certificate signing request (PKCS #10, RFC 2986) that has passed every check of the authority: the key is strong, its
/// owner signed the request, and it asks for nothing but the one identity.
struct SigningRequest {
  /// Larger requests are refused unread.
  static let maximumBytes = 16_384

  var publicKey: Certificate.PublicKey

  init(der: [UInt8], for identity: SPIFFEID) throws(IdentityError) {
    guard der.count <= Self.maximumBytes else {
      throw .malformedRequest("\(der.count) bytes, at most \(Self.maximumBytes) are allowed")
    }
    let request: CertificateSigningRequest
    do {
      request = try CertificateSigningRequest(derEncoded: der)
    } catch {
      throw .malformedRequest("not a PKCS #10 request")
    }
    try Self.checkKey(request.publicKey)
    guard request.publicKey.isValidSignature(request.signature, for: request) else {
      throw .proofOfPossessionFailed
    }
    try Self.checkExtensions(of: request, for: identity)
    publicKey = request.publicKey
  }

  private static func checkKey(_ key: Certificate.PublicKey) throws(IdentityError) {
    // RSA is for authorities that come from outside; workloads' keys are made by proxies.
    if isElliptic(key) { return }
    // "RSA2048.PublicKey" becomes "RSA2048".
    throw .weakKey(String(key.description.prefix(while: { $0 != "." })))
  }

  private static func isElliptic(_ key: Certificate.PublicKey) -> Bool {
    P256.Signing.PublicKey(key) != nil || P384.Signing.PublicKey(key) != nil || Curve25519.Signing.PublicKey(key) != nil
  }

  /// Whether an authority may have the key.
  static func isStrong(_ key: Certificate.PublicKey) -> Bool {
    if isElliptic(key) { return true }
    // "RSA2048.PublicKey"
    let name = key.description.prefix(while: { $0 != "." })
    return name.hasPrefix("RSA") && (Int(name.dropFirst(3)) ?? 0) >= 2048
  }

  private static func checkExtensions(
    of request: CertificateSigningRequest, for identity: SPIFFEID
  ) throws(IdentityError) {
    let names: SubjectAlternativeNames
    do {
      guard let extensions = try request.attributes.extensionRequest?.extensions else { return }
      if case .isCertificateAuthority? = try extensions.basicConstraints { throw IdentityError.authorityRequested }
      if let usage = try extensions.keyUsage, usage.keyCertSign || usage.cRLSign {
        throw IdentityError.authorityRequested
      }
      guard let found = try extensions.subjectAlternativeNames else { return }
      names = found
    } catch let error as IdentityError {
      throw error
    } catch {
      throw .malformedRequest("its extensions cannot be read")
    }
    let expected = identity.description
    for name in names {
      guard case .uniformResourceIdentifier(let uri) = name, uri == expected else {
        throw .identityMismatch(requested: Self.text(of: name), authenticated: expected)
      }
    }
    guard names.count <= 1 else {
      throw .identityMismatch(requested: "\(names.count) names", authenticated: expected)
    }
  }

  private static func text(of name: GeneralName) -> String {
    switch name {
    case .uniformResourceIdentifier(let uri): String(uri.prefix(256))
    case .dnsName(let host): "the DNS name \(host.prefix(256))"
    default: "a name that is no URI"
    }
  }
}
