import MeshPolicy
import MeshResources

/// A route of any kind, as the compiler sees it. Immutable; an object, because tables of thousands are sorted and kept.
final class MeshRoute {
  /// In order of precedence: of several kinds at one service port only the first applies (GEP-1294).
  enum Kind: Int, Comparable {
    case grpc, http, tls, tcp

    static func < (a: Kind, b: Kind) -> Bool { a.rawValue < b.rawValue }

    /// As in the names of rules.
    var word: String {
      switch self {
      case .grpc: "grpcroute"
      case .http: "httproute"
      case .tls: "tlsroute"
      case .tcp: "tcproute"
      }
    }

    /// Of connections, whose requests are not looked at.
    var isOpaque: Bool { self == .tls || self == .tcp }

    /// What becomes of a request or connection that no backend can serve. `RouteRule.failureStatus` is 500 for every kind:
    /// the proxy says it in the words of what it carries.
    var failure: (active: String, passive: String) {
      switch self {
      case .grpc: ("answers UNAVAILABLE", "answered UNAVAILABLE")
      case .http: ("answers 500", "answered 500")
      case .tls, .tcp: ("closes its connections", "closed")
      }
    }
  }

  struct Rule {
    var name: String?
    /// Never empty.
    var matches: [RankedMatch]
    var filters: [DeclaredFilter]
    var backends: [RouteBackend]
    var timeouts = RouteTimeouts()
    var retry: RetryPolicy?
    var session: SessionPersistence?

    init(
      name: String?, matches: [RankedMatch], filters: [DeclaredFilter], backends: [RouteBackend],
      timeouts: RouteTimeouts = RouteTimeouts(), retry: RetryPolicy? = nil, session: SessionPersistence? = nil
    ) {
      self.name = name
      self.matches = matches
      self.filters = filters
      self.backends = backends
      self.timeouts = timeouts
      self.retry = retry
      self.session = session
    }

    init(_ rule: ConnectionRule) {
      self.init(name: rule.name, matches: [RankedMatch(RouteMatch())], filters: [], backends: rule.backends)
    }
  }

  let kind: Kind
  let key: ResourceKey
  let metadata: ObjectMetadata
  let position: ManifestPosition
  let parents: [RouteParent]
  /// Of a TLSRoute: the servers whose clients' connections it takes, as in `RouteRule`.
  let serverNames: [String]
  let rules: [Rule]

  /// Nil for what is no route.
  init?(_ located: Located<Resource>) {
    switch located.value {
    case .httpRoute(let route):
      kind = .http
      serverNames = []
      parents = route.parents
      rules = route.rules.map { rule in
        Rule(
          name: rule.name, matches: rule.matches.map(RankedMatch.init), filters: rule.filters,
          backends: rule.backends, timeouts: rule.timeouts, retry: rule.retry, session: rule.session)
      }
    case .grpcRoute(let route):
      kind = .grpc
      serverNames = []
      parents = route.parents
      rules = route.rules.map { rule in
        let matches = rule.matches.isEmpty ? [GRPCRoute.Match()] : rule.matches
        return Rule(
          name: rule.name, matches: matches.map(RankedMatch.init), filters: rule.filters, backends: rule.backends,
          session: rule.session)
      }
    case .tcpRoute(let route):
      kind = .tcp
      serverNames = []
      parents = route.parents
      rules = route.rules.map { Rule($0) }
    case .tlsRoute(let route):
      kind = .tls
      parents = route.parents
      serverNames = route.hostnames.isEmpty ? ["*"] : route.hostnames
      rules = route.rules.map { Rule($0) }
    default: return nil
    }
    key = located.value.key
    metadata = located.value.metadata
    position = located.position
  }

  /// Clients of every namespace, or of the route's own only.
  func isProducer(_ parent: RouteParent) -> Bool { parent.namespace == metadata.namespace }

  /// `GRPCRoute shop/orders`.
  var description: String { key.description }
}
