/// Which authority the mesh has, and how far it is on the way to another. Codable: it is the state directory's `authority.json`,
/// and each step counts from the moment that it is on disk. Pure: facts in, decisions out.
///
/// A rotation of the root goes through three phases, each of which keeps every connection possible:
/// - `trust`: both roots are anchors, the old issuer signs. It ends when every workload trusts both.
/// - `reissue`: both roots are anchors, the new issuer signs. It ends when every workload holds a leaf of it.
/// - `retire`: only the new root is an anchor. It ends when every workload has dropped the old one.
///
/// A rotation of the issuer below the same root has only `reissue`: its leaves bring the issuer along.
package struct AuthorityState: Codable, Hashable, Sendable {
  /// An issuer and its root, as files.
  package struct Signer: Codable, Hashable, Sendable {
    package enum Source: String, Codable, Hashable, Sendable { case generated, imported, external }

    /// Key identifier of the issuer.
    package var id: String
    /// Issuer first, without the root; empty: the root signs itself.
    package var chainPEM: String
    package var rootPEM: String
    /// Names of files beside this one.
    package var keyFile: String
    /// Nil: the root's key is not here.
    package var rootKeyFile: String?
    package var source: Source
    /// Unix seconds at which the signer is asked for the next one, where there is a signer. Nil: made here.
    package var renewAt: Int64?

    package init(
      id: String, chainPEM: String, rootPEM: String, keyFile: String, rootKeyFile: String?, source: Source,
      renewAt: Int64? = nil
    ) {
      self.id = id
      self.chainPEM = chainPEM
      self.rootPEM = rootPEM
      self.keyFile = keyFile
      self.rootKeyFile = rootKeyFile
      self.source = source
      self.renewAt = renewAt
    }
  }

  package enum Phase: String, Codable, Hashable, Sendable { case trust, reissue, retire }

  package struct Rotation: Codable, Hashable, Sendable {
    package var from: Signer
    package var to: Signer
    package var phase: Phase
    /// Each step waits for somebody's word.
    package var pauses: Bool
    /// The word for the next step was given.
    package var isReleased = false
    /// Workloads whose proxies are not connected are left behind.
    package var leavesAbsent = false
    /// Unix milliseconds.
    package var startedAt: Int64
    package var phaseSince: Int64

    package var isOfRoot: Bool { from.rootPEM != to.rootPEM }
  }

  package var version = 1
  /// As long as a rotation is under way the one that it started from.
  package private(set) var settled: Signer
  package private(set) var rotation: Rotation?

  package init(settled: Signer) { self.settled = settled }

  // MARK: - What counts now

  package var signer: Signer {
    guard let rotation else { return settled }
    return rotation.phase == .trust ? rotation.from : rotation.to
  }

  package var anchorsPEM: [String] {
    guard let rotation else { return [settled.rootPEM] }
    guard rotation.isOfRoot else { return [rotation.to.rootPEM] }
    return rotation.phase == .retire ? [rotation.to.rootPEM] : [rotation.from.rootPEM, rotation.to.rootPEM]
  }

  /// Names of all key files that are needed; others may be removed.
  package var keyFiles: Set<String> {
    Set(
      [settled, rotation?.from, rotation?.to].compactMap { $0 }.flatMap {
        [$0.keyFile] + ($0.rootKeyFile.map { [$0] } ?? [])
      })
  }
}

/// What one workload of the mesh does, as far as it is known.
package struct WorkloadTrust: Hashable, Sendable {
  package var name: String
  /// Its proxy's discovery stream is open.
  package var isConnected: Bool
  /// Every worker of its proxy uses the trust bundle of now.
  package var trusts: Bool
  /// Every worker of its proxy uses a leaf of the issuer that signs now.
  package var holds: Bool

  package init(name: String, isConnected: Bool, trusts: Bool, holds: Bool) {
    self.name = name
    self.isConnected = isConnected
    self.trusts = trusts
    self.holds = holds
  }
}

// MARK: - Rotating

extension AuthorityState {
  package mutating func begin(_ to: Signer, pauses: Bool, now: Int64) throws(RotationError) {
    if let rotation { throw .underWay(rotation.phase) }
    guard to.id != settled.id else { throw .sameIssuer }
    let isOfRoot = to.rootPEM != settled.rootPEM
    rotation = Rotation(
      from: settled, to: to, phase: isOfRoot ? .trust : .reissue, pauses: pauses, startedAt: now, phaseSince: now)
  }

  /// Whom the next step would break: nobody, when the step may be made.
  package func blockers(_ seen: [WorkloadTrust]) -> [String] {
    guard let rotation else { return [] }
    return seen.filter { workload in
      if rotation.leavesAbsent, !workload.isConnected { return false }
      let isDone = rotation.phase == .reissue ? workload.holds : workload.trusts
      return !(workload.isConnected && isDone)
    }.map(\.name).sorted()
  }

  /// Makes the next step if nobody would be broken by it. Whether it did.
  package mutating func advance(_ seen: [WorkloadTrust], now: Int64) -> Bool {
    guard var next = rotation, blockers(seen).isEmpty else { return false }
    // The end of the last phase changes nothing in force.
    let isLast = next.phase == .retire || next.phase == .reissue && !next.isOfRoot
    if next.pauses, !next.isReleased, !isLast { return false }
    next.isReleased = false
    next.leavesAbsent = false
    next.phaseSince = now
    switch next.phase {
    case .trust: next.phase = .reissue
    case .reissue where next.isOfRoot: next.phase = .retire
    case .reissue, .retire:
      settled = next.to
      rotation = nil
      return true
    }
    rotation = next
    return true
  }

  /// Somebody's word for the next step. `leaveAbsent`: also without the workloads whose proxies are not connected; nothing goes on
  /// without one that is connected.
  package mutating func release(_ seen: [WorkloadTrust], leaveAbsent: Bool) throws(RotationError) {
    guard rotation != nil else { throw .notUnderWay }
    var candidate = self
    candidate.rotation?.isReleased = true
    candidate.rotation?.leavesAbsent = leaveAbsent
    let blockers = candidate.blockers(seen)
    guard blockers.isEmpty else {
      throw .wouldBreak(blockers, absent: seen.filter { !$0.isConnected }.map(\.name).sorted())
    }
    self = candidate
  }

  /// Ends a rotation of the issuer without waiting for those who hold leaves of the old one. It breaks nobody: their leaves bring the old
  /// issuer along, and the root above both stays. Whether there was one to end.
  package mutating func settleIssuer() -> Bool {
    guard let rotation, rotation.phase == .reissue, !rotation.isOfRoot else { return false }
    settled = rotation.to
    self.rotation = nil
    return true
  }

  /// Goes back to the authority that the rotation started from, by the same safe way.
  package mutating func abort(now: Int64) throws(RotationError) {
    guard var back = rotation else { throw .notUnderWay }
    switch back.phase {
    case .trust:
      // Nothing was signed by the new issuer.
      rotation = nil
    case .reissue:
      (back.from, back.to) = (back.to, back.from)
      back.isReleased = false
      back.leavesAbsent = false
      back.pauses = false
      back.phaseSince = now
      settled = back.from
      rotation = back
    case .retire: throw .tooLate
    }
  }
}

/// Why a rotation does not do what was asked. Texts are for operators.
package enum RotationError: Error, Hashable, Sendable, CustomStringConvertible {
  case underWay(AuthorityState.Phase)
  case notUnderWay
  case sameIssuer
  case tooLate
  /// It is waited for an answer of the signer.
  case signerIsAsked
  case rootOfSigner
  /// While it was being looked at whom a step would break.
  case changed
  case wouldBreak([String], absent: [String])

  package var description: String {
    switch self {
    case .underWay(let phase):
      "a rotation is under way (\(phase.rawValue)): see apus identity status; end it with apus identity rotate --abort"
    case .notUnderWay: "no rotation is under way: start one with apus identity rotate --issuer or --root"
    case .sameIssuer: "this issuer signs already"
    case .tooLate: "the old root is being dropped, every workload holds a new certificate: rotate again to go back"
    case .signerIsAsked: "the signer is being asked for an issuer right now: see apus identity status"
    case .rootOfSigner:
      "the root is the signer's: put its next root into the file of --signer-root, have the signer use it, then apus identity "
        + "rotate --issuer; for a root of the mesh's own restart the controller without --signer"
    case .changed: "the trust of the mesh has just changed: try again"
    case .wouldBreak(let names, let absent):
      "the next step would break \(names.prefix(8).joined(separator: ", "))\(names.count > 8 ? " and \(names.count - 8) more" : ""): "
        + (Set(names).isSubset(of: absent)
          ? "their proxies are not connected; stop these workloads, or leave them behind with --force"
          : "their proxies have not confirmed yet; see apus identity status")
    }
  }
}
