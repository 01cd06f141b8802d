package import MeshCore
import MeshPolicy

/// `apus authz`: who may call a service, for what, and which policy says so.
package struct AuthzReport: Encodable, Sendable {
  package struct Port: Encodable, Sendable {
    /// `orders.shop:80`
    package var service: String
    /// Addresses; empty: no endpoint has rules.
    package var endpoints: [String]
    /// What happens to a call that no rule speaks of: `allow`, `mesh-only`, `deny`.
    package var otherwise: String
    /// The policy that says so; absent: nobody.
    package var source: String?
    package var rows: [Row]
  }

  package struct Row: Encodable, Sendable {
    package var action: String
    package var callers: String
    package var calls: String
    package var policy: String
    /// Who decides, of `custom`.
    package var provider: String?
  }

  package var ports: [Port]

  package init(_ view: MeshView, of services: [ServicePort]) {
    ports = services.sorted().flatMap { service -> [Port] in
      let groups = view.authorizations[service] ?? []
      guard !groups.isEmpty else {
        return [Port(service: service.description, endpoints: [], otherwise: "allow", rows: [])]
      }
      return groups.map { Port(service, $0) }
    }
  }

  package func encode(to encoder: any Encoder) throws { try ports.encode(to: encoder) }

  // MARK: - Text

  package func render() -> String {
    if ports.isEmpty { return "no services\n" }
    return ports.map(\.text).joined(separator: "\n")
  }
}

extension AuthzReport.Port {
  fileprivate init(_ service: ServicePort, _ group: EndpointAuthorization) {
    let authorization = group.authorization
    let isClosed = authorization.policies.contains { $0.action == .allow || $0.isBroken }
    self.init(
      service: service.description, endpoints: group.endpoints,
      // Beside an allow policy whoever is not named in one is refused, whatever the mode says; beside a broken one everybody is.
      otherwise: isClosed ? "deny" : authorization.mode.rawValue,
      source: isClosed || authorization.modeSource.isEmpty ? nil : authorization.modeSource,
      rows: authorization.policies.sorted { $0.action.order < $1.action.order }.flatMap { AuthzText.rows(of: $0) })
  }

  fileprivate var text: String {
    var text = endpoints.isEmpty ? "\(service)\n" : "\(service)  at \(endpoints.joined(separator: ", "))\n"
    var table = TextTable([.init("ACTION"), .init("CALLERS"), .init("CALLS"), .init("POLICY")])
    table.rows = rows.map { row in
      [row.action + (row.provider.map { " by \($0)" } ?? ""), row.callers, row.calls, row.policy]
    }
    let rest =
      switch otherwise {
      case "deny": "everybody else is refused"
      case "mesh-only": "everybody else of the mesh may call, and nobody without an identity"
      default: rows.isEmpty ? "everybody may call: no policy speaks of it" : "everybody else may call"
      }
    if !rows.isEmpty { text += table.render(indent: "  ") }
    return text + "  " + rest + (source.map { " (\($0))" } ?? "") + "\n"
  }
}

extension AuthorizationAction {
  /// The order in which they are looked at.
  fileprivate var order: Int {
    switch self {
    case .custom: 0
    case .deny: 1
    case .allow: 2
    case .audit: 3
    }
  }
}

/// Rules in a few words.
enum AuthzText {
  static func rows(of policy: AuthorizationPolicy) -> [AuthzReport.Row] {
    let provider: String? =
      switch policy.action {
      case .custom(let name): policy.authorizer.map { "\($0.service)" } ?? "\(name), which does not exist"
      default: nil
      }
    if policy.isBroken {
      let calls = "everything, until the policy is mended"
      return [.init(action: policy.action.name, callers: "everybody", calls: calls, policy: policy.name)]
    }
    if policy.rules.isEmpty {
      return [.init(action: policy.action.name, callers: "nobody", calls: "nothing", policy: policy.name)]
    }
    return policy.rules.map { rule in
      AuthzReport.Row(
        action: policy.action.name, callers: callers(rule), calls: calls(rule), policy: policy.name, provider: provider)
    }
  }

  static func callers(_ rule: AuthorizationRule) -> String {
    if rule.sources.isEmpty { return "everybody" }
    return rule.sources.map { source in
      let parts =
        [list("", source.principals, short), list("", source.serviceAccounts), list("namespace ", source.namespaces)]
        + [list("trust domain ", source.trustDomains), list("address ", source.addresses) { $0.description }]
      return parts.compactMap(\.self).joined(separator: " and ")
    }.joined(separator: ", ")
  }

  static func calls(_ rule: AuthorizationRule) -> String {
    let operations = rule.operations.map { operation in
      let parts = [
        list("", operation.methods), list("", operation.paths, text), list("host ", operation.hosts),
      ]
      return parts.compactMap(\.self).joined(separator: " ")
    }
    let conditions = rule.conditions.map { condition in
      switch condition.subject {
      case .header(let name): list("header \(name) ", condition.values) ?? "header \(name)"
      case .headerPattern(let name): list("header \(name) ~ ", condition.values) ?? "header \(name)"
      case .claim(let name): list("claim \(name) ", condition.values) ?? "claim \(name)"
      }
    }
    if operations.isEmpty, conditions.isEmpty { return "everything" }
    return ([operations.joined(separator: " or ")] + conditions).filter { !$0.isEmpty }.joined(separator: " with ")
  }

  private static func list(_ name: String, _ texts: Selection<String>) -> String? { list(name, texts) { $0 } }

  /// Nil for a selection that asks for nothing.
  private static func list<Value>(_ name: String, _ selection: Selection<Value>, _ text: (Value) -> String) -> String? {
    if selection.isEmpty { return nil }
    var parts: [String] = []
    if !selection.values.isEmpty { parts.append(selection.values.map(text).joined(separator: "|")) }
    if !selection.notValues.isEmpty { parts.append("not " + selection.notValues.map(text).joined(separator: "|")) }
    return name + parts.joined(separator: " but ")
  }

  /// `shop/web` for an account of the usual trust domain.
  private static func short(_ principal: String) -> String {
    guard let id = SPIFFEID(principal), id.trustDomain == SPIFFEID.defaultTrustDomain else { return principal }
    return "\(id.namespace)/\(id.serviceAccount)"
  }

  private static func text(_ path: PathPattern) -> String {
    switch path {
    case .exact(let text): text
    case .prefix(let text): text == "/" ? "/*" : "\(text)/*"
    case .glob(let text), .template(let text): text
    case .regularExpression(let text): "~\(text)"
    }
  }
}
