package import Logging
package import MeshCore
package import MeshIdentity
package import MeshPolicy
import X509

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// What every workload uses, and of which bundle that is said: about another one it says nothing.
package struct TrustSurvey: Sendable {
  package var workloads: [WorkloadTrust]
  package var number: UInt64

  package init(_ workloads: [WorkloadTrust], number: UInt64) {
    self.workloads = workloads
    self.number = number
  }
}

/// Keeps the mesh's authority: its state on disk, its rotation, and what is revoked.
///
/// Every change is on disk before anybody hears of it. What members then hear (`publish`) follows from the state alone, so a
/// controller that starts after a crash says the same and goes on.
package actor AuthorityKeeper {
  /// Members hear of a change by this: the bundle goes out on the discovery streams.
  package typealias Publish = @Sendable (NumberedBundle) async -> Void

  /// The higher number is the newer bundle.
  package struct NumberedBundle: Sendable {
    package var bundle: TrustBundle
    package var number: UInt64
  }

  package nonisolated let holder: AuthorityHolder
  let store: AuthorityStore
  private let revocationFile: RevocationFile
  let log: Logger
  let clock: ControlClock
  /// Nil: issuers are made here, or brought by a person.
  private(set) var external: ExternalAuthority?
  var renewal = IssuerRenewal()
  var isAskingSigner = false
  var random = SeededRandom(seed: .random(in: 0 ... .max))
  private(set) var countRequest: @Sendable (String) -> Void = { _ in }
  private var publish: Publish = { _ in }
  private var lastNumber: UInt64 = 0
  package private(set) var state: AuthorityState
  package private(set) var revocations: RevocationList

  package init(store: AuthorityStore, clock: ControlClock, log: Logger) throws {
    self.store = store
    self.clock = clock
    self.log = log
    state = try store.loadOrCreate(now: clock.wall())
    revocationFile = RevocationFile(path: store.directory + "/revocations.json")
    revocations = try revocationFile.read()
    let authority = try store.authority(of: state)
    guard clock.wall() < authority.root.notValidAfter else { throw IdentityError.rootExpired }
    holder = AuthorityHolder(authority)
    if let rotation = state.rotation {
      log.notice("a rotation of the authority goes on", metadata: ["phase": "\(rotation.phase.rawValue)"])
    }
  }

  package func start(publish: @escaping Publish) { self.publish = publish }

  /// From now on the signer signs the mesh's issuers.
  package func attach(_ external: ExternalAuthority, metrics: ControllerMetrics? = nil) {
    self.external = external
    countRequest = { metrics?.count(.issuerRequests, $0) }
  }

  package var news: NumberedBundle { NumberedBundle(bundle: bundle, number: lastNumber) }

  package var bundle: TrustBundle {
    TrustBundle(
      trustDomain: store.trustDomain, anchorsPEM: holder.current.trustBundlePEM, crls: revocations.crls,
      deniedIdentities: revocations.identities, deniedSerials: Set(revocations.serials.keys), signer: state.signer.id)
  }

  // MARK: - Rotation

  package enum Wish: Sendable {
    case newRoot
    case newIssuer
    /// An issuer that was made elsewhere; without a key, of the request that waits here.
    case imported(chainPEM: String, keyPEM: String?)
  }

  package func rotate(_ wish: Wish, pauses: Bool) async throws {
    if let rotation = state.rotation { throw RotationError.underWay(rotation.phase) }
    let now = clock.wall()
    switch wish {
    case .newRoot where external != nil: throw RotationError.rootOfSigner
    case .newRoot: try await begin(try store.generateRoot(now: now), pauses: pauses)
    case .newIssuer:
      if let external { return try await rotateBySigner(external, pauses: pauses) }
      try await begin(try store.generateIssuer(below: state.settled, now: now), pauses: pauses)
    case .imported(let chain, let key):
      // With a signer, too: it may be gone when an issuer is about to end.
      let next = try store.importIssuer(chainPEM: chain, keyPEM: key, known: state, now: now)
      try await begin(next, pauses: pauses)
      if key == nil { store.forget(.tool) }
    }
  }

  func begin(_ next: AuthorityState.Signer, pauses: Bool) async throws {
    var candidate = state
    try candidate.begin(next, pauses: pauses, now: clock.milliseconds)
    try await enforce(candidate)
    log.notice(
      "rotation of the authority begun", metadata: ["signer": "\(next.id)", "source": "\(next.source.rawValue)"])
  }

  package func release(_ seen: TrustSurvey, leaveAbsent: Bool) async throws {
    guard seen.number == lastNumber else { throw RotationError.changed }
    var candidate = state
    try candidate.release(seen.workloads, leaveAbsent: leaveAbsent)
    // The word is on disk before the step that it allows.
    try store.write(candidate)
    state = candidate
    _ = try await advance(seen)
  }

  package func abort() async throws {
    var candidate = state
    try candidate.abort(now: clock.milliseconds)
    try await enforce(candidate)
    renewal.putOff(now: clock.monotonic())
    log.notice("rotation of the authority turned back")
  }

  /// Makes the next step of a rotation, if that breaks nobody. Whether it did.
  package func advance(_ seen: TrustSurvey) async throws -> Bool {
    var candidate = state
    guard seen.number == lastNumber, candidate.advance(seen.workloads, now: clock.milliseconds) else { return false }
    let phase = candidate.rotation?.phase.rawValue ?? "done"
    try await enforce(candidate)
    log.notice("rotation of the authority goes on", metadata: ["phase": "\(phase)"])
    return true
  }

  package func signingRequest() throws -> String { try store.signingRequest(for: .tool, besides: state) }

  /// On disk first, in force then.
  func enforce(_ next: AuthorityState) async throws {
    let authority = try store.authority(of: next)
    try store.write(next)
    state = next
    holder.replace(authority)
    await tell()
  }

  private func tell() async {
    lastNumber += 1
    await publish(news)
  }

  // MARK: - Revocation

  package struct Change: Sendable {
    package var identities: [String] = []
    package var serials: [String] = []
    package var crls: [String] = []
    package var clearsLists = false

    package init() {}
  }

  /// `ends`: when the certificates of some serial numbers end, in Unix seconds. Of others the issuer's end counts.
  package func revoke(_ change: Change, ends: [String: Int64] = [:]) async throws {
    let latest = Int64(holder.current.issuer.notAfter.timeIntervalSince1970)
    var next = revocations
    for identity in change.identities { try next.deny(identity: identity) }
    for serial in change.serials {
      try next.deny(serial: serial, until: ends[Hexadecimal.normalized(serial) ?? ""] ?? latest)
    }
    for list in change.crls { try next.take(crl: list) }
    try await enforce(next)
    log.notice(
      "revoked",
      metadata: [
        "identities": "\(change.identities.joined(separator: " "))",
        "serials": "\(change.serials.joined(separator: " "))",
        "lists": "\(change.crls.count)",
      ])
  }

  package func restore(_ change: Change) async throws {
    var next = revocations
    for identity in change.identities { try next.restore(identity: identity) }
    for serial in change.serials { try next.restore(serial: serial) }
    if change.clearsLists { next.clearLists() }
    try await enforce(next)
    log.notice("restored", metadata: ["identities": "\(change.identities.joined(separator: " "))"])
  }

  /// Forgets revocations of certificates that have ended.
  package func expireRevocations() async throws {
    var next = revocations
    if next.expire(now: clock.milliseconds / 1000) { try await enforce(next) }
  }

  package func isDenied(_ identity: SPIFFEID) -> Bool { revocations.identities.contains(identity.description) }

  private func enforce(_ next: RevocationList) async throws {
    try revocationFile.write(next)
    revocations = next
    await tell()
  }
}

/// What is revoked, as a file in the authority's directory.
struct RevocationFile: Sendable {
  let path: String

  func read() throws -> RevocationList {
    guard let content = try AtomicFile.read(path) else { return RevocationList() }
    guard let list = try? JSONDecoder().decode(RevocationList.self, from: Data(content)) else {
      // Without it those who were shut out would be let in again.
      throw ControlPlaneError("\(path) cannot be understood; restore it from a copy, or remove it to revoke nothing")
    }
    return list
  }

  func write(_ list: RevocationList) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    try AtomicFile.write(Array(try encoder.encode(list)) + [0x0A], to: path)
  }
}
