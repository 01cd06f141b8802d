package import GRPCCore
package import Logging
package import MeshAPI
import MeshControlAPI
import MeshCore
import Synchronization

/// The Join service of the TLS port: registrations of programs that cannot open the control socket. Whoever can reach the port can
/// call it, so a proof comes with the first message, which has `firstMessageTimeout` to arrive.
package struct JoinService: Apus_V1_Join.SimpleServiceProtocol {
  package static let firstMessageTimeout: Duration = .seconds(5)

  private let registrations: AdminService
  private let joinTokens: any WorkloadAttestor
  private let log: RefusalLog

  package init(registrations: AdminService, joinTokens: any WorkloadAttestor, clock: ControlClock, log: Logger) {
    self.registrations = registrations
    self.joinTokens = joinTokens
    self.log = RefusalLog(log: log, clock: clock)
  }

  private var registry: WorkloadRegistry { registrations.registry }

  package func register(
    request: RPCAsyncSequence<Apus_V1_RegisterRequest, any Error>, response: RPCWriter<Apus_V1_RegisterResponse>,
    context: ServerContext
  ) async throws {
    let arrived = Arrival()
    try await withThrowingTaskGroup(of: Bool.self) { group in
      group.addTask {
        var requests = request.makeAsyncIterator()
        guard case .register(let registration)? = try await requests.next()?.kind else {
          throw RPCError(code: .invalidArgument, message: "the first message must be register")
        }
        arrived.set()
        let grant = try await admit(registration, peer: context.remotePeer)
        try await registrations.hold(grant, &requests, response)
        return true
      }
      group.addTask {
        try await Task.sleep(for: Self.firstMessageTimeout)
        guard arrived.isSet else { throw silent(context.remotePeer) }
        return false
      }
      defer { group.cancelAll() }
      while let isOver = try await group.next(), !isOver {}
    }
  }

  private func silent(_ peer: String) -> RPCError {
    registry.metrics.count(.joinRefusals, "silent")
    log.warning("join refused", metadata: ["reason": "silent", "peer": "\(peer)"])
    return RPCError(code: .deadlineExceeded, message: "no registration in \(Self.firstMessageTimeout)")
  }

  private func admit(_ message: Apus_V1_WorkloadRegistration, peer: String) async throws -> WorkloadRegistry.Grant {
    do {
      let request = try WorkloadRequest(message)
      return request.claim == nil ? try await join(request, message.evidence) : try await rejoin(request)
    } catch let refusal as AttestationRefusal {
      throw refused(refusal.reason, refusal.code, "\(refusal)", message, peer)
    } catch let error as RegistryError {
      throw refused(error.reason, error.code, "\(error)", message, peer)
    }
  }

  private func join(_ request: WorkloadRequest, _ evidence: Apus_V1_Evidence) async throws -> WorkloadRegistry.Grant {
    // One case for each attestor: what this controller does not know is no proof.
    guard case .joinToken(let proof)? = evidence.kind else { throw AttestationRefusal.malformed }
    let attestation = try await joinTokens.attest(proof, for: request)
    do {
      let grant = try await registry.register(attestation.request, joinedBy: attestation.source)
      registry.metrics.count(.joins, joinTokens.name)
      return grant
    } catch {
      await joinTokens.restore(attestation)
      throw error
    }
  }

  /// After a loss of the controller or of the connection: the credential of the first registration proves the claim.
  private func rejoin(_ request: WorkloadRequest) async throws -> WorkloadRegistry.Grant {
    guard let name = request.name, let source = await registry.source(of: name) else {
      throw RegistryError.unknownClaim(request.name ?? "")
    }
    let attestation = try await joinTokens.confirm(source, for: request)
    return try await registry.register(attestation.request, joinedBy: source)
  }

  private func refused(
    _ reason: String, _ code: RPCError.Code, _ text: String, _ message: Apus_V1_WorkloadRegistration, _ peer: String
  ) -> RPCError {
    registry.metrics.count(.joinRefusals, reason)
    log.warning(
      "join refused",
      metadata: [
        "reason": "\(reason)", "detail": "\(text)", "peer": "\(peer)",
        "serviceAccount": "\(message.namespace.prefix(63))/\(message.serviceAccount.prefix(63))",
      ])
    return RPCError(code: code, message: text)
  }
}

/// Whether the first message has come: set by the task that reads, read by the one that waits.
private final class Arrival: Sendable {
  private let flag = Mutex(false)
  func set() { flag.withLock { $0 = true } }
  var isSet: Bool { flag.withLock { $0 } }
}

extension AttestationRefusal {
  fileprivate var code: RPCError.Code {
    switch self {
    case .malformed, .unknown, .replayed, .expired, .revoked: .permissionDenied
    case .wrongField: .permissionDenied
    // The caller tries again: room may come back.
    case .tooManyWorkloads, .storage: .resourceExhausted
    }
  }
}

extension RegistryError {
  /// The `reason` of the metric.
  fileprivate var reason: String {
    switch self {
    case .invalid: "malformed"
    case .nameTaken, .wrongToken, .unknownClaim, .unknownJoinToken: "wrong_claim"
    case .addressesExhausted, .tooManyWorkloads: "too_many_workloads"
    case .storage: "storage"
    }
  }
}
