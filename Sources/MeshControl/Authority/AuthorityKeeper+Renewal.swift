import Logging
import MeshCore
import MeshIdentity
import X509

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Who renews the issuer, and when.
extension AuthorityKeeper {
  /// Unix seconds at which the next issuer is due. With a signer: at once, as long as the issuer was made here. Without: after two thirds of
  /// its life, if it was made here, the root's key is here, and the new one would last longer; nil otherwise.
  var issuerDue: Int64? {
    let issuer = holder.current.issuer
    guard let own = issuer.chain.first else { return external == nil ? nil : 0 }
    let life = own.notValidAfter.timeIntervalSince(own.notValidBefore)
    let usual = Int64(own.notValidBefore.addingTimeInterval(life * 2 / 3).timeIntervalSince1970)
    if external != nil { return state.signer.source == .generated ? 0 : state.signer.renewAt ?? usual }
    return canMake && own.notValidAfter < issuer.root.notValidAfter ? usual : nil
  }

  /// Whether the issuer was made here, below a root whose key is here.
  private var canMake: Bool { state.signer.source == .generated && state.signer.rootKeyFile != nil }

  /// Whether one that is made here is to be made now.
  func isIssuerDue() -> Bool { external == nil && isDue }

  private var isDue: Bool { issuerDue.map { $0 <= wallSeconds } ?? false }

  private var wallSeconds: Int64 { clock.milliseconds / 1000 }

  /// An issuer that ended while no controller ran signs nothing, not even the controller's own certificate. The next one is below the
  /// same root: as long as nobody signs, members cannot follow to another.
  package func revive() async throws {
    let issuer = holder.current.issuer
    guard state.rotation == nil, clock.wall() >= issuer.notAfter, !issuer.chain.isEmpty else { return }
    log.warning("the issuer has ended while no controller ran: it is replaced before anything else")
    if canMake {
      try await begin(try store.generateIssuer(below: state.settled, now: clock.wall()), pauses: false)
    } else if var external {
      external.rootFile = nil
      try await rotateBySigner(external, pauses: false)
    }
  }

  // MARK: - By the signer

  /// What people are told of it.
  struct RenewalStanding: Hashable, Sendable {
    /// Empty: issuers are made here, or by hand.
    var signer = ""
    var due: Int64?
    var trouble: IssuerRenewal.Trouble?
    /// Unix seconds.
    var nextTry: Int64?
  }

  var renewalStanding: RenewalStanding {
    let wait = renewal.retryAt.map { $0 - clock.monotonic() }
    return RenewalStanding(
      signer: external?.signer.name ?? "", due: issuerDue, trouble: renewal.trouble,
      nextTry: wait.map { wallSeconds + max(0, $0.nanoseconds / 1_000_000_000) })
  }

  /// Asks the signer for the next issuer if it is time. What fails is told, and tried again later.
  func renewFromSigner() async {
    guard let external, isDue, renewal.mayAsk(now: clock.monotonic()) else { return }
    do {
      guard try await hasRoomForRotation() else { return }
      try await rotateBySigner(external, pauses: false)
    } catch  where Self.isNobodysFault(error) {
    } catch {
      let error = SignerError(cause: error)
      renewal.failed(
        error.description, retryAfter: error.retryAfter, now: clock.monotonic(), wallSeconds: wallSeconds,
        random: &random)
    }
  }

  /// A workload that is away may hold the last rotation of the issuer up for as long as it likes: not until the issuer ends.
  private func hasRoomForRotation() async throws -> Bool {
    guard state.rotation != nil else { return true }
    var candidate = state
    guard candidate.settleIssuer() else { return false }
    try await enforce(candidate)
    log.warning(
      "the last rotation of the issuer was not confirmed by everybody, and the next is due: it counts as done")
    return true
  }

  /// A person's own attempts fail before their eyes, and put off nothing.
  func rotateBySigner(_ external: ExternalAuthority, pauses: Bool) async throws {
    guard !isAskingSigner else { throw RotationError.signerIsAsked }
    isAskingSigner = true
    defer { isAskingSigner = false }
    do {
      try await begin(try await ask(external), pauses: pauses)
      store.forget(.signer)
      renewal.succeeded()
      countRequest("issued")
    } catch let error where Self.isNobodysFault(error) {
      throw error
    } catch {
      let error = SignerError(cause: error)
      countRequest(error.reason.rawValue)
      log.error(
        "no new issuer from the signer; the last one stays in force",
        metadata: [
          "signer": "\(external.signer.name)", "reason": "\(error.reason.rawValue)", "error": "\(error)",
          "issuerEnds": "\(holder.current.issuer.notAfter.ISO8601Format())",
        ])
      throw error
    }
  }

  /// A person was quicker, or the controller ends. The key waits for the next time.
  private static func isNobodysFault(_ error: any Error) -> Bool {
    if case .underWay? = error as? RotationError { return true }
    return error is CancellationError
  }

  /// The next issuer, judged and on disk.
  private func ask(_ external: ExternalAuthority) async throws -> AuthorityState.Signer {
    let roots = try external.roots()
    let order = SigningOrder(
      requestPEM: try store.signingRequest(for: .signer, besides: state), trustDomain: store.trustDomain,
      lifetimeSeconds: external.lifetimeSeconds)
    let chain = try await external.signer.sign(order)
    // Others were served meanwhile.
    if let rotation = state.rotation { throw RotationError.underWay(rotation.phase) }
    return try store.signedIssuer(
      chainPEM: chain, roots: roots, outliving: external.leafLifetimeSeconds, known: state, now: clock.wall())
  }
}

extension SignerError {
  fileprivate init(cause: any Error) {
    switch cause {
    case let known as SignerError: self = known
    case is StorageError: self.init(.storage, "\(cause)")
    default: self.init(.unusable, "\(cause)")
    }
  }
}
