package import GRPCCore
package import MeshAPI
import MeshControlAPI
import MeshIdentity
import MeshPolicy
import SwiftASN1
import SwiftProtobuf
import X509

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

extension AdminService {
  /// Tells the holder of a lease of other anchors as they come: a proxy that it restarts needs those of now.
  func followAnchors(
    of grant: WorkloadRegistry.Grant, _ response: RPCWriter<Apus_V1_RegisterResponse>
  ) -> Task<Void, Never> {
    let changes = authority.holder.changes()
    return Task {
      var last = facts.trustAnchorsPEM
      for await _ in changes where last != facts.trustAnchorsPEM {
        last = facts.trustAnchorsPEM
        // A stream that is gone ends the lease, which `register` sees.
        guard (try? await response.write(answer(to: grant))) != nil else { return }
      }
    }
  }

  package func authority(
    request: Apus_V1_AuthorityRequest, context: ServerContext
  ) async throws -> Apus_V1_AuthorityResponse {
    var signingRequest = ""
    do {
      switch request.action {
      case .rotate(let wish): try await authority.rotate(try Self.wish(wish), pauses: wish.pause)
      case .release(let word):
        try await authority.release(
          await RotationLoop.survey(authority, registry, hub), leaveAbsent: word.force)
      case .abort: try await authority.abort()
      case .revoke(let change): try await revoke(change)
      case .restore(let change): try await authority.restore(AuthorityKeeper.Change(change))
      case .signingRequest: signingRequest = try await authority.signingRequest()
      case nil: break
      }
    } catch {
      // The tool prints the text as it stands.
      throw RPCError(code: .failedPrecondition, message: "\(error)")
    }
    var response = await standing()
    response.signingRequestPem = signingRequest
    return response
  }

  private static func wish(_ message: Apus_V1_RotateAuthority) throws -> AuthorityKeeper.Wish {
    if !message.certificateChainPem.isEmpty {
      return .imported(
        chainPEM: message.certificateChainPem, keyPEM: message.keyPem.isEmpty ? nil : message.keyPem)
    }
    return message.root ? .newRoot : .newIssuer
  }

  private func revoke(_ message: Apus_V1_RevocationChange) async throws {
    let wanted = Set(message.serials.compactMap(Hexadecimal.normalized))
    let known = wanted.isEmpty ? [] : try issued.entries().filter { wanted.contains($0.serial) }
    try await authority.revoke(
      AuthorityKeeper.Change(message), ends: Dictionary(known.map { ($0.serial, $0.notAfter) }, uniquingKeysWith: max))
  }

  private func standing() async -> Apus_V1_AuthorityResponse {
    let state = await authority.state
    let revocations = await authority.revocations
    let seen = await RotationLoop.survey(authority, registry, hub).workloads
    let current = authority.holder.current
    let renewal = Apus_V1_IssuerRenewal(await authority.renewalStanding)
    return .with {
      $0.anchors = current.anchors.map(Apus_V1_AuthorityCertificate.init)
      $0.issuer = current.issuer.chain.map(Apus_V1_AuthorityCertificate.init)
      $0.signer = state.signer.id
      $0.source = state.signer.source.rawValue
      $0.rootKeyPresent = state.signer.rootKeyFile != nil
      if let rotation = state.rotation { $0.rotation = Apus_V1_AuthorityRotation(rotation, state.blockers(seen)) }
      $0.deniedIdentities = revocations.identities.sorted()
      $0.deniedSerials = revocations.serials.keys.sorted()
      $0.crls = UInt32(revocations.crls.count)
      $0.workloads = seen.sorted { $0.name < $1.name }.map(Apus_V1_WorkloadTrust.init)
      $0.nowMs = clock.milliseconds
      $0.renewal = renewal
    }
  }

  package func issued(request: Apus_V1_IssuedRequest, context: ServerContext) async throws -> Apus_V1_IssuedResponse {
    let bundle = await authority.bundle
    var entries: [IssuedLog.Entry]
    do {
      entries = try issued.entries().reversed()
    } catch {
      throw RPCError(code: .failedPrecondition, message: "\(error)")
    }
    if !request.match.isEmpty {
      entries = entries.filter { entry in
        [entry.identity, entry.requester, entry.serial].contains { $0.contains(request.match) }
      }
    }
    if request.limit > 0 { entries = Array(entries.prefix(Int(request.limit))) }
    return .with {
      $0.certificates = entries.map { entry in
        Apus_V1_IssuedCertificate(
          entry,
          isRevoked: bundle.deniedSerials.contains(entry.serial) || bundle.deniedIdentities.contains(entry.identity))
      }
    }
  }
}

// MARK: - To and from the wire

extension AuthorityKeeper.Change {
  fileprivate init(_ message: Apus_V1_RevocationChange) {
    self.init()
    identities = message.identities
    serials = message.serials
    crls = message.crls
    clearsLists = message.allCrls
  }
}

extension Apus_V1_AuthorityCertificate {
  fileprivate init(_ certificate: Certificate) {
    self.init()
    subject = certificate.subject.description
    serial = certificate.serialText
    keyID = certificate.keyID
    notBefore = Int64(certificate.notValidBefore.timeIntervalSince1970)
    notAfter = Int64(certificate.notValidAfter.timeIntervalSince1970)
  }
}

extension Apus_V1_AuthorityRotation {
  fileprivate init(_ rotation: AuthorityState.Rotation, _ blocking: [String]) {
    self.init()
    root = rotation.isOfRoot
    phase = rotation.phase.rawValue
    from = rotation.from.id
    to = rotation.to.id
    startedMs = rotation.startedAt
    phaseSinceMs = rotation.phaseSince
    let isLast = rotation.phase == .retire || !rotation.isOfRoot
    paused = rotation.pauses && !rotation.isReleased && blocking.isEmpty && !isLast
    blockers = blocking
  }
}

extension Apus_V1_IssuerRenewal {
  init(_ standing: AuthorityKeeper.RenewalStanding) {
    self.init()
    signer = standing.signer
    if let time = standing.due { due = time }
    failures = UInt32(clamping: standing.trouble?.failures ?? 0)
    problem = standing.trouble?.text ?? ""
    failingSince = standing.trouble?.since ?? 0
    nextTry = standing.nextTry ?? 0
  }
}

extension Apus_V1_WorkloadTrust {
  fileprivate init(_ trust: WorkloadTrust) {
    self.init()
    name = trust.name
    connected = trust.isConnected
    trusts = trust.trusts
    holds = trust.holds
  }
}

extension Apus_V1_IssuedCertificate {
  fileprivate init(_ entry: IssuedLog.Entry, isRevoked: Bool) {
    self.init()
    serial = entry.serial
    identity = entry.identity
    requester = entry.requester
    signer = entry.issuer
    issuedAt = entry.issuedAt
    notAfter = entry.notAfter
    revoked = isRevoked
  }
}
