import MeshPolicy
import MeshResources

/// The order in which the rules of several HTTPRoutes are tried (Gateway API, HTTPRouteRule.matches).
///
/// Exact paths, then regular expressions, then prefixes, the longest first; then matches with a method, with more
/// headers; then the older route, then the first by namespace and name, then the first rule. The API leaves the place
/// of regular expressions open.
enum RoutePrecedence {
  private struct Candidate {
    var match: RouteMatch
    var route: Located<HTTPRoute>
    var ruleIndex: Int
    var matchIndex: Int
  }

  /// One rule per match, those of one origin joined where they are neighbours.
  static func rules(
    of routes: [Located<HTTPRoute>], backends: ([HTTPRoute.Backend]) -> [WeightedBackend]
  ) -> [RouteRule] {
    var candidates: [Candidate] = []
    for route in routes {
      for (ruleIndex, rule) in route.value.rules.enumerated() {
        for (matchIndex, match) in rule.matches.enumerated() {
          let match = normalised(match)
          candidates.append(Candidate(match: match, route: route, ruleIndex: ruleIndex, matchIndex: matchIndex))
        }
      }
    }
    candidates.sort(by: isBefore)
    var rules: [RouteRule] = []
    var previous: Candidate?
    for candidate in candidates {
      if let previous, previous.ruleIndex == candidate.ruleIndex,
        previous.route.value.metadata.name == candidate.route.value.metadata.name
      {
        rules[rules.count - 1].matches.append(candidate.match)
      } else {
        rules.append(rule(candidate, backends))
      }
      previous = candidate
    }
    return rules
  }

  /// Routes of one service share its namespace, so a route's name identifies it here.
  private static func rule(
    _ candidate: Candidate, _ backends: ([HTTPRoute.Backend]) -> [WeightedBackend]
  ) -> RouteRule {
    let metadata = candidate.route.value.metadata
    let rule = candidate.route.value.rules[candidate.ruleIndex]
    let weighted = backends(rule.backends)
    let canServe = weighted.contains { $0.weight > 0 && $0.failureStatus == nil }
    return RouteRule(
      name: "httproute/\(metadata.namespace)/\(metadata.name)#\(rule.name ?? "\(candidate.ruleIndex)")",
      matches: [candidate.match],
      filters: rule.filters, backends: weighted, failureStatus: canServe ? nil : 500)
  }

  /// "A trailing slash of the pattern is ignored."
  private static func normalised(_ match: RouteMatch) -> RouteMatch {
    guard case .prefix(var prefix) = match.path else { return match }
    while prefix.count > 1, prefix.hasSuffix("/") { prefix.removeLast() }
    var match = match
    match.path = .prefix(prefix)
    return match
  }

  private static func isBefore(_ a: Candidate, _ b: Candidate) -> Bool {
    let (aPath, bPath) = (rank(a.match.path), rank(b.match.path))
    if aPath != bPath { return aPath > bPath }
    let (aMethod, bMethod) = (a.match.method != nil, b.match.method != nil)
    if aMethod != bMethod { return aMethod }
    if a.match.headers.count != b.match.headers.count { return a.match.headers.count > b.match.headers.count }
    let (aAge, bAge) = (RouteCompiler.age(a.route.value.metadata), RouteCompiler.age(b.route.value.metadata))
    if aAge != bAge { return aAge < bAge }
    return (a.ruleIndex, a.matchIndex) < (b.ruleIndex, b.matchIndex)
  }

  private static func rank(_ path: PathMatch?) -> (Int, Int) {
    switch path {
    case .exact: (2, 0)
    case .regularExpression: (1, 0)
    case .prefix(let prefix): (0, prefix.count)
    case nil: (0, 0)
    }
  }
}
