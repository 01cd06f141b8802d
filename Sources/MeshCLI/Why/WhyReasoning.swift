internal import MeshAPI
internal import MeshCore
internal import MeshHTTP
internal import MeshPolicy
internal import MeshResources

/// Goes a request's way through the configuration of its caller's proxy: authority -> service -> rule -> backend -> endpoints.
///
/// The stages and their order are those of the proxy's `Router`, each decided by the function of `MeshPolicy` that the proxy asks.
struct WhyReasoning {
  let request: WhyRequest
  let view: MeshView
  /// Of rules by the names of their routes (`httproute/shop/orders`): file and line.
  let sources: [String: String]
  /// Endpoints by address, as the balancers of the caller's proxy see them now.
  let states: [String: String]
  /// Every service port of the mesh.
  let known: [ServicePort]
  /// What the control plane says of manifests.
  let problems: [Apus_V1_ManifestError]
  /// Unix milliseconds.
  let now: Int64
  let head: MessageHead
  var answer: WhyAnswer

  /// The service port that a client of `namespace` means; nil for an IP address or a host outside the mesh.
  static func servicePort(_ request: WhyRequest, namespace: String, hosts: ExternalHosts) -> ServicePort? {
    guard SocketAddress(request.authority, defaultPort: request.defaultPort) == nil else { return nil }
    let table = ExternalHostTable(hosts)
    if let external = table.service(ofAuthority: request.authority, defaultPort: request.defaultPort) {
      return external
    }
    return ServicePort(authority: request.authority, namespace: namespace, defaultPort: request.defaultPort)
  }

  static func answer(
    _ request: WhyRequest, caller: WhyAnswer.Caller, view: MeshView, sources: [String: String] = [:],
    states: [String: String] = [:], knownServices: [String] = [], problems: [Apus_V1_ManifestError] = [], now: Int64
  ) -> WhyAnswer {
    var reasoning = WhyReasoning(
      request: request, caller: caller, view: view, sources: sources, states: states,
      known: knownServices.compactMap { ServicePort($0) }, problems: problems, now: now)
    reasoning.reason()
    return reasoning.answer
  }

  private init(
    request: WhyRequest, caller: WhyAnswer.Caller, view: MeshView, sources: [String: String], states: [String: String],
    known: [ServicePort], problems: [Apus_V1_ManifestError], now: Int64
  ) {
    self.known = known
    self.problems = problems
    self.now = now
    self.request = request
    self.view = view
    self.sources = sources
    self.states = states
    head = request.head()
    answer = WhyAnswer(
      request: .init(
        method: request.method, authority: request.authority, target: request.target, headers: request.headers,
        isGRPC: request.isGRPC, isTunnel: false),
      caller: caller)
  }

  // MARK: - Service

  private mutating func reason() {
    if answer.caller.configuration != "SYNCED" {
      answer.notes.append(
        "the caller's proxy has not acknowledged the newest configuration, so it may still do otherwise: apus status")
    }
    if let address = SocketAddress(request.authority, defaultPort: request.defaultPort) { return leave(to: address) }
    guard let key = Self.servicePort(request, namespace: answer.caller.namespace, hosts: view.hosts) else {
      return leaveMesh()
    }
    guard let config = view.services[key] else { return mayBeOutside(key) ? leaveMesh() : failUnknown(key) }
    guard permitsRegistered() else { return }
    answer.service = WhyAnswer.Service(
      name: key.service.name, namespace: key.service.namespace, port: key.port,
      appProtocol: config.appProtocol.rawValue,
      isConsumerRoute: view.consumers[key]?.contains(answer.caller.namespace) ?? false, rules: config.rules.count)
    chooseRule(config)
  }

  private mutating func failUnknown(_ key: ServicePort) {
    let reason = absence(key)
    if let fix = reason.fix { return fail(404, reason.text, fix: fix) }
    let names = Set(known.map(\.service))
    let elsewhere = names.filter { $0.name == key.service.name }.sorted().first
    let meant =
      elsewhere?.description
      ?? Suggestion.nearest(to: key.service.description, among: names.map(\.description).sorted())
    fail(
      404, reason.text,
      fix: meant.map { "did you mean \($0)?" } ?? "list them: apus routes")
  }

  /// What there is not, and the ports that there are of a service that is there.
  private func absence(_ key: ServicePort) -> (text: String, fix: String?) {
    let ports = known.filter { $0.service == key.service }.map { "\($0.port)" }
    if ports.isEmpty { return ("the mesh knows no service \(key.service)", nil) }
    return ("the service \(key.service) has no port \(key.port)", "its ports: \(ports.joined(separator: ", "))")
  }

  // MARK: - Rule

  private mutating func chooseRule(_ config: ServiceConfig) {
    // TLS inside a CONNECT has no head to look at.
    answer.request.isTunnel = request.isHTTPS || head.method == .connect
    guard let index = answer.request.isTunnel ? tunnelRule(config) : matchingRule(config) else {
      if answer.request.isTunnel {
        return fail(
          0, "no TLSRoute of \(config.key) takes connections for \(request.serverName)",
          fix: "add the name to a TLSRoute's hostnames; see them: apus routes")
      }
      return fail(404, "none of the \(config.rules.count) rules of \(config.key) matches", fix: "see them: apus routes")
    }
    let rule = config.rules[index]
    if !answer.request.isTunnel { addFaults(rule) }
    if let status = rule.failureStatus { return failAll(of: rule, status) }
    if !answer.request.isTunnel, replies(rule.filters, config.key) { return }
    for (backend, share) in zip(rule.backends, rule.shares) { add(backend, share, rule, config.key) }
    addMirrors(rule)
    if WeightedPick(rule.backends).pick(0) == nil {
      fail(503, "every backend of the rule has the weight 0", fix: "give one of them a weight")
    }
    answer.delivered = answer.failures.isEmpty
  }

  private mutating func tunnelRule(_ config: ServiceConfig) -> Int? {
    if let table = ServerNameTable(config.rules) {
      let name = request.serverName
      answer.notes.append(
        "the rule goes by the name that the client's TLS asks for, \(name); bytes are passed on as they are")
      let index = table.rule(for: name)
      answer.rule = index.map { rule(config.rules[$0], match: nil, at: config.key) }
      return index
    }
    answer.notes.append(
      "https is a tunnel of bytes (CONNECT): it follows the rule that takes everything, else the last")
    let index = config.rules.firstIndex { $0.matches.isEmpty } ?? config.rules.indices.last
    answer.rule = index.map { rule(config.rules[$0], match: nil, at: config.key) }
    return index
  }

  private mutating func matchingRule(_ config: ServiceConfig) -> Int? {
    let explanation = RouteExplanation(config.rules, head)
    passOver(explanation.refusals, config)
    answer.rule = explanation.rule.map { rule(config.rules[$0], match: explanation.match, at: config.key) }
    if let index = explanation.rule { answer.alsoMatching = laterMatches(config, after: index) }
    return explanation.rule
  }

  private mutating func passOver(_ refusals: [RouteExplanation.Refusal], _ config: ServiceConfig) {
    for refusal in refusals {
      let name = config.rules[refusal.rule].name
      let reason = RuleText.refusal(refusal)
      if answer.passedOver.last?.rule == name {
        answer.passedOver[answer.passedOver.count - 1].reasons.append(reason)
      } else {
        answer.passedOver.append(.init(rule: name, reasons: [reason]))
      }
    }
  }

  private func rule(_ rule: RouteRule, match: Int?, at port: ServicePort) -> WhyAnswer.Rule {
    WhyAnswer.Rule(
      name: rule.name, source: source(of: rule.name), match: match, matches: rule.matches.map(RuleText.match),
      filters: rule.filters.map(RuleText.filter),
      timeouts: .init(
        requestMs: rule.timeouts.request?.wholeMilliseconds,
        backendRequestMs: rule.timeouts.backendRequest?.wholeMilliseconds,
        idleMs: rule.timeouts.idle?.wholeMilliseconds, streamMs: rule.timeouts.stream?.wholeMilliseconds),
      retry: rule.retry.map {
        .init(
          attempts: $0.attempts, statusCodes: $0.statusCodes, conditions: RuleText.conditions($0),
          backoffMs: $0.backoff.wholeMilliseconds, maximumRetryAfterMs: $0.maximumRetryAfter.wholeMilliseconds)
      }, hedging: rule.hedging.map(RuleText.hedging), session: rule.session.map { session($0, rule) },
      serverNames: rule.serverNames,
      rateLimits: RuleText.limits(rule),
      requestBody: rule.requestBody.map(RuleText.requestBody), overrides: rule.overrides.map(RuleText.overrides),
      policy: view.policies[PolicyPlace(port: port, rule: rule.name)] ?? [],
      rollout: view.rollouts[PolicyPlace(port: port, rule: rule.name)])
  }

  private func session(_ policy: SessionPolicy, _ rule: RouteRule) -> WhyAnswer.Session {
    var session = WhyAnswer.Session(carrier: RuleText.session(policy))
    let plan = SessionPlan(policy)
    guard !answer.request.isTunnel, let token = plan.find(in: head, now: UInt32(clamping: now / 1_000)) else {
      return session
    }
    for backend in rule.backends where backend.failureStatus == nil {
      for endpoint in view.endpoints[backend.backend]?.endpoints ?? []
      where plan.tag(of: endpoint.address, in: backend.backend) == token.endpoint {
        session.endpoint = endpoint.address.description
        session.backend = backend.backend.description
      }
    }
    return session
  }

  private func source(of rule: String) -> String? {
    sources[rule.split(separator: "#", maxSplits: 1).first.map(String.init) ?? rule]
  }

  // MARK: - Filters

  /// Whether the proxy answers in a backend's place; true ends the way.
  private mutating func replies(_ filters: [RouteFilter], _ service: ServicePort) -> Bool {
    guard let reply = reply(filters, service) else { return false }
    answer.reply = reply
    answer.delivered = true
    return true
  }

  private mutating func reply(_ filters: [RouteFilter], _ service: ServicePort) -> WhyAnswer.Reply? {
    for case .cors(let policy) in filters {
      let verdict = CompiledCORS(policy).judge(origin: head.value(.origin))
      if CompiledCORS.isPreflight(head) {
        return .init(
          status: 204, reason: "a CORS preflight; its origin is \(verdict == .allowed ? "allowed" : "not allowed")")
      }
      if verdict == .refused {
        answer.notes.append("the CORS filter does not know this origin: a browser hides the answer from the page")
      }
    }
    for case .redirect(let redirect) in filters {
      let compiled = CompiledRedirect(redirect)
      let reply = MessageHead()
      compiled.writeLocation(for: head, to: service, into: reply)
      return .init(status: compiled.status, location: reply.value(.location)?.string, reason: "the rule redirects")
    }
    return nil
  }

  /// What a backend is asked for; nil when that is what the client asked for.
  private func sees(_ chains: [[RouteFilter]]) -> String? {
    let line = Self.line(filtered(chains))
    return line == Self.line(head) ? nil : line
  }

  func filtered(_ chains: [[RouteFilter]]) -> MessageHead {
    let changed = MessageHead()
    changed.copy(from: head)
    for filters in chains {
      CompiledHeaderFilter(filters.headerFilters, direction: .request).apply(to: changed)
      for case .rewrite(let rewrite) in filters { CompiledRewrite(rewrite).apply(to: changed) }
    }
    return changed
  }

  private static func line(_ head: MessageHead) -> String {
    "\(head.methodText) \(head.bytes(head.path).string), Host \(head.bytes(head.authority).string)"
  }

  // MARK: - Backends

  private mutating func add(_ backend: WeightedBackend, _ share: Double, _ rule: RouteRule, _ service: ServicePort) {
    let set = view.endpoints[backend.backend]
    let clients = EndpointClients(
      home: answer.caller.locality, states: states,
      subset: set.flatMap { $0.policy.balancing.subset }.flatMap { subset in
        let head = answer.request.isTunnel ? head : filtered([rule.filters, backend.filters])
        return RequestKey(.header(subset.header)).find(in: head, client: nil)
      })
    var row = WhyAnswer.Backend(
      backend: backend.backend.description, weight: backend.weight, share: share,
      filters: backend.filters.map(RuleText.filter),
      sees: answer.request.isTunnel ? nil : sees([rule.filters, backend.filters]),
      balancer: set.map { "\($0.policy.balancing.algorithm)" }, outliers: set?.policy.outliers.isEnabled,
      healthCheck: set?.policy.healthCheck.map(RuleText.healthCheck),
      retryBudget: rule.retry == nil ? nil : set.map { WhyAnswer.RetryBudget($0.policy.retryBudget) },
      policy: view.policies[PolicyPlace(port: backend.backend)] ?? [],
      endpoints: view.rows(backend.backend, for: clients))
    if let hosts = set?.names?.hosts {
      answer.notes.append(
        "\(backend.backend): the caller's proxy finds the addresses of \(hosts.joined(separator: ", ")) by the DNS")
    }
    if share > 0 {
      if !answer.request.isTunnel, backend.failureStatus == nil, let reply = reply(backend.filters, service) {
        answer.notes.append("\(backend.backend): the proxy answers this share \(reply.status): \(reply.reason)")
      } else {
        row.failure = failure(of: backend, share, set) ?? failureOfSubset(backend, share, set, clients)
      }
      if let failure = row.failure { answer.failures.append(failure) } else { authorize(&row, backend, rule) }
    }
    answer.backends.append(row)
  }

  private func failure(of backend: WeightedBackend, _ share: Double, _ set: EndpointSet?) -> WhyAnswer.Failure? {
    if let status = backend.failureStatus {
      let name = backend.backend
      let isKnown = known.contains(name)
      let reason = isKnown ? "it is of a kind or protocol that serves no requests" : absence(name).text
      return failure(
        share, status, "the backend \(name) cannot serve: \(reason)",
        fix: "see what the route says of it: apus get httproute")
    }
    guard (set?.endpoints ?? []).isEmpty, set?.names == nil else { return nil }
    let waiting = view.unready[backend.backend]?.count ?? 0
    if waiting > 0 {
      return failure(
        share, 503, "\(backend.backend) has no ready endpoint; \(waiting) \(waiting == 1 ? "is" : "are") not ready",
        fix: "see why: apus status; logs of the workload")
    }
    let (reason, fix) = whyNobodyServes(backend.backend)
    return failure(share, 503, "\(backend.backend) has no endpoint: \(reason)", fix: fix)
  }

  private func failureOfSubset(
    _ backend: WeightedBackend, _ share: Double, _ set: EndpointSet?, _ clients: EndpointClients
  ) -> WhyAnswer.Failure? {
    guard let set, let subset = set.policy.balancing.subset, clients.shares(of: set) == nil else { return nil }
    return failure(
      share, 503,
      "no endpoint of \(backend.backend) has the \(subset.label) that the request names by \(subset.header)",
      fix: "start one: apus run --label \(subset.label)=VALUE; or let the policy's fallback be any")
  }

  private mutating func addMirrors(_ rule: RouteRule) {
    guard !answer.request.isTunnel else { return }
    for case .mirror(let mirror) in rule.filters {
      answer.mirrors.append(
        .init(
          backend: mirror.backend.description, share: Double(mirror.numerator) / Double(max(mirror.denominator, 1)),
          endpoints: view.endpoints[mirror.backend]?.endpoints.count ?? 0))
    }
  }

  // MARK: - Failures

  private mutating func failAll(of rule: RouteRule, _ status: UInt16) {
    for (backend, share) in zip(rule.backends, rule.shares) {
      answer.backends.append(
        .init(
          backend: backend.backend.description, weight: backend.weight, share: share, filters: [],
          endpoints: view.rows(backend.backend, for: EndpointClients(states: states))))
    }
    let reason =
      rule.backends.isEmpty
      ? "the rule has no backend" : "no backend of the rule can serve: each names nothing that exists, or has weight 0"
    fail(status, reason, fix: "see what the route says of them: apus get httproute; apus analyze")
  }

  mutating func fail(_ status: UInt16, _ reason: String, fix: String) {
    answer.failures.append(failure(1, status, reason, fix: fix))
  }

  private func failure(_ share: Double, _ status: UInt16, _ reason: String, fix: String) -> WhyAnswer.Failure {
    // The proxy tells gRPC clients so: what nobody serves is not implemented, what cannot be served now is not available.
    let grpc: GRPCStatus? = request.isGRPC ? (status == 404 ? .unimplemented : .unavailable) : nil
    return .init(share: share, status: status, grpcStatus: grpc?.rawValue, reason: reason, fix: fix)
  }
}

extension WhyAnswer.RetryBudget {
  fileprivate init(_ settings: MeshPolicy.RetryBudget.Settings) {
    self.init(percent: settings.percent, minimumPerSecond: settings.minimumPerSecond)
  }
}

extension WhyRequest {
  var defaultPort: UInt16 { isHTTPS ? 443 : 80 }

  /// As a TLS client gives it: the host without a port, in lower case.
  var serverName: String { (authority.split(separator: ":").first.map(String.init) ?? authority).lowercased() }
}

extension TimeSpan {
  var wholeMilliseconds: Int64 { nanoseconds / 1_000_000 }
}
