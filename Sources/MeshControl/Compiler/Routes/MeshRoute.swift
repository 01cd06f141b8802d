import MeshPolicy
import MeshResources

/// A route of any kind, as the compiler sees it.
struct MeshRoute {
  /// In order of precedence: of several kinds at one service port only the first applies (GEP-1294).
  enum Kind: Int, Comparable {
    case grpc, http

    static func < (a: Kind, b: Kind) -> Bool { a.rawValue < b.rawValue }

    /// As in the names of rules.
    var word: String { self == .grpc ? "grpcroute" : "httproute" }
    /// What a request is told that no backend can serve. `RouteRule.failureStatus` is 500 for both: the proxy says it
    /// in gRPC's words where the request is gRPC.
    var failure: String { self == .grpc ? "UNAVAILABLE" : "500" }
  }

  struct Rule {
    var name: String?
    /// Never empty.
    var matches: [RankedMatch]
    var filters: [DeclaredFilter]
    var backends: [RouteBackend]
    var timeouts = RouteTimeouts()
    var retry: RetryPolicy?
  }

  var kind: Kind
  var key: ResourceKey
  var metadata: ObjectMetadata
  var position: ManifestPosition
  var parents: [RouteParent]
  var rules: [Rule]

  /// Nil for what is no route.
  init?(_ located: Located<Resource>) {
    switch located.value {
    case .httpRoute(let route):
      kind = .http
      parents = route.parents
      rules = route.rules.map { rule in
        Rule(
          name: rule.name, matches: rule.matches.map(RankedMatch.init), filters: rule.filters,
          backends: rule.backends, timeouts: rule.timeouts, retry: rule.retry)
      }
    case .grpcRoute(let route):
      kind = .grpc
      parents = route.parents
      rules = route.rules.map { rule in
        let matches = rule.matches.isEmpty ? [GRPCRoute.Match()] : rule.matches
        return Rule(
          name: rule.name, matches: matches.map(RankedMatch.init), filters: rule.filters, backends: rule.backends)
      }
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
