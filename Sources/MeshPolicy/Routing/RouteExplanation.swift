import MeshCore
package import MeshHTTP

/// Which rule takes a request, and why those before it do not: for people, so it takes its time.
///
/// Every question is put to a `RouteTable`, as proxies do: to one of all rules for the decision, and to one of a single condition
/// for each reason. Nothing here knows how a condition is tested.
package struct RouteExplanation: Sendable {
  /// The index of the rule; nil when none matches.
  package let rule: Int?
  /// The first alternative of that rule that holds; nil for a rule without conditions.
  package let match: Int?
  /// Why each rule that comes before does not match, for each of its alternatives.
  package let refusals: [Refusal]

  package struct Refusal: Hashable, Sendable {
    package var rule: Int
    package var match: Int
    /// The first that does not hold, in the order in which proxies look.
    package var condition: MatchCondition
    /// What the request has in that place; nil for nothing.
    package var found: String?

    package init(rule: Int, match: Int, condition: MatchCondition, found: String?) {
      self.rule = rule
      self.match = match
      self.condition = condition
      self.found = found
    }
  }

  package init(_ rules: [RouteRule], _ head: MessageHead) {
    rule = RouteTable(rules).match(head)
    match = rule.flatMap { rule in rules[rule].matches.firstIndex { Self.holds($0, head) } }
    refusals = rules[..<(rule ?? rules.count)].enumerated().flatMap { index, rule in
      rule.matches.enumerated().compactMap { position, match in
        match.conditions.first { !Self.holds($0.alone, head) }.map { condition in
          Refusal(rule: index, match: position, condition: condition, found: condition.found(in: head))
        }
      }
    }
  }

  private static func holds(_ match: RouteMatch, _ head: MessageHead) -> Bool {
    RouteTable([RouteRule(name: "", matches: [match], backends: [])]).match(head) != nil
  }
}

/// One of the conditions of a `RouteMatch`.
package enum MatchCondition: Hashable, Sendable {
  case method(String)
  case path(PathMatch)
  case header(HeaderMatch)
  case query(QueryMatch)

  fileprivate var alone: RouteMatch {
    switch self {
    case .method(let method): RouteMatch(method: method)
    case .path(let path): RouteMatch(path: path)
    case .header(let header): RouteMatch(headers: [header])
    case .query(let query): RouteMatch(queryParameters: [query])
    }
  }

  fileprivate func found(in head: MessageHead) -> String? {
    switch self {
    case .method: head.methodText
    case .path: head.target.path.string
    case .header(let header): head.joinedValue(of: header.name)
    case .query(let query):
      Array(query.name.utf8).withUnsafeBytes { head.target.query.firstParameter(named: $0)?.string }
    }
  }
}

extension RouteMatch {
  /// In the order in which proxies look. Of several conditions on one name the first counts.
  package var conditions: [MatchCondition] {
    var names: Set<String> = []
    var parameters: Set<String> = []
    return (method.map { [.method($0)] } ?? []) + (path.map { [.path($0)] } ?? [])
      + headers.filter { names.insert($0.name.lowercased()).inserted }.map { .header($0) }
      + queryParameters.filter { parameters.insert($0.name).inserted }.map { .query($0) }
  }
}

extension MessageHead {
  package var methodText: String {
    method == .other ? bytes(methodBytes).string : method.name.description
  }

  /// Lines of one name together, as conditions see them.
  fileprivate func joinedValue(of name: String) -> String? {
    if name.lowercased() == "host", !authority.isEmpty { return bytes(authority).string }
    let values = Array(name.utf8).withUnsafeBytes { name in
      fields.filter { !$0.isRemoved && bytes($0.name).equalsIgnoringCase(name) }.map { bytes($0.value).string }
    }
    return values.isEmpty ? nil : values.joined(separator: ",")
  }
}
