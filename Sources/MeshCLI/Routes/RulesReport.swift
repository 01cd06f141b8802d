internal import MeshCore
internal import MeshPolicy

/// `apus routes`: the rules of service ports, in the order in which proxies try them. Times in milliseconds.
package struct RulesReport: Encodable, Sendable {
  package struct Port: Encodable, Sendable {
    package var service: String
    package var namespace: String
    package var port: UInt16
    package var appProtocol: String
    /// Namespaces whose clients have other rules.
    package var consumers: [String]
    package var rules: [Rule]
  }

  package struct Rule: Encodable, Sendable {
    package var name: String
    package var source: String?
    /// Alternatives; empty for everything.
    package var matches: [String]
    /// Of TLS connections; empty: the rule does not look at them.
    package var serverNames: [String]
    package var filters: [String]
    package var backends: [Backend]
    package var timeoutMs: Int64?
    package var attemptTimeoutMs: Int64?
    package var idleTimeoutMs: Int64?
    package var streamTimeoutMs: Int64?
    package var retries: UInt32
    /// When a second attempt begins beside the first; absent: never.
    package var hedging: String?
    /// How clients keep the endpoint that answered them first; absent: not.
    package var session: String?
    package var rateLimits: [String]
    package var requestBody: String?
    package var overrides: String?
    /// FaultInjections that some of its requests meet, by name.
    package var faults: [String]
    /// What sets the weights; absent: the manifests.
    package var rollout: RolloutNote?
    /// What every request is answered that takes the rule.
    package var failureStatus: UInt16?
  }

  package struct Backend: Encodable, Sendable {
    package var backend: String
    package var weight: UInt32
    package var share: Double
    package var endpoints: Int
    package var filters: [String]
    package var failureStatus: UInt16?
  }

  package var ports: [Port]

  package init(_ view: MeshView, sources: [String: String] = [:]) {
    ports = view.services.values.sorted { $0.key < $1.key }.map { config in
      Port(
        service: config.key.service.name, namespace: config.key.service.namespace, port: config.key.port,
        appProtocol: config.appProtocol.rawValue, consumers: view.consumers[config.key] ?? [],
        rules: config.rules.map { Rule($0, of: config.key, view, sources) })
    }
  }

  package func encode(to encoder: any Encoder) throws { try ports.encode(to: encoder) }

  // MARK: - Text

  package func render() -> String {
    if ports.isEmpty { return "no services\n" }
    return ports.map(\.text).joined(separator: "\n")
  }
}

extension RulesReport.Rule {
  fileprivate init(_ rule: RouteRule, of port: ServicePort, _ view: MeshView, _ sources: [String: String]) {
    name = rule.name
    source = sources[rule.name.split(separator: "#", maxSplits: 1).first.map(String.init) ?? rule.name]
    matches = rule.matches.map(RuleText.match)
    filters = rule.filters.map(RuleText.filter)
    timeoutMs = rule.timeouts.request?.wholeMilliseconds
    attemptTimeoutMs = rule.timeouts.backendRequest?.wholeMilliseconds
    idleTimeoutMs = rule.timeouts.idle?.wholeMilliseconds
    streamTimeoutMs = rule.timeouts.stream?.wholeMilliseconds
    retries = rule.retry?.attempts ?? 0
    hedging = rule.hedging.map(RuleText.hedging)
    session = rule.session.map(RuleText.session)
    rateLimits = RuleText.limits(rule)
    requestBody = rule.requestBody.map(RuleText.requestBody)
    overrides = rule.overrides.map(RuleText.overrides)
    faults = rule.faults.map(\.name)
    serverNames = rule.serverNames
    rollout = view.rollouts[PolicyPlace(port: port, rule: rule.name)]
    failureStatus = rule.failureStatus
    backends = zip(rule.backends, rule.shares).map { backend, share in
      RulesReport.Backend(
        backend: backend.backend.description, weight: backend.weight, share: share,
        endpoints: view.endpoints[backend.backend]?.endpoints.count ?? 0,
        filters: backend.filters.map(RuleText.filter), failureStatus: backend.failureStatus)
    }
  }

  fileprivate var matchText: String {
    if !serverNames.isEmpty { return "server name " + serverNames.joined(separator: " | ") }
    return matches.isEmpty ? "everything" : matches.joined(separator: " | ")
  }

  /// Shares of the backends, and what is wrong with them.
  fileprivate var backendText: String {
    if backends.isEmpty { return filters.contains { $0.hasPrefix("redirect") } ? "" : "none, answers 500" }
    return backends.map { backend in
      let trouble =
        backend.failureStatus.map { " (answers \($0))" }
        ?? (backend.endpoints == 0 && backend.share > 0 ? " (no endpoint)" : "")
      return "\(RuleText.percent(backend.share)) \(backend.backend)\(trouble)"
    }.joined(separator: ", ")
  }

  /// Filters, timeouts and retries.
  fileprivate var extraText: String {
    var parts = filters + backends.flatMap { backend in backend.filters.map { "\(backend.backend): \($0)" } }
    if let timeoutMs { parts.append("timeout \(RuleText.time(.milliseconds(timeoutMs)))") }
    if let attemptTimeoutMs { parts.append("attempt timeout \(RuleText.time(.milliseconds(attemptTimeoutMs)))") }
    if let idleTimeoutMs {
      parts.append(idleTimeoutMs == 0 ? "idle for ever" : "idle timeout \(RuleText.time(.milliseconds(idleTimeoutMs)))")
    }
    if let streamTimeoutMs { parts.append("stream timeout \(RuleText.time(.milliseconds(streamTimeoutMs)))") }
    if retries > 0 { parts.append("retries \(retries)") }
    parts += [rollout?.text, hedging, session].compactMap { $0 }
    parts += rateLimits + [requestBody, overrides].compactMap { $0 } + faults.map { "faults of \($0)" }
    return parts.joined(separator: "; ")
  }
}

extension RulesReport.Port {
  fileprivate var text: String {
    var head = "\(service).\(namespace):\(port) (\(appProtocol))"
    if !consumers.isEmpty { head += "; clients in \(consumers.joined(separator: ", ")) have rules of their own" }
    var table = TextTable([
      .init("#", .right), .init("RULE"), .init("MATCH"), .init("BACKENDS"), .init("ALSO"), .init("FROM"),
    ])
    for (index, rule) in rules.enumerated() {
      table.add(
        "\(index + 1)", rule.name, rule.matchText, rule.backendText, rule.extraText, rule.source ?? "")
    }
    return head + "\n" + (rules.isEmpty ? "  no rules: every request is answered 404\n" : table.render(indent: "  "))
  }
}
