import MeshAPI
import MeshCore
import MeshPolicy
import MeshResources

/// A service port, as the clients of one namespace or of all see it.
struct RouteTarget: Hashable {
  var port: ServicePort
  /// Nil for producer routes, which are for clients of every namespace.
  var clients: String?
}

/// Which routes apply to which service ports, and why others do not (GEP-1294).
struct RouteAttachments {
  /// What became of one parent of a route.
  struct Parent {
    /// Ports at which the route applies, ascending.
    var ports: [UInt16] = []
    /// Why there are none.
    var failure: RouteFinding?
    var warnings: [RouteFinding] = []
  }

  /// Ordered by key.
  let routes: [MeshRoute]
  /// For each route, for each of its parents.
  private(set) var parents: [[Parent]]
  /// Indices of the routes in force, of one kind each, ascending.
  private(set) var byTarget: [RouteTarget: [Int]] = [:]
  /// The first producer route of each service.
  private var producers: [ServiceName: Int] = [:]

  init(_ routes: [MeshRoute], _ table: ServiceTable) {
    self.routes = routes.sorted { $0.key < $1.key }
    parents = self.routes.map { route in
      route.parents.indices.map { Self.bind(route, $0, table) }
    }
    let candidates = candidates()
    for (target, indices) in candidates { decide(target, indices) }
    for index in self.routes.indices {
      for parent in self.routes[index].parents.indices { tellOfConflicts(index, parent) }
    }
  }

  /// The consumer routes' targets, ordered.
  var consumerTargets: [RouteTarget] {
    byTarget.keys.filter { $0.clients != nil }.sorted { ($0.port, $0.clients ?? "") < ($1.port, $1.clients ?? "") }
  }

  /// A route that takes requests from every namespace for some port of the service.
  func producer(of service: ServiceName) -> String? { producers[service].map { routes[$0].description } }

  // MARK: - Binding

  private static func bind(_ route: MeshRoute, _ index: Int, _ table: ServiceTable) -> Parent {
    let parent = route.parents[index]
    let name = ServiceName(name: parent.service, namespace: parent.namespace)
    let field = "spec.parentRefs[\(index)]"
    func failure(_ message: String, _ fix: String, _ code: FindingCode? = nil) -> Parent {
      Parent(failure: RouteFinding(reason: .noMatchingParent, field: field, message: message, fix: fix, code: code))
    }
    let kind = parent.kind.rawValue
    if parent.kind == .service, table.aliases[name] != nil {
      return failure(
        "the Service \(name.path) is a name of another (type ExternalName), which no route attaches to",
        "name the other Service", .parentIsAlias)
    }
    guard let service = parent.kind == .service ? table.services[name] : table.externals[name] else {
      return failure(
        "there is no \(kind) \(name.path), so the route does not attach to it",
        table.fix(forMissing: name, parent.kind == .service ? .service : .externalService), .parentNotFound)
    }
    if service.isHeadless {
      return failure(
        "the Service \(name.path) is headless: its clients go to its endpoints, past every route",
        "name a Service with a cluster address, whose backend it may be", .parentIsHeadless)
    }
    let matching = service.ports.filter { port in
      (parent.port ?? port.port) == port.port && (parent.sectionName ?? port.name) == port.name
    }
    guard !matching.isEmpty else {
      return failure(
        "the \(kind) \(name.path) has no \(parent.wanted)", "its ports: \(service.portList)", .parentPortNotFound)
    }
    // Bytes can be passed on whatever they mean; requests cannot be read where there are none.
    if route.kind.isOpaque { return Parent(ports: matching.map(\.port)) }
    var bound = Parent(ports: matching.filter { $0.appProtocol != .tcp }.map(\.port))
    for port in matching where port.appProtocol == .tcp {
      bound.warnings.append(
        RouteFinding(
          field: field, message: "port \(port.port) of \(name.path) carries TCP, so the route does not apply to it",
          fix: "write appProtocol: \(route.kind == .grpc ? "grpc" : "http") on the \(kind)'s port",
          code: .parentCarriesTCP))
    }
    if bound.ports.isEmpty {
      bound.failure = bound.warnings.removeLast()
      bound.failure?.reason = .noMatchingParent
    }
    return bound
  }

  // MARK: - Conflicts

  private func candidates() -> [RouteTarget: [Int]] {
    var candidates: [RouteTarget: [Int]] = [:]
    for (index, route) in routes.enumerated() {
      for (parent, bound) in zip(route.parents, parents[index]) {
        for port in bound.ports {
          let target = Self.target(route, parent, port)
          if candidates[target]?.last != index { candidates[target, default: []].append(index) }
        }
      }
    }
    return candidates
  }

  private static func target(_ route: MeshRoute, _ parent: RouteParent, _ port: UInt16) -> RouteTarget {
    let name = ServiceName(name: parent.service, namespace: parent.namespace)
    return RouteTarget(
      port: ServicePort(service: name, port: port),
      clients: route.isProducer(parent) ? nil : route.metadata.namespace)
  }

  /// Only one kind of route applies to a port, and of that kind the oldest routes whose matches a proxy takes together.
  private mutating func decide(_ target: RouteTarget, _ indices: [Int]) {
    guard let kind = indices.map({ routes[$0].kind }).min() else { return }
    var winners = withinLimit(indices.filter { routes[$0].kind == kind })
    if kind.isOpaque {
      let byAge = winners.sorted { RouteAge.of(routes[$0].metadata) < RouteAge.of(routes[$1].metadata) }
      tellOfRivals(byAge, at: target)
      if kind == .tcp { winners = Array(byAge.prefix(1)) }
    }
    byTarget[target] = winners
    guard target.clients == nil, let first = winners.first else { return }
    producers[target.port.service] = min(first, producers[target.port.service] ?? first)
  }

  /// What one route for connections takes is not left to a younger one. The API accepts both all the same.
  private mutating func tellOfRivals(_ rivals: [Int], at target: RouteTarget) {
    /// Which route takes a server's connections; `*` stands for every other server, and in a TCPRoute for all.
    var takers: [String: Int] = [:]
    for index in rivals {
      var lost: [Int: [String]] = [:]
      for name in routes[index].serverNames.isEmpty ? ["*"] : routes[index].serverNames {
        if let taker = takers[name] { lost[taker, default: []].append(name) } else { takers[name] = index }
      }
      for (taker, names) in lost.sorted(by: { $0.key < $1.key }) { tell(index, taker, names, target) }
    }
  }

  private mutating func tell(_ loser: Int, _ taker: Int, _ names: [String], _ target: RouteTarget) {
    let port = "port \(target.port.port) of \(target.port.service.path)"
    let shown = names.prefix(3).joined(separator: ", ") + (names.count > 3 ? " and \(names.count - 3) more" : "")
    let what =
      names == ["*"]
      ? (routes[loser].kind == .tcp ? "every connection to" : "every other server's connections to")
      : "the connections for \(shown) at"
    for (index, parent) in routes[loser].parents.enumerated()
    where parents[loser][index].ports.contains(target.port.port)
      && Self.target(routes[loser], parent, target.port.port) == target
    {
      parents[loser][index].warnings.append(
        RouteFinding(
          field: "spec.parentRefs[\(index)]", message: "the older \(routes[taker].description) takes \(what) \(port)",
          fix: "remove one of the two, or join their backendRefs", code: .olderRoute))
    }
  }

  /// A proxy refuses a service with more rules than that, and with it every route of the service. Between the matches of other routes
  /// each match of a route may become a rule, so matches are counted. A route is taken whole or not at all: without some of
  /// its rules its requests would go where nobody wrote.
  private func withinLimit(_ indices: [Int]) -> [Int] {
    func matches(_ index: Int) -> Int { routes[index].rules.reduce(0) { $0 + $1.matches.count } }
    guard indices.reduce(0, { $0 + matches($1) }) > Self.matchesOfPort else { return indices }
    var room = Self.matchesOfPort
    let taken = indices.sorted { RouteAge.of(routes[$0].metadata) < RouteAge.of(routes[$1].metadata) }.filter { index in
      let isTaken = matches(index) <= room
      if isTaken { room -= matches(index) }
      return isTaken
    }
    return taken.sorted()
  }

  /// Takes the ports that other kinds of routes won from a parent, and those that are full.
  private mutating func tellOfConflicts(_ index: Int, _ parent: Int) {
    let route = routes[index]
    var kept: [UInt16] = []
    var conflicts: [RouteFinding] = []
    for port in parents[index][parent].ports {
      let target = Self.target(route, route.parents[parent], port)
      guard let winners = byTarget[target], let winner = winners.first, !winners.contains(index) else {
        kept.append(port)
        continue
      }
      if routes[winner].kind == route.kind {
        if route.kind.isOpaque {
          kept.append(port)
          continue
        }
        conflicts.append(Self.overfull(target.port, parent))
        continue
      }
      conflicts.append(
        RouteFinding(
          field: "spec.parentRefs[\(parent)]",
          message: "port \(port) of \(target.port.service.path) follows the \(routes[winner].description), and only "
            + "one kind of route applies to a port",
          fix: "remove one of the two, or name another port", code: .routeConflicted))
    }
    if kept.isEmpty, var conflict = conflicts.first {
      conflict.reason = conflict.reason ?? .conflicted
      parents[index][parent].failure = conflict
      conflicts.removeFirst()
    }
    parents[index][parent].ports = kept
    parents[index][parent].warnings += conflicts
  }
}

extension RouteAttachments {
  /// Of all routes that apply to one port.
  static let matchesOfPort = ConversionLimits.standard.maximumRules

  private static func overfull(_ port: ServicePort, _ parent: Int) -> RouteFinding {
    RouteFinding(
      reason: .unsupportedValue, field: "spec.parentRefs[\(parent)]",
      message:
        "port \(port.port) of \(port.service.path) has \(matchesOfPort) matches at most, and older routes leave too "
        + "few for this one",
      fix: "write fewer matches, or remove routes", code: .tooManyMatches)
  }
}

extension RouteParent {
  /// What `port` and `sectionName` ask for.
  fileprivate var wanted: String {
    switch (port, sectionName) {
    case (let port?, let name?): "port \(port) with the name \(name)"
    case (let port?, nil): "port \(port)"
    case (nil, let name?): "port with the name \(name)"
    // Only a Service whose every port was left out has none.
    case (nil, nil): "port"
    }
  }
}

extension EffectiveService {
  /// `80 (http), 9000`.
  var portList: String {
    ports.map { $0.name.isEmpty ? "\($0.port)" : "\($0.port) (\($0.name))" }.joined(separator: ", ")
  }
}

extension ServiceTable {
  /// The name that was likely meant, or the kind.
  func fix(forMissing name: ServiceName, _ kind: PolicyTarget.Kind = .service) -> String {
    if kind == .service, externals[name] != nil { return "it is an ExternalService: write that kind" }
    if kind == .externalService {
      if services[name] != nil { return "it is a Service: write that kind" }
      let here = externals.keys.filter { $0.namespace == name.namespace }.map(\.name).sorted()
      let nearest = Suggestion.nearest(to: name.name, among: here)
      return nearest.map { "did you mean \($0)?" } ?? "create it, or correct the name"
    }
    let here = services.keys.filter { $0.namespace == name.namespace }.map(\.name).sorted()
    if let nearest = Suggestion.nearest(to: name.name, among: here) { return "did you mean \(nearest)?" }
    let elsewhere = services.keys.filter { $0.name == name.name }.sorted().first
    return elsewhere.map { "did you mean namespace: \($0.namespace)?" } ?? "create it, or correct the name"
  }
}

extension ServiceName {
  /// `shop/orders`, as manifests are named.
  var path: String { "\(namespace)/\(name)" }
}
