package import Logging
package import MeshIdentity

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The join tokens that were given out, hashed. The only writer of `join-tokens.json`.
///
/// A use is on the disk before it counts: after a crash a spent token is spent. The other way round, a use whose registration
/// fails is given back, and a crash between the two loses it, which is the safe side.
package actor JoinTokenStore {
  /// Tokens remembered, of which the spent, expired and revoked ones are forgotten first.
  package static let maximumCount = 1_024
  /// Living workloads of one token, so that one holder cannot take every address.
  package static let maximumWorkloads = 64

  private let path: String
  private let clock: ControlClock
  private let calls: AtomicFile.Calls
  private let log: Logger
  private var records: [String: JoinTokenRecord]
  private let living: @Sendable (String) async -> Int

  private struct File: Codable {
    var version = 1
    var tokens: [String: JoinTokenRecord]
  }

  /// `living` tells how many workloads live that joined by a source. A missing file is an empty one.
  package init(
    path: String, clock: ControlClock = .system, log: Logger, calls: AtomicFile.Calls = .system,
    living: @escaping @Sendable (String) async -> Int
  ) throws {
    self.path = path
    self.clock = clock
    self.calls = calls
    self.log = log
    self.living = living
    guard let content = try AtomicFile.read(path) else {
      records = [:]
      return
    }
    do {
      records = try JSONDecoder().decode(File.self, from: Data(content)).tokens
    } catch {
      throw ControlPlaneError(
        "\(path) cannot be understood; remove it (join tokens that were given out stop working) and start again")
    }
  }

  private var now: Int64 { Int64(clock.wall().timeIntervalSince1970) }

  // MARK: - For the mesh's owner

  /// All of them, the newest first.
  package var tokens: [(id: String, record: JoinTokenRecord, state: JoinTokenRecord.State)] {
    let now = now
    return records.sorted { ($1.value.created, $0.key) < ($0.value.created, $1.key) }
      .map { ($0.key, $0.value, $0.value.state(now: now)) }
  }

  /// The only time that the secret is seen.
  package func create(_ order: JoinTokenOrder) throws(RegistryError) -> JoinToken {
    var updated = records
    let now = now
    if updated.count >= Self.maximumCount {
      let dead = updated.filter { $0.value.state(now: now) != .active }
      guard let oldest = dead.min(by: { ($0.value.created, $0.key) < ($1.value.created, $1.key) }) else {
        throw .invalid("there are \(Self.maximumCount) active join tokens, which is the limit; revoke some")
      }
      updated[oldest.key] = nil
    }
    let token = JoinToken.random { updated[$0] != nil }
    updated[token.id] = JoinTokenRecord(order, hash: Secret.hash(of: token.secret), now: now)
    try save(updated)
    log.notice(
      "join token made",
      metadata: [
        "token": "\(token.id)", "serviceAccount": "\(order.namespace)/\(order.serviceAccount)",
        "uses": "\(order.uses.map(String.init) ?? "any")", "seconds": "\(order.lifetime)",
      ])
    return token
  }

  package func revoke(_ id: String) throws(RegistryError) {
    guard var record = records[id] else { throw .unknownJoinToken(id) }
    guard record.revoked == nil else { return }
    record.revoked = now
    var updated = records
    updated[id] = record
    try save(updated)
    log.notice("join token revoked", metadata: ["token": "\(id)"])
  }

  private func save(_ updated: [String: JoinTokenRecord]) throws(RegistryError) {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
    do {
      let content = Array(try encoder.encode(File(tokens: updated))) + [0x0A]
      try AtomicFile.write(content, to: path, calls: calls)
    } catch {
      log.error("cannot save the join tokens", metadata: ["error": "\(error)"])
      throw .storage("\(error)")
    }
    records = updated
  }
}

// MARK: - Attestation

extension JoinTokenStore: WorkloadAttestor {
  package nonisolated var name: String { "join_token" }

  package static func source(of id: String) -> String { "join_token/\(id)" }

  private static func id(of source: String) -> String? {
    source.hasPrefix("join_token/") ? String(source.dropFirst("join_token/".count)) : nil
  }

  package func attest(
    _ proof: String, for request: WorkloadRequest
  ) async throws(AttestationRefusal) -> Attestation {
    guard let token = JoinToken(proof) else { throw .malformed }
    let source = Self.source(of: token.id)
    let count = await living(source)
    // No suspension from here on: of two that show a token for one use, one is too late.
    guard var record = records[token.id], record.hash == Secret.hash(of: token.secret) else { throw .unknown }
    let now = now
    switch record.state(now: now) {
    case .active: break
    case .spent: throw .replayed(token.id)
    case .expired: throw .expired(token.id)
    case .revoked: throw .revoked(token.id)
    }
    // A name is the controller's to choose: a taken one would be somebody else's address.
    if let name = request.name { throw .wrongField("name", asked: name, allowed: "") }
    let granted = try record.request(for: request)
    guard count < Self.maximumWorkloads else { throw .tooManyWorkloads(Self.maximumWorkloads) }
    record.used += 1
    record.lastUsed = now
    try saveUse(of: token.id, record)
    return Attestation(source: source, request: granted)
  }

  /// A spent or expired token is no obstacle, and neither is a revoked one: who ends its workloads, too, ends their claims.
  package func confirm(
    _ source: String, for request: WorkloadRequest
  ) async throws(AttestationRefusal) -> Attestation {
    guard let record = Self.id(of: source).flatMap({ records[$0] }) else { throw .unknown }
    return Attestation(source: source, request: try record.request(for: request))
  }

  package func restore(_ attestation: Attestation) async {
    guard let id = Self.id(of: attestation.source), var record = records[id], record.used > 0 else { return }
    record.used -= 1
    // When this fails, too, the use stays spent; `save` has logged it.
    try? saveUse(of: id, record)
  }

  private func saveUse(of id: String, _ record: JoinTokenRecord) throws(AttestationRefusal) {
    var updated = records
    updated[id] = record
    do throws(RegistryError) {
      try save(updated)
    } catch {
      throw .storage(error.description)
    }
  }
}

extension JoinTokenRecord {
  /// The registration as the token allows it. What it does not decide (ports, the process) is the program's own affair.
  fileprivate func request(for asked: WorkloadRequest) throws(AttestationRefusal) -> WorkloadRequest {
    for (field, value, allowed) in [
      ("namespace", asked.namespace, namespace), ("service_account", asked.serviceAccount, serviceAccount),
      ("service", asked.service ?? "", service),
    ] where value != allowed {
      throw .wrongField(field, asked: String(value.prefix(64)), allowed: allowed)
    }
    // Labels choose services and versions: those of the token, and no others.
    for (key, value) in asked.labels.sorted(by: { $0.key < $1.key }) where labels[key] != value {
      throw .wrongField(
        "label", asked: "\(key)=\(value)".prefix(64).description,
        allowed: labels.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: ","))
    }
    var granted = asked
    granted.labels = labels
    return granted
  }
}
