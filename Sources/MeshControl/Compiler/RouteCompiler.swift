import MeshCore
import MeshPolicy
import MeshResources

/// Attaches HTTPRoutes and TrafficSplits to service ports.
struct RouteCompiler {
  let table: ServiceTable
  private var routes: [ServiceName: [Attached]] = [:]
  private var splits: [ServiceName: [Located<TrafficSplit>]] = [:]
  private(set) var warnings: [ManifestProblem] = []

  /// A route and the ports of one service that it takes; nil: all.
  private struct Attached {
    var route: Located<HTTPRoute>
    var ports: Set<UInt16>
  }

  init(_ snapshot: Snapshot, _ table: ServiceTable) {
    self.table = table
    for located in snapshot.manifests.values {
      switch located.value {
      case .httpRoute(let route): attach(Located(route, at: located.position))
      case .trafficSplit(let split): attach(Located(split, at: located.position))
      default: continue
      }
    }
    warnAboutRivalSplits()
  }

  /// The configuration of one port: HTTPRoutes if any is attached, else a TrafficSplit, else the service itself.
  mutating func config(of service: EffectiveService, _ port: Service.Port) -> ServiceConfig {
    let key = ServicePort(service: service.name, port: port.port)
    var rules = [RouteRule(name: "service/\(service.name.path)", backends: [WeightedBackend(backend: key, weight: 1)])]
    let attached = port.appProtocol == .tcp ? [] : (routes[service.name] ?? []).filter { $0.ports.contains(port.port) }
    if !attached.isEmpty {
      rules = RoutePrecedence.rules(of: attached.map(\.route)) { backends in weighted(backends) }
    } else if let split = splits[service.name]?.first {
      rules = [rule(of: split, port.port)]
    }
    return ServiceConfig(key: key, appProtocol: port.appProtocol, rules: rules)
  }

  // MARK: HTTPRoute

  private mutating func attach(_ route: Located<HTTPRoute>) {
    let namespace = route.value.metadata.namespace
    var ports: [ServiceName: Set<UInt16>] = [:]
    for (index, parent) in route.value.parents.enumerated() {
      let name = ServiceName(name: parent.service, namespace: namespace)
      let field = "spec.parentRefs[\(index)]"
      guard let service = table.services[name] else {
        warn(route, field, "there is no Service \(name.path), so the route does not attach to it")
        continue
      }
      let matching = service.ports.filter { port in
        (parent.port ?? port.port) == port.port && (parent.sectionName ?? port.name) == port.name
      }
      if matching.isEmpty { warn(route, field, "the Service \(name.path) has no such port") }
      for port in matching where port.appProtocol == .tcp {
        warn(
          route, field, "port \(port.port) of \(name.path) carries TCP, so the route does not apply to it",
          fix: "write appProtocol: http on the Service's port")
      }
      ports[name, default: []].formUnion(matching.map(\.port))
    }
    for (name, ports) in ports where !ports.isEmpty {
      routes[name, default: []].append(Attached(route: route, ports: ports))
    }
    warnAboutBackends(of: route)
  }

  private mutating func warnAboutBackends(of route: Located<HTTPRoute>) {
    for (ruleIndex, rule) in route.value.rules.enumerated() {
      if rule.backends.isEmpty { warn(route, "spec.rules[\(ruleIndex)]", "has no backendRefs and answers 500") }
      for (index, backend) in rule.backends.enumerated() where !exists(backend) && backend.kind == "Service" {
        warn(
          route, "spec.rules[\(ruleIndex)].backendRefs[\(index)]",
          "no Service \(backend.namespace)/\(backend.name) has port \(backend.port); its share is answered 500"
        )
      }
    }
  }

  private func exists(_ backend: HTTPRoute.Backend) -> Bool {
    let name = ServiceName(name: backend.name, namespace: backend.namespace)
    return backend.kind == "Service" && table.services[name]?.port(backend.port) != nil
  }

  private func weighted(_ backends: [HTTPRoute.Backend]) -> [WeightedBackend] {
    backends.map { backend in
      let name = ServiceName(name: backend.name, namespace: backend.namespace)
      return WeightedBackend(
        backend: ServicePort(service: name, port: backend.port), weight: backend.weight,
        failureStatus: exists(backend) ? nil : 500)
    }
  }

  private mutating func warn(_ route: Located<HTTPRoute>, _ field: String, _ message: String, fix: String = "") {
    warnings.append(route.warning(field, message, fix: fix, key: Resource.httpRoute(route.value).key))
  }

  // MARK: TrafficSplit

  private mutating func attach(_ split: Located<TrafficSplit>) {
    let root = ServiceName(name: split.value.service, namespace: split.value.metadata.namespace)
    guard let service = table.services[root] else {
      return warn(split, "spec.service", "there is no Service \(root.path), so the split has no effect")
    }
    splits[root, default: []].append(split)
    for (index, backend) in split.value.backends.enumerated() {
      let leaf = ServiceName(name: backend.service, namespace: root.namespace)
      let field = "spec.backends[\(index)].service"
      if table.services[leaf] == nil {
        warn(split, field, "there is no Service \(leaf.path) yet; it gets no requests")
      } else {
        for port in service.ports where table.services[leaf]?.port(port.port) == nil {
          warn(
            split, field, "the Service \(leaf.path) has no port \(port.port); it gets no requests of that port",
            fix: "give it the port numbers of \(root.path)")
        }
      }
    }
  }

  /// The oldest split of a service holds, then the first by name. A route on every port leaves no split any traffic.
  private mutating func warnAboutRivalSplits() {
    for name in splits.keys.sorted() {
      let ordered = (splits[name] ?? []).sorted { Self.age($0.value.metadata) < Self.age($1.value.metadata) }
      splits[name] = ordered
      for loser in ordered.dropFirst() {
        warn(
          loser, "spec.service", "the split \(ordered[0].value.metadata.name) already splits \(name.path)",
          fix: "remove one of the two")
      }
      if let winner = ordered.first, routes[name] != nil {
        warn(
          winner, "spec.service", "an HTTPRoute takes requests for \(name.path) and goes before the split",
          fix: "put the weights into the HTTPRoute's backendRefs")
      }
    }
  }

  static func age(_ metadata: ObjectMetadata) -> (Int64, String, String) {
    (metadata.creationTime ?? .max, metadata.namespace, metadata.name)
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

  private mutating func warn(_ split: Located<TrafficSplit>, _ field: String, _ message: String, fix: String = "") {
    warnings.append(split.warning(field, message, fix: fix, key: Resource.trafficSplit(split.value).key))
  }
}

extension ServiceName {
  /// `shop/orders`, as manifests are named.
  var path: String { "\(namespace)/\(name)" }
}
