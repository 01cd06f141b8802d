import CLinux
import Crypto
import Glibc
import MeshCore
import SwiftASN1
import X509

#if canImport(FoundationEssentials)
package import FoundationEssentials
#else
package import Foundation
#endif

extension CertificateAuthority {
  /// Loads the root of `directory`, or makes one there when it holds none.
  ///
  /// `root.key.pem` (mode 0600) is written before `root.cert.pem`: after a crash between the two, the next start finds a key
  /// that has signed nothing yet and makes its certificate.
  package static func loadOrCreate(
    directory: String, trustDomain: String = SPIFFEID.defaultTrustDomain, now: Date,
    calls: AtomicFile.Calls = .system
  ) throws -> CertificateAuthority {
    let keyPath = directory + "/root.key.pem"
    let certificatePath = directory + "/root.cert.pem"
    try AtomicFile.makeDirectory(directory)

    let storedKey = try AtomicFile.read(keyPath)
    let storedCertificate = try AtomicFile.read(certificatePath)
    if storedKey == nil, storedCertificate != nil {
      throw IdentityError.keyMissing(path: keyPath, certificate: certificatePath)
    }

    let key: P256.Signing.PrivateKey
    if let storedKey {
      try checkPermissions(of: keyPath)
      do {
        key = try P256.Signing.PrivateKey(pemRepresentation: String(decoding: storedKey, as: UTF8.self))
      } catch {
        throw IdentityError.unreadable(path: keyPath, reason: "not a P-256 key in PEM")
      }
    } else {
      key = P256.Signing.PrivateKey()
      try AtomicFile.write(key.pemRepresentation + "\n", to: keyPath, mode: 0o600, calls: calls)
    }

    let root: Certificate
    if let storedCertificate {
      do {
        root = try Certificate(pemEncoded: String(decoding: storedCertificate, as: UTF8.self))
      } catch {
        throw IdentityError.unreadable(path: certificatePath, reason: "not a certificate in PEM")
      }
      guard root.publicKey == Certificate.PublicKey(key.publicKey) else {
        throw IdentityError.keyMismatch(key: keyPath, certificate: certificatePath)
      }
      guard now < root.notValidAfter else { throw IdentityError.rootExpired(path: certificatePath) }
    } else {
      root = try makeRoot(key: key, now: now)
      try AtomicFile.write(
        root.serializeAsPEM().pemString + "\n", to: certificatePath, mode: 0o644, calls: calls)
    }
    return try CertificateAuthority(trustDomain: trustDomain, root: root, key: key)
  }

  private static func checkPermissions(of path: String) throws {
    let file = clinux_file_status(path, 1)
    guard file.kind != Int32(CLINUX_MISSING.rawValue) else {
      throw StorageError(operation: "read", path: path, code: errno)
    }
    guard file.owner == geteuid() || geteuid() == 0 else { throw IdentityError.keyOfAnotherUser(path: path) }
    guard file.permissions & 0o077 == 0 else {
      throw IdentityError.keyReadableByOthers(path: path, mode: file.permissions)
    }
  }
}
