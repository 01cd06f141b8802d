import MeshCore
import MeshPolicy
import MeshResources

extension ServiceTable {
  /// The same with other workloads and slices.
  mutating func replace(_ part: EndpointPart, _ snapshot: Snapshot) {
    replaceWorkloads(part)
    for name in part.services {
      guard var service = services.removeValue(forKey: name) else { continue }
      service.members = part.members(of: service).map { workload in
        var workload = workload
        workload.locality = locality(of: workload.labels)
        return workload
      }
      replaceSlices(of: &service, part, snapshot)
      services[name] = service
      let meant = service.manifest == nil ? [] : workloads(of: name.namespace)
      let warnings = meant.filter { !service.isServed(by: $0) }.compactMap { service.selectorWarning(of: $0) }
      selectorWarnings[name] = warnings.isEmpty ? nil : warnings
    }
  }

  private mutating func replaceWorkloads(_ part: EndpointPart) {
    for change in part.workloads.values {
      for old in change.both { workloadsByHost[old.address.withPort(0)] = nil }
    }
    if !part.workloads.isEmpty { workloads.removeAll { part.workloads[$0.name] != nil } }
    for new in part.workloads.values.compactMap(\.new) {
      var workload = EffectiveWorkload(new)
      workload.locality = locality(of: workload.labels)
      workloadsByHost[workload.address.withPort(0)] = workload
      workloads.insert(workload, at: place(of: workload))
    }
  }

  /// By bisection: the list is ordered.
  private func place(of workload: EffectiveWorkload) -> Int {
    var (low, high) = (0, workloads.count)
    while low < high {
      let middle = (low + high) / 2
      if workloads[middle].goesBefore(workload) { low = middle + 1 } else { high = middle }
    }
    return low
  }

  private func workloads(of namespace: String) -> [EffectiveWorkload] {
    workloads.filter { $0.namespace == namespace }
  }

  private func replaceSlices(of service: inout EffectiveService, _ part: EndpointPart, _ snapshot: Snapshot) {
    let keys = part.slices.filter { $0.namespace == service.name.namespace }
    if keys.isEmpty { return }
    let names = Set(keys.map(\.name))
    service.slices.removeAll { names.contains($0.metadata.name) }
    for key in keys {
      guard case .endpointSlice(let slice) = snapshot.manifests[key]?.value, slice.service == service.name.name else {
        continue
      }
      service.slices.append(slice)
    }
    service.slices.sort { $0.metadata.name < $1.metadata.name }
  }
}

extension Compilation {
  /// Finds the endpoints of the part's services anew, and what their workloads' proxies serve.
  mutating func replace(_ part: EndpointPart, _ snapshot: Snapshot, _ now: Int64) -> CompiledDifference {
    table.replace(part, snapshot)
    let warnings = (endpointWarnings.filter { part.services.contains($0.key) }, accountWarnings, meshTLS.warnings)
    if !part.workloads.isEmpty { replaceWhatCountsWorkloads(snapshot, now) }
    var difference = CompiledDifference(changed: [], removed: [])
    var endpoints = EndpointCompiler(table: table, meshTLS: meshTLS)
    var policies: [ServicePort: EffectivePolicy] = [:]
    for name in part.services.sorted() {
      replaceEndpoints(of: name, &endpoints, &policies, &difference)
    }
    replaceWorkloads(part, endpoints, policies, &difference)
    for index in mesh.rollouts.indices { mesh.rollouts[index].count(mesh.endpoints) }
    self.snapshot = snapshot
    let new = (endpointWarnings.filter { part.services.contains($0.key) }, accountWarnings, meshTLS.warnings)
    if new != warnings { mesh.warnings = orderedWarnings() }
    difference.changed.sort()
    difference.removed.sort()
    return difference
  }

  private mutating func replaceEndpoints(
    of name: ServiceName, _ endpoints: inout EndpointCompiler, _ policies: inout [ServicePort: EffectivePolicy],
    _ difference: inout CompiledDifference
  ) {
    guard let service = table.services[name] else { return }
    var warnings: [ManifestProblem] = []
    for port in service.ports {
      let key = ServicePort(service: name, port: port.port)
      let policy = attachments.table.effective(for: key)
      var set = endpoints.endpoints(of: service, port)
      // Neither depends on the endpoints.
      set.policy = mesh.endpoints[key]?.policy ?? policy.backend
      set.tls = mesh.endpoints[key]?.tls
      mesh.unready[key] = endpoints.unready[key]
      policies[key] = policy
      warnings += PolicyWarnings.ofLimits(policy, set)
      guard mesh.endpoints.updateValue(set, forKey: key) != set else { continue }
      mesh.hashes[.endpoints(key)] = ContentHash(of: set)
      difference.changed.append(.endpoints(key))
    }
    warnings += (endpoints.warnings[name] ?? []) + (table.selectorWarnings[name] ?? [])
    endpointWarnings[name] = warnings.isEmpty ? nil : warnings
  }

  private mutating func replaceWorkloads(
    _ part: EndpointPart, _ endpoints: EndpointCompiler, _ policies: [ServicePort: EffectivePolicy],
    _ difference: inout CompiledDifference
  ) {
    // No limit on silence is part of a change that comes here.
    let patience = StreamPatience(CompiledMesh.empty)
    for (name, workload) in part.concerned.sorted(by: { $0.key < $1.key }) {
      authorizations.note(endpoints.servicePorts[name] ?? [:], of: name)
      var config: WorkloadConfig? = WorkloadConfig(workload, endpoints.inbound[name] ?? [:], policies, patience)
      config?.locality = table.locality(of: workload.labels)
      config?.secure(EffectiveWorkload(workload), meshTLS, egress)
      if authorizations.saysAnything { authorizations.authorize(&config) }
      guard let config, mesh.workloads.updateValue(config, forKey: name) != config else { continue }
      mesh.hashes[.workload(name)] = ContentHash(of: config)
      difference.changed.append(.workload(name))
    }
    for (name, change) in part.workloads {
      accountWarnings[name] = change.new.flatMap { accounts.warning(of: $0) }
      guard change.new == nil else { continue }
      authorizations.note([:], of: name)
      mesh.workloads[name] = nil
      mesh.hashes[.workload(name)] = nil
      difference.removed.append(.workload(name))
    }
  }

  /// What people are told of the number of workloads, and which namespaces there are.
  private mutating func replaceWhatCountsWorkloads(_ snapshot: Snapshot, _ now: Int64) {
    meshTLS = MeshTLSTable(snapshot, table.workloads)
    mesh.meshTLS = MeshTLSWords(table, meshTLS)
    mesh.namespaces = snapshot.namespaces
    let new = meshTLS.statuses(snapshot) + EgressTable(snapshot).statuses(snapshot)
    if new.isEmpty { return }
    let keys = Set(new.map(\.key))
    let old = mesh.policyStatuses.filter { keys.contains($0.key) }
    mesh.policyStatuses.removeAll { keys.contains($0.key) }
    mesh.policyStatuses += new.dated(after: old, now: now)
    mesh.policyStatuses.sort { $0.key < $1.key }
  }
}

extension CompiledRollout {
  /// How many endpoints its versions have.
  mutating func count(_ endpoints: [ServicePort: EndpointSet]) {
    stableEndpoints = stablePorts.map { endpoints[$0]?.endpoints.count ?? 0 }.min() ?? 0
    canaryEndpoints = canaryPorts.map { endpoints[$0]?.endpoints.count ?? 0 }.min() ?? 0
  }
}
