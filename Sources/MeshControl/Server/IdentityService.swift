package import GRPCCore
package import Logging
package import MeshAPI
import MeshControlAPI
package import MeshCore
package import MeshIdentity
import SwiftASN1
import SwiftProtobuf
import X509

#if canImport(FoundationEssentials)
package import FoundationEssentials
#else
package import Foundation
#endif

/// The Identity service: token -> identity -> signed certificate.
package actor IdentityService: Apus_V1_Identity.ServiceProtocol {
  /// Certificates one workload may ask for at once, and how fast it gains new tries. Renewal needs one in hours; a proxy in a
  /// restart loop needs a few in seconds.
  package static let burst = 20
  package static let refill: TimeSpan = .seconds(1)

  private struct Bucket {
    var tries = IdentityService.burst
    var filled: Instant
  }

  private let authority: AuthorityKeeper
  private let issued: IssuedLog
  private let registry: WorkloadRegistry
  private let hub: DiscoveryHub
  private let lifetime: TimeInterval
  private let clock: ControlClock
  private let log: Logger
  private var buckets: [String: Bucket] = [:]

  package init(
    authority: AuthorityKeeper, issued: IssuedLog, registry: WorkloadRegistry, hub: DiscoveryHub,
    lifetime: TimeInterval,
    clock: ControlClock = .system, log: Logger
  ) {
    self.authority = authority
    self.issued = issued
    self.registry = registry
    self.hub = hub
    self.lifetime = lifetime
    self.clock = clock
    self.log = log
  }

  package func certify(
    request: ServerRequest<Apus_V1_CertifyRequest>, context: ServerContext
  ) async throws -> ServerResponse<Apus_V1_CertifyResponse> {
    let caller = try await registry.caller(of: request.metadata)
    guard takeTry(of: caller.name) else {
      registry.metrics.count(.certificateRefusals, "too_many")
      throw RPCError(
        code: .resourceExhausted, message: "more than \(Self.burst) certificate requests at once; try again in seconds")
    }
    let (certificate, signer): (IssuedCertificate, CertificateAuthority)
    do {
      guard await !authority.isDenied(caller.identity) else { throw IdentityError.denied(caller.identity.description) }
      signer = authority.holder.current
      certificate = try signer.issue(
        csrDER: try Self.der(request.message.csrPem), for: caller.identity, lifetime: lifetime, now: clock.wall())
    } catch let error as IdentityError {
      registry.metrics.count(.certificateRefusals, error.reason)
      log.warning("certificate refused", metadata: ["workload": "\(caller.name)", "reason": "\(error)"])
      throw RPCError(code: error.code, message: error.description)
    }
    let notAfter = Int64(certificate.notAfter.timeIntervalSince1970)
    await hub.recordCertificate(of: caller.name, notAfter: notAfter)
    registry.metrics.count(.certificates, "workload")
    record(certificate, of: caller, by: signer.issuer.id)
    return ServerResponse(
      message: .with {
        $0.certificateChainPem = certificate.chainPEM
        $0.trustAnchorsPem = signer.trustBundlePEM
        $0.notAfter = notAfter
        $0.notBefore = Int64(certificate.notBefore.timeIntervalSince1970)
        $0.serial = certificate.certificate.serialText
        $0.signer = signer.issuer.id
        $0.issuerNotAfter = Int64(signer.issuer.notAfter.timeIntervalSince1970)
        $0.rootNotAfter = Int64(signer.root.notValidAfter.timeIntervalSince1970)
      })
  }

  /// A log that cannot be written, as on a full disk, keeps nobody out of the mesh.
  private func record(_ certificate: IssuedCertificate, of caller: AuthenticatedWorkload, by signer: String) {
    let entry = IssuedLog.Entry(
      serial: certificate.certificate.serialText, identity: caller.identity.description, requester: caller.name,
      issuer: signer, issuedAt: clock.milliseconds / 1000,
      notAfter: Int64(certificate.notAfter.timeIntervalSince1970))
    log.info(
      "certificate issued",
      metadata: ["workload": "\(caller.name)", "identity": "\(caller.identity)", "serial": "\(entry.serial)"])
    do {
      try issued.append(entry)
    } catch {
      log.error("the log of issued certificates cannot be written", metadata: ["error": "\(error)"])
    }
  }

  private static func der(_ pem: String) throws(IdentityError) -> [UInt8] {
    guard pem.utf8.count <= 32_768 else { throw .malformedRequest("\(pem.utf8.count) bytes") }
    guard let document = try? PEMDocument(pemString: pem), document.discriminator.hasSuffix("CERTIFICATE REQUEST")
    else { throw .malformedRequest("not a PKCS #10 request in PEM") }
    return document.derBytes
  }

  /// Token bucket; a full one is forgotten, so only recent callers take memory.
  private func takeTry(of workload: String) -> Bool {
    let now = clock.monotonic()
    buckets = buckets.filter { now - $0.value.filled < TimeSpan(nanoseconds: Self.refill.nanoseconds * 20) }
    var bucket = buckets[workload] ?? Bucket(filled: now)
    let gained = (now - bucket.filled).nanoseconds / Self.refill.nanoseconds
    bucket.tries = min(Self.burst, bucket.tries + Int(gained))
    bucket.filled = bucket.filled + TimeSpan(nanoseconds: gained * Self.refill.nanoseconds)
    let allowed = bucket.tries > 0
    if allowed { bucket.tries -= 1 }
    buckets[workload] = bucket
    return allowed
  }
}

extension IdentityError {
  /// The `reason` of the metric.
  fileprivate var reason: String {
    switch self {
    case .malformedRequest: "malformed"
    case .proofOfPossessionFailed: "proof_of_possession"
    case .weakKey: "weak_key"
    case .identityMismatch: "identity_mismatch"
    case .authorityRequested: "authority_requested"
    case .denied: "denied"
    default: "authority_unusable"
    }
  }

  fileprivate var code: RPCError.Code {
    switch self {
    case .malformedRequest: .invalidArgument
    case .proofOfPossessionFailed, .weakKey, .identityMismatch, .authorityRequested, .denied: .permissionDenied
    default: .failedPrecondition
    }
  }
}
