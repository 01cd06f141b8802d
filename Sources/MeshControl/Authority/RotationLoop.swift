import Logging
import MeshCore
import MeshIdentity
import MeshPolicy

/// Lets a rotation go on as far as the proxies' reports allow, renews a generated issuer before it ends, and forgets revocations of
/// what has ended. One task.
struct RotationLoop: Sendable {
  /// While a rotation is under way, and otherwise.
  static let activePause: Duration = .milliseconds(200)
  static let idlePause: Duration = .seconds(1)

  let keeper: AuthorityKeeper
  let registry: WorkloadRegistry
  let hub: DiscoveryHub
  let clock: ControlClock
  let log: Logger

  func run() async throws {
    var complained = ""
    while true {
      try await Task.sleep(for: await keeper.state.rotation == nil ? Self.idlePause : Self.activePause)
      do {
        try await turn()
        complained = ""
      } catch is CancellationError {
        throw CancellationError()
      } catch {
        // A full disk stops the rotation and nothing else; each reason is told once.
        if "\(error)" != complained { log.error("the authority cannot go on", metadata: ["error": "\(error)"]) }
        complained = "\(error)"
      }
    }
  }

  private func turn() async throws {
    try await keeper.expireRevocations()
    if await keeper.state.rotation != nil {
      _ = try await keeper.advance(await Self.survey(keeper, registry, hub))
    } else if await keeper.isIssuerDue() {
      log.notice("the issuer has used two thirds of its life: renewing it")
      try await keeper.rotate(.newIssuer, pauses: false)
    }
  }

  /// What every workload of the mesh uses now. Those of an earlier controller's life that have not come back count.
  static func survey(
    _ keeper: AuthorityKeeper, _ registry: WorkloadRegistry, _ hub: DiscoveryHub
  ) async -> TrustSurvey {
    let news = await keeper.news
    let (bundle, hash) = (news.bundle, news.bundle.contentHash)
    let leases = await registry.workloads
    let statuses = await hub.statuses
    let workloads = leases.map { lease in
      let status = statuses[lease.name]
      let isConnected = status?.connected ?? false
      let identity = isConnected ? status?.identity : nil
      return WorkloadTrust(
        name: lease.name, isConnected: isConnected, trusts: identity?.trustHash == hash,
        holds: identity?.signer == bundle.signer)
    }
    return TrustSurvey(workloads, number: news.number)
  }
}
