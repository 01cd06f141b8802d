import MeshPolicy
import MeshResources

/// A match of a route and its place among all that apply to a service port. Only matches of one kind of route are
/// compared.
struct RankedMatch {
  var match: RouteMatch
  /// Compared from the first number on; the larger goes first.
  private var rank: (Int, Int, Int, Int, Int)

  func goesBefore(_ other: RankedMatch) -> Bool { rank > other.rank }

  /// Exact paths, then regular expressions, then prefixes, the longest first; then matches with a method, with more
  /// headers, with more query parameters (Gateway API, HTTPRouteRule.matches). The API leaves the place of regular
  /// expressions open.
  init(_ match: RouteMatch) {
    var match = match
    let path: (Int, Int)
    switch match.path {
    case .exact: path = (2, 0)
    case .regularExpression: path = (1, 0)
    case .prefix(let prefix):
      let trimmed = prefix.withoutTrailingSlashes
      match.path = .prefix(trimmed)
      path = (0, trimmed.count)
    case nil: path = (0, 0)
    }
    self.match = match
    rank = (path.0, path.1, match.method == nil ? 0 : 1, match.headers.count, match.queryParameters.count)
  }

  /// The most characters of the service, then of the method, then the most headers (Gateway API,
  /// GRPCRouteRule.matches). Exact names go before regular expressions, whose place the API leaves open.
  init(_ match: GRPCRoute.Match) {
    self.match = RouteMatch(path: match.method?.path, headers: match.headers)
    let isExact = match.method.map { !$0.isRegularExpression } ?? false
    rank = (
      isExact ? 1 : 0, match.method?.service?.count ?? 0, match.method?.method?.count ?? 0, match.headers.count, 0
    )
  }
}

extension String {
  /// "A trailing slash of the pattern is ignored." The root keeps its own.
  var withoutTrailingSlashes: String {
    var text = Substring(self)
    while text.count > 1, text.hasSuffix("/") { text.removeLast() }
    return String(text)
  }
}
