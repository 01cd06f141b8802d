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

/// The authority's directory: `authority.json` says which authority the mesh has (see `AuthorityState`), keys stand beside it, each
/// in a file of its own (mode 0600).
///
/// A key is written before the state that names it, and removed after the state that names it no more: after a crash between
/// the two there is a key too many, which the next start removes. Nothing else is ever half made.
package struct AuthorityStore: Sendable {
  package let directory: String
  package let trustDomain: String
  package var maker: AuthorityMaker
  private let calls: AtomicFile.Calls

  package init(
    directory: String, trustDomain: String = SPIFFEID.defaultTrustDomain, maker: AuthorityMaker = AuthorityMaker(),
    calls: AtomicFile.Calls = .system
  ) {
    self.directory = directory
    self.trustDomain = trustDomain
    self.maker = maker
    self.calls = calls
  }

  private var statePath: String { directory + "/authority.json" }
  func path(_ file: String) -> String { directory + "/" + file }

  // MARK: - State

  /// The directory's authority; a new one when it holds none. A directory of a time when the root signed leaves itself is taken
  /// over as it stands, until somebody rotates the root.
  package func loadOrCreate(now: Date) throws -> AuthorityState {
    try AtomicFile.makeDirectory(directory)
    if let content = try AtomicFile.read(statePath) {
      guard let state = try? JSONDecoder().decode(AuthorityState.self, from: Data(content)), state.version == 1 else {
        throw IdentityError.unreadable(path: statePath, reason: "not the state of an authority")
      }
      removeUnusedKeys(state)
      return state
    }
    let state = AuthorityState(settled: try adoptRoot(now: now) ?? generate(rootKeyFile: "root.key.pem", now: now))
    try write(state)
    return state
  }

  package func write(_ state: AuthorityState) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    try AtomicFile.write(Array(try encoder.encode(state)) + [0x0A], to: statePath, calls: calls)
    removeUnusedKeys(state)
    // For people and tools; nothing reads them here.
    try? AtomicFile.write(state.signer.rootPEM, to: path("root.cert.pem"), mode: 0o644, calls: calls)
    try? AtomicFile.write(
      state.signer.chainPEM + state.signer.rootPEM, to: path("issuer.cert.pem"), mode: 0o644, calls: calls)
  }

  /// The authority that `state` has in force.
  package func authority(of state: AuthorityState) throws -> CertificateAuthority {
    let signer = state.signer
    let key = try readKey(signer.keyFile)
    let chain = try certificates(signer.chainPEM)
    guard let root = try certificates(signer.rootPEM).first else {
      throw IdentityError.unreadable(path: statePath, reason: "no root")
    }
    guard (chain.first ?? root).publicKey == key.publicKey else {
      throw IdentityError.keyMismatch(key: path(signer.keyFile), certificate: statePath)
    }
    return try CertificateAuthority(
      trustDomain: trustDomain, issuer: Issuer(chain: chain, root: root, key: key),
      anchors: state.anchorsPEM.flatMap { try certificates($0) })
  }

  func certificates(_ pem: String) throws -> [Certificate] {
    do {
      return try PEMDocument.parseMultiple(pemString: pem).map { try Certificate(pemDocument: $0) }
    } catch {
      throw IdentityError.unreadable(path: statePath, reason: "not certificates in PEM")
    }
  }

  // MARK: - New authorities

  /// A root and an issuer below it.
  package func generateRoot(now: Date) throws -> AuthorityState.Signer { try generate(rootKeyFile: nil, now: now) }

  private func generate(rootKeyFile: String?, now: Date) throws -> AuthorityState.Signer {
    let key = Certificate.PrivateKey(P256.Signing.PrivateKey())
    let root = try maker.makeRoot(key: key, now: now)
    let file = rootKeyFile ?? "root-\(root.keyID.prefix(16)).key.pem"
    try writeKey(key, to: file)
    return try makeIssuer(below: root, key, rootKeyFile: file, now: now)
  }

  /// An issuer below the root that `signer` has.
  package func generateIssuer(below signer: AuthorityState.Signer, now: Date) throws -> AuthorityState.Signer {
    guard let file = signer.rootKeyFile, try AtomicFile.read(path(file)) != nil else {
      throw IdentityError.rootKeyAbsent
    }
    guard let root = try certificates(signer.rootPEM).first else {
      throw IdentityError.unreadable(path: statePath, reason: "no root")
    }
    guard now < root.notValidAfter else { throw IdentityError.rootExpired }
    return try makeIssuer(below: root, try readKey(file), rootKeyFile: file, now: now)
  }

  private func makeIssuer(
    below root: Certificate, _ rootKey: Certificate.PrivateKey, rootKeyFile: String, now: Date
  ) throws -> AuthorityState.Signer {
    let key = Certificate.PrivateKey(P256.Signing.PrivateKey())
    let issuer = try maker.makeIssuer(key: key.publicKey, below: root, signedWith: rootKey, now: now)
    return try store(Issuer(chain: [issuer], root: root, key: key), rootKeyFile: rootKeyFile, source: .generated)
  }

  /// An issuer that was made elsewhere.
  package func store(
    _ issuer: Issuer, rootKeyFile: String? = nil, source: AuthorityState.Signer.Source
  ) throws -> AuthorityState.Signer {
    // Not the identifier in the certificate: whoever signs that chooses it, and could choose that of a key in use.
    let file = "issuer-\(issuer.key.publicKey.identifier.prefix(16)).key.pem"
    try writeKey(issuer.key, to: file)
    return AuthorityState.Signer(
      id: issuer.id, chainPEM: try issuer.chain.map { try $0.serializeAsPEM().pemString + "\n" }.joined(),
      rootPEM: try issuer.root.serializeAsPEM().pemString + "\n", keyFile: file, rootKeyFile: rootKeyFile,
      source: source)
  }

  /// The root of an earlier version, which signs leaves itself. Its key was written first: one without a certificate, as a crash leaves
  /// it, has signed nothing.
  private func adoptRoot(now: Date) throws -> AuthorityState.Signer? {
    let (keyPath, certificatePath) = (path("root.key.pem"), path("root.cert.pem"))
    guard let stored = try AtomicFile.read(certificatePath) else { return nil }
    guard try AtomicFile.read(keyPath) != nil else {
      throw IdentityError.keyMissing(path: keyPath, certificate: certificatePath)
    }
    let key = try readKey("root.key.pem")
    guard let root = try? Certificate(pemEncoded: String(decoding: stored, as: UTF8.self)) else {
      throw IdentityError.unreadable(path: certificatePath, reason: "not a certificate in PEM")
    }
    guard root.publicKey == key.publicKey else {
      throw IdentityError.keyMismatch(key: keyPath, certificate: certificatePath)
    }
    guard now < root.notValidAfter else { throw IdentityError.rootExpired }
    return AuthorityState.Signer(
      id: root.keyID, chainPEM: "", rootPEM: try root.serializeAsPEM().pemString + "\n", keyFile: "root.key.pem",
      rootKeyFile: "root.key.pem", source: .generated)
  }

  // MARK: - Keys

  func writeKey(_ key: Certificate.PrivateKey, to file: String) throws {
    try AtomicFile.write(try key.serializeAsPEM().pemString + "\n", to: path(file), mode: 0o600, calls: calls)
  }

  func readKey(_ file: String) throws -> Certificate.PrivateKey {
    guard let content = try AtomicFile.read(path(file)) else {
      throw IdentityError.keyMissing(path: path(file), certificate: statePath)
    }
    try checkPermissions(of: path(file))
    do {
      return try Certificate.PrivateKey(pemEncoded: String(decoding: content, as: UTF8.self))
    } catch {
      throw IdentityError.unreadable(path: path(file), reason: "not a private key in PEM")
    }
  }

  private func checkPermissions(of path: String) throws {
    let file = clinux_file_status(path, 1)
    guard file.kind != Int32(CLINUX_MISSING.rawValue) else {
      throw StorageError(operation: "read", path: path, code: errno)
    }
    guard file.owner == geteuid() || geteuid() == 0 else { throw IdentityError.keyOfAnotherUser(path: path) }
    guard file.permissions & 0o077 == 0 else {
      throw IdentityError.keyReadableByOthers(path: path, mode: file.permissions)
    }
  }

  /// Keys of authorities that are gone, and of those that a crash kept from coming into force.
  private func removeUnusedKeys(_ state: AuthorityState) {
    let needed = state.keyFiles
    for name in (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
    where name.hasSuffix(".key.pem") && !needed.contains(name) && PendingKey(rawValue: name) == nil {
      unlink(path(name))
    }
  }
}
