package import GRPCCore
package import MeshAPI
import MeshControlAPI
import MeshCore
package import MeshIdentity
import SwiftProtobuf
import X509

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The Admin service of the Unix socket. Who can open the socket is the mesh's owner.
package struct AdminService: Apus_V1_Admin.SimpleServiceProtocol {
  /// What every registration is told.
  package struct Facts: Sendable {
    package var version: String
    package var controller: String
    package var trustDomain: String
    package var authority: AuthorityHolder
    package var manifestDirectory: String
    package var started: Int64

    var trustAnchorsPEM: String { authority.current.trustBundlePEM }
    /// 0: the root signs workloads' certificates itself.
    var issuerNotAfter: Int64 {
      authority.current.issuer.chain.map { Int64($0.notValidAfter.timeIntervalSince1970) }.min() ?? 0
    }
    var rootNotAfter: Int64 { Int64(authority.current.root.notValidAfter.timeIntervalSince1970) }
  }

  let facts: Facts
  let registry: WorkloadRegistry
  let joinTokens: JoinTokenStore
  let hub: DiscoveryHub
  let state: MeshState
  let rollouts: RolloutController
  let authority: AuthorityKeeper
  let issued: IssuedLog
  let clock: ControlClock

  package init(
    facts: Facts, registry: WorkloadRegistry, joinTokens: JoinTokenStore, hub: DiscoveryHub, state: MeshState,
    rollouts: RolloutController, authority: AuthorityKeeper, issued: IssuedLog, clock: ControlClock = .system
  ) {
    self.authority = authority
    self.issued = issued
    self.clock = clock
    self.facts = facts
    self.registry = registry
    self.joinTokens = joinTokens
    self.hub = hub
    self.state = state
    self.rollouts = rollouts
  }

  // MARK: - Register

  /// Holds the lease while the stream is open: its end, by the death of the process too, releases it at once.
  package func register(
    request: RPCAsyncSequence<Apus_V1_RegisterRequest, any Error>, response: RPCWriter<Apus_V1_RegisterResponse>,
    context: ServerContext
  ) async throws {
    var requests = request.makeAsyncIterator()
    guard case .register(let registration)? = try await requests.next()?.kind else {
      throw RPCError(code: .invalidArgument, message: "the first message must be register")
    }
    let grant: WorkloadRegistry.Grant
    do throws(RegistryError) {
      grant = try await registry.register(try WorkloadRequest(registration))
    } catch {
      throw RPCError(code: error.code, message: error.description)
    }
    try await hold(grant, &requests, response)
  }

  func answer(to grant: WorkloadRegistry.Grant) -> Apus_V1_RegisterResponse {
    .with {
      $0.workload = grant.lease.name
      $0.address = grant.lease.address.host
      $0.joinToken = grant.token.text
      $0.controller = facts.controller
      $0.trustAnchorsPem = facts.trustAnchorsPEM
      $0.trustDomain = facts.trustDomain
      $0.identity = grant.lease.identity.description
      $0.leaseSeconds = WorkloadLeases.duration.nanoseconds / 1_000_000_000
    }
  }

  // MARK: - Status

  package func status(request: Apus_V1_StatusRequest, context: ServerContext) async throws -> Apus_V1_StatusResponse {
    let compiled = await state.compiled
    let problems = await state.manifests.problems + compiled.warnings
    let statuses = await hub.statuses
    let leases = await registry.workloads
    let configTime = await state.configTime
    let isImported = await authority.state.signer.source != .generated
    let renewal = Apus_V1_IssuerRenewal(await authority.renewalStanding)
    return .with {
      $0.version = facts.version
      $0.trustDomain = facts.trustDomain
      $0.manifestDirectory = facts.manifestDirectory
      $0.configTimeMs = configTime
      $0.rootNotAfter = facts.rootNotAfter
      $0.startedMs = facts.started
      $0.issuerNotAfter = facts.issuerNotAfter
      $0.issuerMadeElsewhere = isImported
      $0.issuerRenewal = renewal
      $0.workloads = leases.map { Apus_V1_WorkloadStatus($0, statuses[$0.name] ?? ProxyStatus()) }
      $0.services = compiled.serviceStatuses
      $0.errors = problems.map(Apus_V1_ManifestError.init)
    }
  }
}

// MARK: - Routes and policies

extension AdminService {
  package func routes(request: Apus_V1_RoutesRequest, context: ServerContext) async throws -> Apus_V1_RoutesResponse {
    let mesh = await state.compiled
    let states = await rollouts.states
    let plans = Dictionary(mesh.rollouts.map { ($0.key, $0) }) { first, _ in first }
    let policies = mesh.policyStatuses.map { status in
      status.at(clock.milliseconds).with(plans[status.key], states[CompiledRollout.name(of: status.key)])
    }
    return Apus_V1_RoutesResponse(mesh.routes, policies, matching: request)
  }

  package func faults(request: Apus_V1_FaultsRequest, context: ServerContext) async throws -> Apus_V1_FaultsResponse {
    do {
      switch request.action {
      case .stop: try await state.setFaults(stopped: true)
      case .start: try await state.setFaults(stopped: false)
      case .unspecified, .UNRECOGNIZED: break
      }
    } catch {
      throw RPCError(code: .internalError, message: "\(error)")
    }
    let isStopped = await state.areFaultsStopped
    return .with { $0.stopped = isStopped }
  }
}

extension RegistryError {
  var code: RPCError.Code {
    switch self {
    case .invalid: .invalidArgument
    case .nameTaken: .alreadyExists
    case .wrongToken: .permissionDenied
    case .unknownClaim, .unknownJoinToken: .failedPrecondition
    // The caller tries again: room may come back.
    case .addressesExhausted, .tooManyWorkloads, .storage: .resourceExhausted
    }
  }
}
