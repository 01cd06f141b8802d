package import Logging
import MeshAPI
package import MeshCore
package import MeshPolicy
import MeshResources

/// The control plane's picture of the mesh: manifests and living workloads in, compiled configuration out to the hub.
package actor MeshState {
  /// Registrations and leases that change within this time of each other are compiled once. Manifests were gathered by
  /// `ManifestDirectory` already.
  package static let debounce: Duration = .milliseconds(20)

  package private(set) var manifests = ManifestSet()
  package var compiled: CompiledMesh { compiler.mesh }
  /// Unix milliseconds at which the present configuration came into force.
  package private(set) var configTime: Int64

  private let registry: WorkloadRegistry
  private let hub: DiscoveryHub
  private let trustDomain: String
  private let clock: ControlClock
  private let log: Logger
  private var snapshot: DistributionSnapshot
  private var faultSwitch: FaultSwitch
  private let sessionKey: SipKey
  private var compiler = IncrementalCompiler()
  /// Manifests that may be other than when they were compiled last; nil: any may be.
  private var changed: Set<ResourceKey>?
  /// Of the manifests, as their directory counts.
  private var manifestNumber: UInt64 = 0
  private let rollouts: RolloutController
  private var trustNumber: UInt64 = 0
  /// The newest that was seen: two compilations may ask for them at a time.
  private var shares = RolloutShares()

  package init(
    registry: WorkloadRegistry, hub: DiscoveryHub, trust: TrustBundle, faultSwitch: FaultSwitch,
    rollouts: RolloutController, sessionKey: SipKey,
    clock: ControlClock = .system, log: Logger
  ) {
    self.registry = registry
    self.hub = hub
    self.clock = clock
    self.log = log
    self.faultSwitch = faultSwitch
    self.rollouts = rollouts
    self.sessionKey = sessionKey
    trustDomain = trust.trustDomain
    configTime = clock.milliseconds
    snapshot = DistributionSnapshot(configTime: configTime)
    snapshot.set(.trust(trust), hash: trust.contentHash)
  }

  /// Follows the manifest directory and the registry until cancelled.
  package func run(_ directory: ManifestDirectory) async {
    let (wakes, wake) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
    await withTaskGroup(of: Void.self) { group in
      group.addTask {
        for await update in directory.changes() {
          await self.replace(update)
          wake.yield()
        }
      }
      group.addTask {
        for await _ in self.registry.changes {
          try? await Task.sleep(for: Self.debounce)
          wake.yield()
        }
      }
      group.addTask {
        for await _ in wakes { await self.compile() }
      }
    }
  }

  private func replace(_ update: ManifestUpdate) {
    var pending = changed
    // Of a state that was not seen nobody knows what changed with it.
    if let further = update.changed, update.number == manifestNumber + 1 {
      pending?.formUnion(further)
    } else {
      pending = nil
    }
    manifestNumber = update.number
    replace(update.set)
    changed = pending
  }

  package func replace(_ manifests: ManifestSet) {
    changed = nil
    let known = Set(self.manifests.problems)
    self.manifests = manifests
    for problem in manifests.problems where !known.contains(problem) {
      log.log(level: problem.severity == .error ? .error : .warning, "\(problem)")
    }
  }

  /// All that is known now.
  package func input() async -> Snapshot {
    await learnShares()
    return input(await registry.workloads)
  }

  private func learnShares() async {
    let newest = await rollouts.shares
    if newest.number > shares.number { shares = newest }
  }

  private func input(_ leases: [WorkloadLease]) -> Snapshot {
    var input = Snapshot(
      manifests: manifests.objects, workloads: leases.map(RegisteredWorkload.init), trustDomain: trustDomain,
      rejected: manifests.rejected, problems: manifests.problems)
    input.sessionKey = sessionKey
    input.areFaultsStopped = faultSwitch.isStopped
    input.rollouts = shares.byPolicy
    return input
  }

  package var areFaultsStopped: Bool { faultSwitch.isStopped }

  /// The mesh's switch for all faults; the proxies know when it returns, as far as they are connected. A stop that could not be
  /// stored is in force all the same.
  package func setFaults(stopped: Bool) async throws {
    log.notice("faults \(stopped ? "stopped" : "started") for the whole mesh")
    let result = Result { stopped ? try faultSwitch.stop() : try faultSwitch.start() }
    await compile()
    try result.get()
  }

  /// Hands out another trust bundle. Of two that come at a time the newer one stays.
  package func setTrust(_ trust: TrustBundle, number: UInt64) async {
    guard number > trustNumber else { return }
    trustNumber = number
    configTime = clock.milliseconds
    snapshot.configTime = configTime
    snapshot.set(.trust(trust), hash: trust.contentHash)
    await hub.publish(snapshot)
  }

  /// Compiles what is known now and hands it to the hub. Streams are woken even when nothing changed: a lease may have
  /// ended.
  package func compile() async {
    let leases = await registry.workloads
    await learnShares()
    let difference = compiler.compile(input(leases), changed: changed, now: clock.milliseconds)
    changed = []
    if !difference.isEmpty {
      configTime = clock.milliseconds
      log.info(
        "configuration compiled",
        metadata: ["changed": "\(difference.changed.count)", "removed": "\(difference.removed.count)"])
    }
    snapshot.configTime = configTime
    snapshot.apply(compiler.mesh, difference)
    await hub.publish(snapshot)
    await hub.retain(workloads: Set(leases.map(\.name)))
    // After the proxies have it: they need not wait for the disk.
    await registry.save()
  }
}

extension RegisteredWorkload {
  init(_ lease: WorkloadLease) {
    self.init(
      name: lease.name, namespace: lease.request.namespace, service: lease.request.service,
      serviceAccount: lease.request.serviceAccount, address: lease.address, ports: lease.request.ports,
      labels: lease.request.labels, ready: lease.ready && !lease.draining, identity: lease.identity)
  }
}
