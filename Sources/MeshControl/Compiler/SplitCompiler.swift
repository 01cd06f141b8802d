import MeshCore
import MeshPolicy
import MeshResources

/// Finds the TrafficSplits of each service, and what they make of its ports.
///
/// A request follows the first split that applies to it: those with `matches` go before those without, then the older, then the
/// first by name. What no split applies to goes to the service itself. A leaf is used as a backend: splits of its own are not
/// looked at.
struct SplitCompiler {
  /// A split with what it names.
  struct Split {
    var value: TrafficSplit
    var key: ResourceKey
    var position: ManifestPosition
    var root: ServiceName
    /// Those of `matches` that exist.
    var groups: [HTTPRouteGroup] = []
    /// Ports of the root that follow it.
    var ports: [UInt16] = []
    /// Why there are none.
    var failure: RouteFinding?
    var findings: [RouteFinding] = []

    var goesByMatches: Bool { !value.matches.isEmpty }
  }

  private let table: ServiceTable
  /// Ordered by key.
  private(set) var splits: [Split] = []
  /// Indices, in the order in which they are tried.
  private var byRoot: [ServiceName: [Int]] = [:]

  init(_ snapshot: Snapshot, _ table: ServiceTable, _ routes: RouteAttachments) {
    self.table = table
    var groups: [ResourceKey: HTTPRouteGroup] = [:]
    for (key, located) in snapshot.manifests {
      switch located.value {
      case .trafficSplit(let split):
        let root = ServiceName(name: split.service, namespace: key.namespace)
        splits.append(Split(value: split, key: key, position: located.position, root: root))
      case .httpRouteGroup(let group): groups[key] = group
      default: continue
      }
    }
    splits.sort { $0.key < $1.key }
    for index in splits.indices {
      findGroups(index, groups)
      if let service = table.services[splits[index].root] { bind(index, service, routes) } else { missRoot(index) }
    }
    for name in byRoot.keys.sorted() { order(name) }
  }

  /// The rules of a port, nil when no split has any for it.
  func rules(of port: ServicePort, _ appProtocol: AppProtocol) -> [RouteRule]? {
    var rules: [RouteRule] = []
    for index in byRoot[port.service] ?? [] {
      let split = splits[index]
      if !split.goesByMatches { return rules + [rule(of: split, port.port, matches: [])] }
      // Connections have nothing to match.
      guard appProtocol != .tcp else { continue }
      for group in split.groups {
        rules.append(rule(of: split, port.port, matches: group.matches.flatMap(\.alternatives)))
      }
    }
    return rules.isEmpty ? nil : rules + [.direct(port)]
  }

  private func rule(of split: Split, _ port: UInt16, matches: [RouteMatch]) -> RouteRule {
    let backends: [WeightedBackend] = split.value.backends.compactMap { backend in
      let leaf = ServiceName(name: backend.service, namespace: split.root.namespace)
      guard table.services[leaf]?.port(port) != nil else { return nil }
      return WeightedBackend(backend: ServicePort(service: leaf, port: port), weight: backend.weight)
    }
    return RouteRule(
      name: "trafficsplit/\(split.root.namespace)/\(split.value.metadata.name)", matches: matches, backends: backends,
      failureStatus: backends.contains { $0.weight > 0 } ? nil : 503)
  }

  var warnings: [ManifestProblem] {
    splits.flatMap { split in
      ((split.failure.map { [$0] } ?? []) + split.findings).map { $0.warning(of: split.key, at: split.position) }
    }
  }

  /// The splits that name a group.
  func users(of group: ResourceKey) -> [ResourceKey] {
    splits.filter { $0.key.namespace == group.namespace && $0.value.matches.contains(group.name) }.map(\.key)
  }

  // MARK: - What a split names

  private mutating func findGroups(_ index: Int, _ groups: [ResourceKey: HTTPRouteGroup]) {
    for (place, name) in splits[index].value.matches.enumerated() {
      let key = ResourceKey(
        group: "specs.smi-spec.io", kind: "HTTPRouteGroup", namespace: splits[index].key.namespace, name: name)
      if let group = groups[key] {
        splits[index].groups.append(group)
      } else {
        splits[index].findings.append(
          RouteFinding(
            reason: .matchNotFound, field: "spec.matches[\(place)].name",
            message: "there is no HTTPRouteGroup \(key.namespace)/\(name); no request matches it",
            fix: Suggestion.nearest(
              to: name, among: groups.keys.filter { $0.namespace == key.namespace }.map(\.name).sorted()
            )
            .map { "did you mean \($0)?" } ?? "create it, or correct the name", code: .splitMatchNotFound))
      }
    }
  }

  private mutating func missRoot(_ index: Int) {
    splits[index].failure = RouteFinding(
      reason: .noMatchingParent, field: "spec.service",
      message: "there is no Service \(splits[index].root.path), so the split has no effect",
      code: .splitWithoutService)
  }

  private mutating func bind(_ index: Int, _ service: EffectiveService, _ routes: RouteAttachments) {
    let root = splits[index].root
    byRoot[root, default: []].append(index)
    for (place, backend) in splits[index].value.backends.enumerated() {
      let leaf = ServiceName(name: backend.service, namespace: root.namespace)
      splits[index].findings += findings(of: leaf, for: service, at: "spec.backends[\(place)].service")
    }
    if splits[index].value.backends.allSatisfy({ $0.weight == 0 }) {
      splits[index].findings.append(
        RouteFinding(
          field: "spec.backends", message: "all weights are 0, so requests to \(root.path) are answered 503",
          fix: "give one of them a weight", code: .splitWeightsAreZero))
    }
    splits[index].ports = service.ports.map(\.port).filter { port in
      routes.byTarget[RouteTarget(port: ServicePort(service: root, port: port), clients: nil)] == nil
    }
    if splits[index].goesByMatches {
      for port in service.ports where port.appProtocol == .tcp { leaveOut(port.port, index) }
    }
    guard let route = routes.producer(of: root) else { return }
    tell(
      index,
      RouteFinding(
        reason: .conflicted, field: "spec.service",
        message: "the \(route) takes requests for \(root.path) and goes before the split",
        fix: "put the weights into the route's backendRefs", code: .splitBehindRoute))
  }

  private mutating func leaveOut(_ port: UInt16, _ index: Int) {
    splits[index].ports.removeAll { $0 == port }
    tell(
      index,
      RouteFinding(
        reason: .noMatchingParent, field: "spec.matches",
        message:
          "port \(port) of \(splits[index].root.path) carries TCP, where nothing can be matched: it is not split",
        fix: "write appProtocol: http on the Service's port, or remove matches", code: .splitMatchesTCP))
  }

  /// It is why the split has no port, or worth a word where it has others.
  private mutating func tell(_ index: Int, _ finding: RouteFinding) {
    if splits[index].ports.isEmpty, splits[index].failure == nil {
      splits[index].failure = finding
    } else {
      var finding = finding
      finding.reason = nil
      splits[index].findings.append(finding)
    }
  }

  private func findings(of leaf: ServiceName, for root: EffectiveService, at field: String) -> [RouteFinding] {
    guard let service = table.services[leaf] else {
      return [
        RouteFinding(
          reason: .backendNotFound, field: field, message: "there is no Service \(leaf.path) yet; it gets no requests",
          code: .splitBackendNotFound)
      ]
    }
    return root.ports.filter { service.port($0.port) == nil }.map { port in
      RouteFinding(
        reason: .backendNotFound, field: field,
        message: "the Service \(leaf.path) has no port \(port.port); it gets no requests of that port",
        fix: "give it the port numbers of \(root.name.path)", code: .splitPortNotFound)
    }
  }

  // MARK: - Rivals

  /// Puts the splits of a service in order. A split without matches leaves nothing to the next, a route on every port nothing to
  /// any of them.
  private mutating func order(_ name: ServiceName) {
    let ordered = (byRoot[name] ?? []).sorted { a, b in
      let (a, b) = (splits[a], splits[b])
      return a.goesByMatches == b.goesByMatches
        ? RouteAge.of(a.value.metadata) < RouteAge.of(b.value.metadata) : a.goesByMatches
    }
    byRoot[name] = ordered
    let whole = ordered.filter { !splits[$0].goesByMatches }
    for loser in whole.dropFirst() {
      splits[loser].ports = []
      splits[loser].failure = RouteFinding(
        reason: .conflicted, field: "spec.service",
        message: "the split \(splits[whole[0]].value.metadata.name) already splits \(name.path)",
        fix: "remove one of the two", code: .splitRival)
    }
  }
}
