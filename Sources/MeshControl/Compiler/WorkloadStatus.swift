import MeshCore
import MeshPolicy
import MeshResources

// What `status` of a Workload would say.
extension RouteStatus {
  /// Of every Workload object: those in force, and those that were refused and have no earlier version.
  static func workloads(_ snapshot: Snapshot, _ mesh: CompiledMesh) -> [RouteStatus] {
    let errors = Dictionary(
      grouping: snapshot.problems.filter { $0.severity == .error && $0.key != nil }, by: \.key)
    let served = servedPorts(snapshot, mesh)
    var statuses = snapshot.manifests.compactMap { key, located -> RouteStatus? in
      guard case .workload(let workload) = located.value else { return nil }
      var status = RouteStatus(located)
      status.conditions = [
        accepted(served[workload.address] ?? []), ready(workload), meshed(workload, snapshot.trustDomain),
      ]
      status.conditions += partiallyInvalid((errors[key] ?? []).filter(\.stale))
      return status
    }
    for (key, located) in snapshot.rejected {
      guard case .workload = located.value else { continue }
      var status = RouteStatus(located)
      status.conditions = [refused(errors[key] ?? [])]
      statuses.append(status)
    }
    return statuses
  }

  /// The service ports behind which each Workload's host stands, ready or not.
  private static func servedPorts(_ snapshot: Snapshot, _ mesh: CompiledMesh) -> [SocketAddress: [ServicePort]] {
    var ports: [SocketAddress: [ServicePort]] = [:]
    for case .workload(let workload) in snapshot.manifests.values.map(\.value) { ports[workload.address] = [] }
    // Meshes of thousands of services mostly have no such object.
    if ports.isEmpty { return [:] }
    for (port, set) in mesh.endpoints.sorted(by: { $0.key < $1.key }) {
      for endpoint in set.endpoints + (mesh.unready[port] ?? []) {
        let host = endpoint.address.withPort(0)
        if ports[host]?.contains(port) == false { ports[host]?.append(port) }
      }
    }
    return ports
  }

  private static func accepted(_ ports: [ServicePort]) -> RouteCondition {
    let message =
      ports.isEmpty
      ? "no Service selects it, so it gets no requests"
      : "an endpoint of " + ports.map(\.description).joined(separator: ", ")
    return RouteCondition(kind: .accepted, isTrue: true, reason: "Accepted", message: message)
  }

  private static func ready(_ workload: Workload) -> RouteCondition {
    guard workload.ready else {
      return RouteCondition(
        kind: .ready, isTrue: false, reason: "Reported", message: "spec.ready is false: it gets no requests")
    }
    guard let check = workload.healthCheck else {
      return RouteCondition(
        kind: .ready, isTrue: true, reason: "Reported",
        message: "nothing else is said; clients' proxies leave it out while its requests fail")
    }
    return RouteCondition(
      kind: .ready, isTrue: true, reason: "Checked",
      message: "each client's proxy asks it itself: \(PolicySetting.healthCheck(check).text)")
  }

  private static func meshed(_ workload: Workload, _ trustDomain: String) -> RouteCondition {
    guard let account = workload.serviceAccount else {
      return RouteCondition(
        kind: .meshed, isTrue: false, reason: "Plaintext",
        message: "no serviceAccount, so no proxy is beside it: it is spoken to in plaintext and proves no identity")
    }
    let identity = SPIFFEID(
      trustDomain: trustDomain, namespace: workload.metadata.namespace, serviceAccount: account)
    return RouteCondition(
      kind: .meshed, isTrue: true, reason: "MutualTLS",
      message: "the proxy beside it is spoken to on port 15008 and has to prove to be \(identity)")
  }
}
