import MeshPolicy
import MeshResources

/// The order in which the rules of several routes are tried: by the rank of their matches, then the older route, then
/// the first by namespace and name, then the first rule.
enum RoutePrecedence {
  /// One match, and the route and rule that it stands for, as indices.
  struct Candidate {
    var match: RankedMatch
    var route: Int
    var rule: Int
  }

  /// A rule with those of its matches that stand together.
  struct Group {
    var route: Int
    var rule: Int
    var matches: [RouteMatch]
  }

  static func order(_ routes: [MeshRoute], of indices: [Int]) -> [Group] {
    var candidates: [Candidate] = []
    for route in indices.sorted(by: { RouteAge.of(routes[$0].metadata) < RouteAge.of(routes[$1].metadata) }) {
      for (rule, content) in routes[route].rules.enumerated() {
        for match in content.matches { candidates.append(Candidate(match: match, route: route, rule: rule)) }
      }
    }
    // The sort is stable, so equal ranks stay in the order of age, rule and match.
    candidates.sort { $0.match.goesBefore($1.match) }
    var groups: [Group] = []
    for candidate in candidates {
      if let last = groups.last, last.route == candidate.route, last.rule == candidate.rule {
        groups[groups.count - 1].matches.append(candidate.match.match)
      } else {
        groups.append(Group(route: candidate.route, rule: candidate.rule, matches: [candidate.match.match]))
      }
    }
    return groups
  }
}

/// The older goes first; what has no age is younger than everything that has, and its name decides.
enum RouteAge {
  static func of(_ metadata: ObjectMetadata) -> (Int64, String, String) {
    (metadata.creationTime ?? .max, metadata.namespace, metadata.name)
  }
}
