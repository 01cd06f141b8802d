import MeshIdentity
import X509

/// The authority above the mesh's issuers, when it is not the mesh's own: who signs, and how far that is believed.
package struct ExternalAuthority: Sendable {
  package var signer: any CertificateSigner
  /// PEM: roots that the mesh may come to trust by a signer's chain. Nil: none but those that it trusts already.
  package var rootFile: String?
  package var lifetimeSeconds: Int
  /// Of workloads' certificates, which an issuer must outlive.
  package var leafLifetimeSeconds: Double

  package init(
    signer: any CertificateSigner, rootFile: String? = nil, lifetimeSeconds: Int = SignerLimits.defaultLifetime,
    leafLifetimeSeconds: Double = CertificateAuthority.defaultLifetime
  ) {
    self.signer = signer
    self.rootFile = rootFile
    self.lifetimeSeconds = lifetimeSeconds
    self.leafLifetimeSeconds = leafLifetimeSeconds
  }

  func roots() throws(SignerError) -> [Certificate] {
    guard let rootFile else { return [] }
    return try SignerFiles.roots(rootFile)
  }
}
