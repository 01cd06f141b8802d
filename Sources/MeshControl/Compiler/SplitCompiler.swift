import MeshCore
import MeshPolicy
import MeshResources

/// Finds the TrafficSplit of each service.
struct SplitCompiler {
  let table: ServiceTable
  private var splits: [ServiceName: [Located<TrafficSplit>]] = [:]
  private(set) var warnings: [ManifestProblem] = []

  init(_ snapshot: Snapshot, _ table: ServiceTable, _ routes: RouteAttachments) {
    self.table = table
    for located in snapshot.manifests.values {
      if case .trafficSplit(let split) = located.value { attach(Located(split, at: located.position)) }
    }
    warnAboutRivals(routes)
  }

  /// Nil when the service has no split.
  func rule(of port: ServicePort) -> RouteRule? {
    splits[port.service]?.first.map { rule(of: $0, port.port) }
  }

  private mutating func attach(_ split: Located<TrafficSplit>) {
    let root = ServiceName(name: split.value.service, namespace: split.value.metadata.namespace)
    guard let service = table.services[root] else {
      return warn(
        split, "spec.service", "there is no Service \(root.path), so the split has no effect",
        code: .splitWithoutService)
    }
    splits[root, default: []].append(split)
    if split.value.backends.allSatisfy({ $0.weight == 0 }) {
      warn(
        split, "spec.backends", "all weights are 0, so requests to \(root.path) are answered 503",
        fix: "give one of them a weight", code: .splitWeightsAreZero)
    }
    for (index, backend) in split.value.backends.enumerated() {
      let leaf = ServiceName(name: backend.service, namespace: root.namespace)
      let field = "spec.backends[\(index)].service"
      if table.services[leaf] == nil {
        warn(
          split, field, "there is no Service \(leaf.path) yet; it gets no requests", code: .splitBackendNotFound)
      } else {
        for port in service.ports where table.services[leaf]?.port(port.port) == nil {
          warn(
            split, field, "the Service \(leaf.path) has no port \(port.port); it gets no requests of that port",
            fix: "give it the port numbers of \(root.path)", code: .splitPortNotFound)
        }
      }
    }
  }

  /// The oldest split of a service holds, then the first by name. A route on every port leaves no split any traffic.
  private mutating func warnAboutRivals(_ routes: RouteAttachments) {
    for name in splits.keys.sorted() {
      let ordered = (splits[name] ?? []).sorted { RouteAge.of($0.value.metadata) < RouteAge.of($1.value.metadata) }
      splits[name] = ordered
      for loser in ordered.dropFirst() {
        warn(
          loser, "spec.service", "the split \(ordered[0].value.metadata.name) already splits \(name.path)",
          fix: "remove one of the two", code: .splitRival)
      }
      if let winner = ordered.first, let route = routes.producer(of: name) {
        warn(
          winner, "spec.service", "the \(route) takes requests for \(name.path) and goes before the split",
          fix: "put the weights into the route's backendRefs", code: .splitBehindRoute)
      }
    }
  }

  private func rule(of split: Located<TrafficSplit>, _ port: UInt16) -> RouteRule {
    let namespace = split.value.metadata.namespace
    let backends: [WeightedBackend] = split.value.backends.compactMap { backend in
      let leaf = ServiceName(name: backend.service, namespace: namespace)
      guard table.services[leaf]?.port(port) != nil else { return nil }
      return WeightedBackend(backend: ServicePort(service: leaf, port: port), weight: backend.weight)
    }
    return RouteRule(
      name: "trafficsplit/\(namespace)/\(split.value.metadata.name)", backends: backends,
      failureStatus: backends.contains { $0.weight > 0 } ? nil : 503)
  }

  private mutating func warn(
    _ split: Located<TrafficSplit>, _ field: String, _ message: String, fix: String = "", code: FindingCode
  ) {
    warnings.append(split.warning(field, message, fix: fix, key: Resource.trafficSplit(split.value).key, code: code))
  }
}
