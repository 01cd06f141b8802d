import MeshPolicy
import MeshResources

// MARK: - Rules that never match

extension MeshAnalysis {
  private struct RuleID: Hashable {
    var route: Int
    var rule: Int
  }

  /// A rule whose every match is covered by one match of another rule that is tried before, at every port and for all clients that
  /// the rule applies to. Several matches that cover one together are not looked for.
  func shadowedRules() -> [Finding] {
    var targets: [RuleID: Int] = [:]
    var shadows: [RuleID: [RuleID]] = [:]
    for (_, indices) in attachments.byTarget.sorted(by: { $0.key < $1.key }) {
      // Those for connections are told apart by server names, and the status says which of them has which.
      if let first = indices.first, attachments.routes[first].kind.isOpaque { continue }
      let groups = RoutePrecedence.order(attachments.routes, of: indices)
      for (id, shadow) in Self.shadows(groups) {
        targets[id, default: 0] += 1
        if let shadow { shadows[id, default: []].append(shadow) }
      }
    }
    return shadows.compactMap { id, by in
      guard by.count == targets[id], let first = by.first else { return nil }
      let route = attachments.routes[id.route]
      let other = attachments.routes[first.route]
      let isOwn = first.route == id.route
      let name = other.rules[first.rule].name.map { " (\($0))" } ?? ""
      return finding(
        isOwn ? .shadowedRule : .shadowedByRoute, route, "spec.rules[\(id.rule)]",
        "never matches: rule \(first.rule)\(name) of \(isOwn ? "the same route" : "the \(other.description)") takes all of "
          + "its requests",
        fix: "make its match more specific, or remove it")
    }
  }

  /// Of each rule: who takes the requests of its first match, if all of its matches are covered.
  private static func shadows(_ groups: [RoutePrecedence.Group]) -> [(RuleID, RuleID?)] {
    var earlier: [(id: RuleID, match: RouteMatch)] = []
    var covers: [RuleID: [RuleID?]] = [:]
    var order: [RuleID] = []
    for group in groups {
      let id = RuleID(route: group.route, rule: group.rule)
      if covers[id] == nil { order.append(id) }
      for match in group.matches {
        covers[id, default: []].append(earlier.first { $0.id != id && $0.match.covers(match) }?.id)
      }
      earlier += group.matches.map { (id, $0) }
    }
    return order.map { id in
      let found = covers[id] ?? []
      return (id, found.allSatisfy { $0 != nil } ? found.first ?? nil : nil)
    }
  }
}

extension RouteTarget: Comparable {
  static func < (a: RouteTarget, b: RouteTarget) -> Bool { (a.port, a.clients ?? "") < (b.port, b.clients ?? "") }
}

extension RouteMatch {
  /// Every request that `other` matches matches this, too. False where that is not certain.
  func covers(_ other: RouteMatch) -> Bool {
    guard PathMatch.covers(path, other.path) else { return false }
    if let method, method != other.method { return false }
    let isHeaderKept = headers.allSatisfy { mine in
      other.headers.contains { $0.name.lowercased() == mine.name.lowercased() && mine.value.covers($0.value) }
    }
    return isHeaderKept
      && queryParameters.allSatisfy { mine in
        other.queryParameters.contains { $0.name == mine.name && mine.value.covers($0.value) }
      }
  }
}

extension PathMatch {
  fileprivate static func covers(_ mine: PathMatch?, _ other: PathMatch?) -> Bool {
    switch (mine, other) {
    case (nil, _), (.prefix("/"), _), (.prefix(""), _): true
    case (_, nil): false
    case (.exact(let a), .exact(let b)): a == b
    case (.prefix(let a), .exact(let b)), (.prefix(let a), .prefix(let b)): b.isBelow(a.withoutTrailingSlashes)
    case (.regularExpression(let a), .regularExpression(let b)): a == b
    case (.regularExpression(let a), .exact(let b)): (try? LinearRegex(a))?.matches(b) ?? false
    case (.exact, _), (.prefix, _), (.regularExpression, _): false
    }
  }
}

extension String {
  fileprivate func isBelow(_ prefix: String) -> Bool {
    self == prefix || withoutTrailingSlashes == prefix || hasPrefix(prefix + "/")
  }
}

extension ValueMatch {
  fileprivate func covers(_ other: ValueMatch) -> Bool {
    switch (self, other) {
    case (.exact(let a), .exact(let b)): a == b
    case (.regularExpression(let a), .exact(let b)): (try? LinearRegex(a))?.matches(b) ?? false
    case (.regularExpression(let a), .regularExpression(let b)): a == b
    case (.exact, .regularExpression): false
    }
  }
}
