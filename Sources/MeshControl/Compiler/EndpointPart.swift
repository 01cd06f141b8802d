import MeshCore
import MeshPolicy
import MeshResources

/// A registered workload that has come, changed or gone.
struct WorkloadChange {
  var old: RegisteredWorkload?
  var new: RegisteredWorkload?

  var both: [RegisteredWorkload] { [old, new].compactMap(\.self) }

  /// By name. What both lists begin and end with alike is not looked at twice: leases keep their order.
  static func between(_ old: [RegisteredWorkload], _ new: [RegisteredWorkload]) -> [String: WorkloadChange] {
    let shorter = min(old.count, new.count)
    var head = 0
    while head < shorter, old[head] == new[head] { head += 1 }
    var tail = 0
    while tail < shorter - head, old[old.count - 1 - tail] == new[new.count - 1 - tail] { tail += 1 }
    var changes: [String: WorkloadChange] = [:]
    for workload in old[head..<(old.count - tail)] { changes[workload.name, default: .init()].old = workload }
    for workload in new[head..<(new.count - tail)] { changes[workload.name, default: .init()].new = workload }
    return changes.filter { $0.value.old != $0.value.new }
  }
}

/// Registered workloads and EndpointSlices that changed, the services whose endpoints they are or were, and the workloads whose proxies
/// serve those.
struct EndpointPart {
  /// More workloads than that are compiled with the mesh as a whole.
  private static let workloadsAtMost = 256

  let workloads: [String: WorkloadChange]
  /// Of EndpointSlices.
  let slices: [ResourceKey]
  private(set) var services: Set<ServiceName> = []
  /// Those that are there now, by name.
  private(set) var concerned: [String: RegisteredWorkload] = [:]

  /// Told by their keys; what else there is of the mesh is as before.
  static func isOfSlicesAlone(_ changed: Set<ResourceKey>) -> Bool {
    !changed.isEmpty && changed.allSatisfy { $0.kind == "EndpointSlice" }
  }

  /// Nil where the change may concern more than that.
  init?(
    _ last: Compilation, _ snapshot: Snapshot, _ changed: Set<ResourceKey>, _ workloads: [String: WorkloadChange]
  ) {
    self.workloads = workloads
    slices = Array(changed)
    guard workloads.count <= Self.workloadsAtMost, changed.isEmpty || Self.isOfSlicesAlone(changed),
      last.table.workloads.last?.isRegistered != false, !last.table.hasSharedHosts, !last.limitsSilence
    else { return nil }
    guard noteSlices(last, snapshot), noteWorkloads(last, snapshot) else { return nil }
    let hasProxies = !concerned.isEmpty || !workloads.isEmpty
    // What these say of a proxy depends on more than its services.
    if hasProxies, !last.mesh.tokens.isEmpty || last.hasAccessObjects { return nil }
    guard services.allSatisfy({ keepsItsPlace($0, last.table) }) else { return nil }
  }

  // MARK: - What is concerned

  private mutating func noteSlices(_ last: Compilation, _ snapshot: Snapshot) -> Bool {
    var hosts: Set<SocketAddress> = []
    for key in slices {
      for located in [last.snapshot.manifests[key], snapshot.manifests[key]] {
        guard case .endpointSlice(let slice) = located?.value, let service = slice.service else { continue }
        let name = ServiceName(name: service, namespace: key.namespace)
        // Without its service it is only to be told of.
        guard last.table.services[name] != nil else { return false }
        services.insert(name)
        for endpoint in slice.endpoints { hosts.insert(endpoint.address.withPort(0)) }
      }
    }
    if hosts.isEmpty { return true }
    for workload in snapshot.workloads where hosts.contains(workload.address.withPort(0)) {
      concerned[workload.name] = workload
    }
    return true
  }

  private mutating func noteWorkloads(_ last: Compilation, _ snapshot: Snapshot) -> Bool {
    for (name, change) in workloads {
      concerned[name] = change.new
      if change.old?.labels != change.new?.labels || change.old?.service != change.new?.service {
        // Who says zone and region says of all others in the zone where they are.
        guard change.both.allSatisfy({ !Locality(labels: $0.labels).isWhole }) else { return false }
      }
    }
    let affected = workloads.values.flatMap(\.both) + concerned.values
    let hosts = Set(affected.map { $0.address.withPort(0) })
    // Of two with one address the first counts, and who that is depends on all.
    guard Set(concerned.values.map { $0.address.withPort(0) }).count == concerned.count,
      hosts.allSatisfy({ host in
        last.table.workloadsByHost[host].map { concerned[$0.name] != nil || workloads[$0.name] != nil } ?? true
      })
    else { return false }
    let members = affected.map { EffectiveWorkload($0) }
    if members.isEmpty { return true }
    for workload in members {
      guard let service = workload.service else { continue }
      let name = ServiceName(name: service, namespace: workload.namespace)
      // A service that no manifest describes comes with its first workload.
      if last.table.services[name] == nil, last.table.aliases[name] == nil { return false }
    }
    for service in last.table.services.values {
      let isServed = members.contains { workload in
        workload.namespace == service.name.namespace
          && (workload.service == service.name.name || service.isServed(by: workload))
      }
      if isServed
        || service.slices.contains(where: { $0.endpoints.contains { hosts.contains($0.address.withPort(0)) } })
      {
        services.insert(service.name)
      }
    }
    return true
  }

  /// Whether a service has the ports that it had, and no names of its endpoints.
  private func keepsItsPlace(_ name: ServiceName, _ table: ServiceTable) -> Bool {
    guard let service = table.services[name], !service.isHeadless else { return false }
    guard service.manifest == nil else { return true }
    let members = members(of: service)
    return !members.isEmpty && ServiceTable.implicitPorts(of: members) == service.ports
  }

  // MARK: - What it becomes

  /// The members of a service after the change, in the order of `WorkloadTable`.
  func members(of service: EffectiveService) -> [EffectiveWorkload] {
    var members = service.members.filter { workloads[$0.name] == nil }
    for change in workloads.values {
      guard let new = change.new, new.namespace == service.name.namespace else { continue }
      let workload = EffectiveWorkload(new)
      if service.isServed(by: workload) { members.append(workload) }
    }
    return members.sorted { $0.goesBefore($1) }
  }
}

extension Locality {
  /// Says both.
  fileprivate var isWhole: Bool { !zone.isEmpty && !region.isEmpty }
}
