import MeshIdentity

/// `trust-anchors.pem` of the state directory: what members trust, for people and tools.
struct AnchorsFile: Sendable {
  let path: String

  /// Unchanged content is not written: a full disk does not keep a controller from restarting.
  func write(_ authority: CertificateAuthority) throws {
    guard try AtomicFile.read(path) != Array(authority.trustBundlePEM.utf8) else { return }
    try AtomicFile.write(authority.trustBundlePEM, to: path, mode: 0o644)
  }
}
