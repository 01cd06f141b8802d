/// `apus why` for people: one line per stage, in the order of the request's way.
struct WhyText {
  /// Rules that were passed over and are shown; `-o json` has them all.
  private static let maximumPassedOver = 10
  private static let maximumEndpoints = 20

  let answer: WhyAnswer
  let color: Bool
  private var lines: [(label: String, text: String)] = []

  static func render(_ answer: WhyAnswer, color: Bool) -> String {
    var text = WhyText(answer: answer, color: color)
    text.addCaller()
    text.addRule()
    text.addBackends()
    for note in answer.notes { text.add("note", note) }
    let width = text.lines.map(\.label.count).max() ?? 0
    let body = text.lines.map { line in
      line.label + String(repeating: " ", count: width - line.label.count + 2) + line.text + "\n"
    }
    return body.joined() + "\n" + text.verdict
  }

  private init(answer: WhyAnswer, color: Bool) {
    self.answer = answer
    self.color = color
  }

  /// Lines of one stage have its label once.
  private mutating func add(_ label: String, _ text: String) {
    let isSame = lines.last { !$0.label.isEmpty }?.label == label
    lines.append((isSame ? "" : label, text))
  }

  // MARK: - Stages

  private mutating func addCaller() {
    let request = answer.request
    let kind = request.isGRPC ? " (gRPC)" : request.isTunnel ? " (CONNECT)" : ""
    add("request", "\(request.method) \(request.authority)\(request.target)\(kind)")
    for header in request.headers { add("request", "\(header.name): \(header.value)") }
    let caller = answer.caller
    let zone = caller.zone.map { ", zone \($0)" } ?? ""
    add("caller", "\(caller.workload) of \(caller.service).\(caller.namespace), \(caller.identity)\(zone)")
    guard let service = answer.service else { return }
    let rules = service.isConsumerRoute ? ", rules for clients in \(caller.namespace)" : ""
    add("service", "\(service.name).\(service.namespace):\(service.port) (\(service.appProtocol))\(rules)")
  }

  private mutating func addRule() {
    for passed in answer.passedOver.prefix(Self.maximumPassedOver) {
      let more = passed.reasons.count > 1 ? " (and \(passed.reasons.count - 1) more)" : ""
      add("not", "\(passed.rule): \(passed.reasons.first ?? "")\(more)")
    }
    if answer.passedOver.count > Self.maximumPassedOver {
      add("not", "and \(answer.passedOver.count - Self.maximumPassedOver) more; -o json has them")
    }
    guard let rule = answer.rule else { return }
    add("rule", rule.name + (rule.source.map { "  (\($0))" } ?? ""))
    if !rule.serverNames.isEmpty {
      add("match", "server name \(rule.serverNames.joined(separator: ", "))")
    } else if rule.matches.isEmpty {
      add("match", "everything")
    } else if let match = rule.match {
      add("match", rule.matches[match] + (rule.matches.count > 1 ? "  (\(match + 1) of \(rule.matches.count))" : ""))
    }
    for name in answer.alsoMatching.prefix(Self.maximumPassedOver) {
      add(
        "later",
        "\(name) matches, too, and ranks lower: paths go first, the longer before the shorter, then methods, then fields"
      )
    }
    for filter in rule.filters { add("filter", filter) }
    // Who is answered at once waits for nobody.
    if answer.reply == nil { addWaits(rule) }
    if let hedging = rule.hedging { add("hedge", hedging) }
    if let session = rule.session {
      add("session", session.carrier.replacing("session by ", with: "by "))
      add("session", session.endpoint.map { "goes to \($0) of \(session.backend ?? "")" } ?? "the request begins one")
    }
    for limit in rule.rateLimits { add("limit", limit) }
    if let body = rule.requestBody { add("content", body) }
    if let overrides = rule.overrides { add("except", overrides) }
    for fault in rule.faults {
      let state = fault.state == "active" ? "" : "  (\(fault.state))"
      add(
        "fault", "\(RuleText.percent(fault.share))  \(fault.effects.joined(separator: ", "))  by \(fault.name)\(state)")
    }
    for row in rule.policy { add("policy", row.text) }
    if let rollout = rule.rollout { add("rollout", rollout.text) }
    if let reply = answer.reply {
      add("reply", "\(reply.status)\(reply.location.map { " \($0)" } ?? "") by the caller's proxy: \(reply.reason)")
    }
  }

  private mutating func addWaits(_ rule: WhyAnswer.Rule) {
    let timeouts = [
      rule.timeouts.requestMs.map { "request \(Self.time($0))" },
      rule.timeouts.backendRequestMs.map { "each attempt \(Self.time($0))" },
      rule.timeouts.idleMs.map { $0 == 0 ? "idle for ever" : "idle \(Self.time($0))" },
      rule.timeouts.streamMs.map { "stream \(Self.time($0))" },
    ].compactMap { $0 }
    add("timeout", timeouts.isEmpty ? "none" : timeouts.joined(separator: ", "))
    addRetry(rule)
  }

  private mutating func addRetry(_ rule: WhyAnswer.Rule) {
    guard let retry = rule.retry else { return add("retry", "only what is safe for every request (failed connects)") }
    let times = retry.attempts == 1 ? "once" : "\(retry.attempts) times"
    add("retry", "\(times) on \(retry.conditions), after \(Self.time(retry.backoffMs)) or more")
    if retry.maximumRetryAfterMs > 0 {
      add("retry", "an answer's Retry-After is waited for up to \(Self.time(retry.maximumRetryAfterMs))")
    }
  }

  private mutating func addBackends() {
    for backend in answer.backends {
      let share = RuleText.percent(backend.share)
      let trouble = backend.failure.map { "  \(Self.outcome($0))" } ?? ""
      add("backend", "\(share)  \(backend.backend)\(trouble)")
      for filter in backend.filters { add("backend", "  filter: \(filter)") }
      if let sees = backend.sees, backend.share > 0 { add("backend", "  is asked \(sees)") }
      for endpoint in backend.endpoints.prefix(Self.maximumEndpoints) {
        add("backend", "  " + Self.line(endpoint))
      }
      if backend.endpoints.count > Self.maximumEndpoints {
        add("backend", "  and \(backend.endpoints.count - Self.maximumEndpoints) more endpoints")
      }
      if let balancer = backend.balancer, !backend.endpoints.isEmpty {
        add("backend", "  balanced by \(balancer), outlier ejection \(backend.outliers == true ? "on" : "off")")
        if let budget = backend.retryBudget {
          add(
            "backend",
            "  retry budget \(budget.percent) % of its requests, at least \(budget.minimumPerSecond) a second")
        }
        for line in backend.authorization { add("backend", "  \(line)") }
        for row in backend.policy { add("backend", "  policy \(row.text)") }
        if let check = backend.healthCheck { add("backend", "  asked for its health by \(check)") }
      }
    }
    for mirror in answer.mirrors {
      add("mirror", "\(RuleText.percent(mirror.share)) copied to \(mirror.backend), \(mirror.endpoints) endpoints")
    }
  }

  private static func line(_ endpoint: EndpointRow) -> String {
    var parts = [endpoint.address, endpoint.workload, endpoint.ready ? "ready" : "NOT READY"]
    if let state = endpoint.state, state != "ready" { parts.append(state) }
    if let zone = endpoint.zone {
      parts.append("zone \(zone)" + (endpoint.priority.map { ", priority \($0)" } ?? ""))
    }
    if let subset = endpoint.subset { parts.append("subset \(subset)") }
    if let share = endpoint.share { parts.append("gets \(RuleText.percent(share))") }
    if endpoint.weight != 1 { parts.append("weight \(endpoint.weight)") }
    parts.append(endpoint.security)
    return parts.joined(separator: "  ")
  }

  // MARK: - Verdict

  private var verdict: String {
    guard let first = answer.failures.first else {
      if let reply = answer.reply {
        return "\(Mark.ok.text(color: color)) the caller's proxy answers \(reply.status)\n"
      }
      return "\(Mark.ok.text(color: color)) delivered\n"
    }
    var text = ""
    let failing = min(1, answer.failures.reduce(0) { $0 + $1.share })
    let whole = failing > 0.999_999
    text +=
      "\(Mark.error.text(color: color)) \(whole ? "fails" : "\(RuleText.percent(failing)) of such requests fail"): "
    text += "\(first.reason) (\(Self.outcome(first)))\n"
    if let fix = first.fix { text += "  fix: \(fix)\n" }
    for failure in answer.failures.dropFirst() {
      text += "  also, for \(RuleText.percent(failure.share)): \(failure.reason) (\(Self.outcome(failure)))\n"
    }
    return text
  }

  private static func outcome(_ failure: WhyAnswer.Failure) -> String {
    (failure.status == 0 ? "reset" : "answered \(failure.status)")
      + (failure.grpcStatus.map { ", grpc-status \($0)" } ?? "")
  }

  private static func time(_ milliseconds: Int64) -> String {
    milliseconds % 1000 == 0 ? "\(milliseconds / 1000) s" : "\(milliseconds) ms"
  }
}
