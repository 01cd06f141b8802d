import Crypto
import Foundation
import MeshCore
import MeshIdentity
import SwiftASN1
import Synchronization
import Testing
import X509

@Suite struct AuthorityStorageTests {
  let scratch: ScratchDirectory
  var directory: String { scratch.path + "/ca" }
  var keyPath: String { directory + "/root.key.pem" }
  var certificatePath: String { directory + "/root.cert.pem" }
  var statePath: String { directory + "/authority.json" }

  init() throws { scratch = try ScratchDirectory() }

  private func store(_ calls: AtomicFile.Calls = .system) -> AuthorityStore {
    AuthorityStore(directory: directory, calls: calls)
  }

  private func load(now: Date = start, calls: AtomicFile.Calls = .system) throws -> CertificateAuthority {
    try store(calls).authority(of: store(calls).loadOrCreate(now: now))
  }

  private func refusal(now: Date = start) -> IdentityError? {
    do {
      _ = try load(now: now)
      return nil
    } catch {
      return error as? IdentityError
    }
  }

  private var keys: Set<String> {
    get throws {
      Set(try FileManager.default.contentsOfDirectory(atPath: directory).filter { $0.hasSuffix(".key.pem") })
    }
  }

  @Test("root and issuer are made once and found again, their keys for the owner alone")
  func createAndLoad() throws {
    let made = try load()
    let again = try load(now: start.addingTimeInterval(3600))
    #expect(again.root == made.root && again.issuer.chain == made.issuer.chain)
    #expect(try keys.count == 2)
    for key in try keys {
      let attributes = try FileManager.default.attributesOfItem(atPath: directory + "/" + key)
      #expect((attributes[.posixPermissions] as? NSNumber)?.intValue == 0o600, "\(key)")
    }
    #expect(try made.root.extensions.basicConstraints == .isCertificateAuthority(maxPathLength: 1))
    let issuer = try #require(made.issuer.chain.first)
    #expect(try issuer.extensions.basicConstraints == .isCertificateAuthority(maxPathLength: 0))
    #expect(try issuer.extensions.keyUsage == KeyUsage(keyCertSign: true, cRLSign: true))
    #expect(made.root.notValidAfter == start.addingTimeInterval(10 * 365 * 24 * 3600))
    #expect(issuer.notValidAfter == start.addingTimeInterval(365 * 24 * 3600))
    #expect(made.anchors == [made.root])
  }

  @Test("a key that others may read is refused", arguments: [0o640, 0o604, 0o620])
  func readableKey(mode: Int) throws {
    let state = try store().loadOrCreate(now: start)
    let path = directory + "/" + state.signer.keyFile
    chmod(path, mode_t(mode))
    #expect(refusal() == .keyReadableByOthers(path: path, mode: UInt32(mode)))
  }

  @Test("an authority without its key is not replaced")
  func missingKey() throws {
    let state = try store().loadOrCreate(now: start)
    let path = directory + "/" + state.signer.keyFile
    unlink(path)
    #expect(refusal() == .keyMissing(path: path, certificate: statePath))
  }

  @Test("a foreign key and a damaged file are refused")
  func damaged() throws {
    let state = try store().loadOrCreate(now: start)
    let path = directory + "/" + state.signer.keyFile
    let key = try #require(try AtomicFile.read(path))
    try AtomicFile.write(P256.Signing.PrivateKey().pemRepresentation, to: path)
    #expect(refusal() == .keyMismatch(key: path, certificate: statePath))
    try AtomicFile.write("no key", to: path)
    #expect(refusal() == .unreadable(path: path, reason: "not a private key in PEM"))
    try AtomicFile.write(key, to: path)
    let content = try #require(try AtomicFile.read(statePath))
    try AtomicFile.write(Array(content.dropLast(40)), to: statePath)
    #expect(refusal() == .unreadable(path: statePath, reason: "not the state of an authority"))
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

  // MARK: - Directories of an earlier version

  private func makeOldDirectory() throws -> Certificate {
    let key = P256.Signing.PrivateKey()
    let signer = Certificate.PrivateKey(key)
    let name = try DistinguishedName { CommonName("Apus root") }
    let root = try Certificate(
      version: .v3, serialNumber: Certificate.SerialNumber(bytes: [1]), publicKey: signer.publicKey,
      notValidBefore: start, notValidAfter: start.addingTimeInterval(86_400 * 3650), issuer: name, subject: name,
      extensions: Certificate.Extensions {
        Critical(BasicConstraints.isCertificateAuthority(maxPathLength: 0))
        Critical(KeyUsage(keyCertSign: true, cRLSign: true))
        SubjectKeyIdentifier(hash: signer.publicKey)
      }, issuerPrivateKey: signer)
    try AtomicFile.makeDirectory(directory)
    try AtomicFile.write(key.pemRepresentation + "\n", to: keyPath)
    try AtomicFile.write(try root.serializeAsPEM().pemString + "\n", to: certificatePath, mode: 0o644)
    return root
  }

  @Test("a root of a time before issuers signs on, and is replaced by rotating the root")
  func migration() throws {
    let root = try makeOldDirectory()
    let old = try load()
    #expect(old.root == root && old.issuer.chain.isEmpty && old.issuer.certificate == root)
    let leaf = try old.issue(csrDER: signingRequest(), for: orders, now: start)
    #expect(leaf.chainPEM.components(separatedBy: "BEGIN CERTIFICATE").count == 2, "no intermediate is sent")

    var state = try store().loadOrCreate(now: start)
    #expect(throws: IdentityError.rootWithoutIssuers) { try store().generateIssuer(below: state.settled, now: start) }
    try state.begin(store().generateRoot(now: start), pauses: false, now: 0)
    try store().write(state)
    let both = try load()
    #expect(both.anchors.count == 2 && both.anchors.contains(root) && both.root == root)
    while state.advance([], now: 1) { try store().write(state) }
    let new = try load()
    #expect(new.anchors == [new.root] && new.root != root && new.issuer.chain.count == 1)
    #expect(try !keys.contains("root.key.pem") && keys.count == 2, "the old root's key is gone")
  }

  @Test("an old directory with a damaged or incomplete pair is refused")
  func oldDamage() throws {
    let root = try makeOldDirectory()
    #expect(refusal(now: root.notValidAfter) == .rootExpired)
    let key = try #require(try AtomicFile.read(keyPath))
    unlink(keyPath)
    #expect(refusal() == .keyMissing(path: keyPath, certificate: certificatePath))
    try AtomicFile.write(P256.Signing.PrivateKey().pemRepresentation, to: keyPath)
    #expect(refusal() == .keyMismatch(key: keyPath, certificate: certificatePath))
    try AtomicFile.write(key, to: keyPath)
    try AtomicFile.write("no certificate", to: certificatePath)
    #expect(refusal() == .unreadable(path: certificatePath, reason: "not a certificate in PEM"))
  }

  // MARK: - Crashes

  /// Lets `allowed` system calls happen; every later one fails, as for a process that is gone.
  private final class Crash: Sendable {
    private let left: Mutex<Int>
    init(after allowed: Int) { left = Mutex(allowed) }

    var happened: Bool { left.withLock { $0 < 0 } }

    private func next() -> Bool {
      left.withLock { left in
        left -= 1
        return left >= 0
      }
    }

    var calls: AtomicFile.Calls {
      AtomicFile.Calls(
        write: { [self] in next() ? Glibc.write($0, $1.baseAddress, $1.count) : fail() },
        // The order of the calls is what counts here; whether they reach a disk would cost seconds.
        synchronize: { [self] _ in next() ? 0 : Int32(fail()) },
        rename: { [self] in next() ? Glibc.rename($0, $1) : Int32(fail()) })
    }

    private func fail() -> Int {
      errno = EIO
      return -1
    }
  }

  /// A whole rotation of the root, with what was in force after each step.
  private func rotate(_ store: AuthorityStore) throws {
    var state = try store.loadOrCreate(now: start)
    if state.rotation == nil { try state.begin(store.generateRoot(now: start), pauses: false, now: 0) }
    repeat {
      try store.write(state)
    } while state.advance([], now: 0)
    try store.write(state)
  }

  @Test("a rotation that is cut off at any system call is found whole, safe, and goes on to its end")
  func crashAnywhere() throws {
    var cuts = 0
    for allowed in 0... {
      let fresh = try ScratchDirectory()
      let plain = AuthorityStore(directory: fresh.path, calls: AtomicFile.Calls(synchronize: { _ in 0 }))
      let first = try plain.loadOrCreate(now: start)
      let old = try plain.authority(of: first)
      let crash = Crash(after: allowed)
      try? rotate(AuthorityStore(directory: fresh.path, calls: crash.calls))
      guard crash.happened else { break }
      cuts += 1
      // What the next controller finds: whoever trusts its anchors trusts its signer, and the way is one of the three phases.
      let found = try plain.loadOrCreate(now: start)
      let authority = try plain.authority(of: found)
      #expect(authority.anchors.contains(authority.root), "cut \(allowed)")
      if found.rotation?.phase != .retire, found.settled.id == first.settled.id {
        #expect(authority.anchors.contains(old.root), "cut \(allowed): the old root is still needed")
      }
      try rotate(plain)
      let last = try plain.loadOrCreate(now: start)
      #expect(last.rotation == nil && last.settled.id != first.settled.id, "cut \(allowed)")
      let files = try FileManager.default.contentsOfDirectory(atPath: fresh.path).filter { $0.hasSuffix(".key.pem") }
      #expect(Set(files) == last.keyFiles, "cut \(allowed)")
    }
    #expect(cuts > 20)
  }

  // MARK: - Issuers from elsewhere

  @Test("an issuer from files is taken with its key, and its root becomes the root to rotate to")
  func importedIssuer() throws {
    let state = try store().loadOrCreate(now: start)
    let other = try ScratchDirectory()
    let theirs = AuthorityStore(directory: other.path)
    let signer = try theirs.loadOrCreate(now: start).settled
    let key = String(decoding: try #require(try AtomicFile.read(other.path + "/" + signer.keyFile)), as: UTF8.self)
    let made = try store().importIssuer(
      chainPEM: signer.chainPEM + signer.rootPEM, keyPEM: key, known: state, now: start)
    #expect(made.id == signer.id && made.rootPEM == signer.rootPEM && made.rootKeyFile == nil)
    #expect(made.source == .imported)
    #expect(throws: IdentityError.rootKeyAbsent) { try store().generateIssuer(below: made, now: start) }
  }

  @Test("an issuer that cannot sign for the mesh is refused")
  func unusableIssuers() throws {
    let state = try store().loadOrCreate(now: start)
    let authority = try load()
    let issuerKey = String(
      decoding: try #require(try AtomicFile.read(directory + "/" + state.signer.keyFile)), as: UTF8.self)
    func refusal(_ chain: String, _ key: String, now: Date = start) -> String {
      do {
        _ = try store().importIssuer(chainPEM: chain, keyPEM: key, known: state, now: now)
        return "taken"
      } catch {
        return "\(error)"
      }
    }
    let chain = state.signer.chainPEM
    #expect(refusal(chain, issuerKey) == "taken", "its root is known")
    #expect(refusal("", issuerKey).contains("empty"))
    #expect(refusal(chain, "").contains("no unencrypted private key"))
    #expect(refusal(chain, P256.Signing.PrivateKey().pemRepresentation).contains("not the key"))
    #expect(refusal(chain, issuerKey, now: authority.issuer.notAfter).contains("has expired"))
    #expect(refusal(chain, issuerKey, now: start.addingTimeInterval(-100)).contains("not valid yet"))
    let key = P256.Signing.PrivateKey()
    let leaf = try authority.issue(
      csrDER: signingRequest(key: Certificate.PrivateKey(key)), for: orders, now: start)
    #expect(refusal(leaf.chainPEM, key.pemRepresentation).contains("not an authority"))
    let foreign = try makeAuthority(scratch.path + "/foreign")
    let foreignRoot = try foreign.root.serializeAsPEM().pemString
    #expect(refusal(chain + foreignRoot, issuerKey).contains("not signed by"))
  }

  @Test("a request for an issuer's certificate keeps its key until the chain comes")
  func requestedIssuer() throws {
    let state = try store().loadOrCreate(now: start)
    func ask() throws -> String { try store().signingRequest(for: .tool, besides: state) }
    let request = try ask()
    #expect(try ask() != "" && keys.contains("pending.key.pem"))
    let parsed = try CertificateSigningRequest(pemEncoded: request)
    #expect(parsed.publicKey.isValidSignature(parsed.signature, for: parsed))
    #expect(
      try parsed.attributes.extensionRequest?.extensions.basicConstraints == .isCertificateAuthority(maxPathLength: 0))
    // A chain for another key is not for this request.
    #expect(throws: IdentityError.self) {
      try store().importIssuer(chainPEM: state.signer.chainPEM, keyPEM: nil, known: state, now: start)
    }
    try store().write(state)
    #expect(try keys.contains("pending.key.pem"), "it is not an unused key")
    store().forget(.tool)
    #expect(try !keys.contains("pending.key.pem"))
  }
}
