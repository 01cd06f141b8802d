import Crypto
import Foundation
import MeshCore
import MeshIdentity
import Testing
import X509

@Suite struct AuthorityStorageTests {
  let scratch: ScratchDirectory
  var directory: String { scratch.path + "/ca" }
  var keyPath: String { directory + "/root.key.pem" }
  var certificatePath: String { directory + "/root.cert.pem" }

  init() throws { scratch = try ScratchDirectory() }

  private func load(now: Date = start, calls: AtomicFile.Calls = .system) throws -> CertificateAuthority {
    try CertificateAuthority.loadOrCreate(directory: directory, now: now, calls: calls)
  }

  private func refusal(now: Date = start) -> IdentityError? {
    do {
      _ = try load(now: now)
      return nil
    } catch {
      return error as? IdentityError
    }
  }

  @Test("the root is made once and found again, its key for the owner alone")
  func createAndLoad() throws {
    let made = try load()
    #expect(try load(now: start.addingTimeInterval(3600)).root == made.root)
    let attributes = try FileManager.default.attributesOfItem(atPath: keyPath)
    #expect((attributes[.posixPermissions] as? NSNumber)?.intValue == 0o600)
    #expect(try made.root.extensions.basicConstraints == .isCertificateAuthority(maxPathLength: 0))
    #expect(try made.root.extensions.keyUsage == KeyUsage(keyCertSign: true, cRLSign: true))
    #expect(made.root.notValidAfter == start.addingTimeInterval(10 * 365 * 24 * 3600))
  }

  @Test("a key that others may read is refused", arguments: [0o640, 0o604, 0o620])
  func readableKey(mode: Int) throws {
    _ = try load()
    chmod(keyPath, mode_t(mode))
    #expect(refusal() == .keyReadableByOthers(path: keyPath, mode: UInt32(mode)))
  }

  @Test("a root without its key is not replaced")
  func missingKey() throws {
    _ = try load()
    unlink(keyPath)
    #expect(refusal() == .keyMissing(path: keyPath, certificate: certificatePath))
  }

  @Test("a key without a root, as a crash leaves it, gets one")
  func missingCertificate() throws {
    let made = try load()
    unlink(certificatePath)
    #expect(try load().root.publicKey == made.root.publicKey)
  }

  @Test("a foreign key, a damaged file and an expired root are refused")
  func damaged() throws {
    let made = try load()
    #expect(refusal(now: made.root.notValidAfter) == .rootExpired(path: certificatePath))
    let pem = try #require(try AtomicFile.read(certificatePath))
    try AtomicFile.write(Array(pem.dropLast(60)), to: certificatePath)
    #expect(refusal() == .unreadable(path: certificatePath, reason: "not a certificate in PEM"))
    try AtomicFile.write(pem, to: certificatePath)
    try AtomicFile.write(P256.Signing.PrivateKey().pemRepresentation, to: keyPath)
    #expect(refusal() == .keyMismatch(key: keyPath, certificate: certificatePath))
    try AtomicFile.write("no key", to: keyPath)
    #expect(refusal() == .unreadable(path: keyPath, reason: "not a P-256 key in PEM"))
  }

  @Test("a disk that is full at the first start leaves nothing half made")
  func fullDisk() throws {
    let full = AtomicFile.Calls(write: { _, _ in
      errno = ENOSPC; return -1
    })
    #expect(throws: StorageError.self) { try load(calls: full) }
    #expect(try FileManager.default.contentsOfDirectory(atPath: directory).isEmpty)
    _ = try load()
  }
}
