/// Which rule of a service port a TLS connection follows, by the server name that its client gives.
///
/// The name itself goes first, then the longest wildcard that covers it, then `*`, which also covers clients that give no name; of equal names the
/// rule that stands first. A wildcard `*.example.com` covers names with any number of labels in the star's place, and not
/// `example.com` (Gateway API, TLSRouteSpec.hostnames).
package struct ServerNameTable: Sendable {
  private var exact: [String: Int] = [:]
  /// By what follows the star and its dot.
  private var wildcards: [String: Int] = [:]
  private var everyName: Int?

  /// Nil when no rule goes by names: nobody needs to look at the bytes then.
  package init?(_ rules: [RouteRule]) {
    guard rules.contains(where: { !$0.serverNames.isEmpty }) else { return nil }
    for (index, rule) in rules.enumerated() {
      for name in rule.serverNames {
        if name == "*" {
          everyName = everyName ?? index
        } else if name.hasPrefix("*.") {
          let suffix = String(name.dropFirst(2))
          wildcards[suffix] = wildcards[suffix] ?? index
        } else {
          exact[name] = exact[name] ?? index
        }
      }
    }
  }

  /// The index of the rule; nil when there is none. `name` is in lower case, nil for a client that gives none.
  package func rule(for name: String?) -> Int? {
    guard let name else { return everyName }
    if let index = exact[name] { return index }
    var rest = Substring(name)
    while let dot = rest.firstIndex(of: ".") {
      rest = rest[rest.index(after: dot)...]
      if let index = wildcards[String(rest)] { return index }
    }
    return everyName
  }
}
