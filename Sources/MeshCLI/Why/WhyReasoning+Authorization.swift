internal import MeshCore
internal import MeshHTTP
internal import MeshPolicy

extension WhyReasoning {
  /// Whether the proxies of a backend's endpoints let the caller in, decided by the function that they ask.
  mutating func authorize(_ row: inout WhyAnswer.Backend, _ backend: WeightedBackend, _ rule: RouteRule) {
    let groups = view.authorizations[backend.backend] ?? []
    let ready = Set(row.endpoints.filter(\.ready).map(\.address))
    for group in groups {
      let concerned = ready.intersection(group.endpoints).count
      guard concerned > 0 else { continue }
      let part = Double(concerned) / Double(max(ready.count, 1))
      let outcome = outcome(of: group.authorization, backend, rule)
      row.authorization.append(part < 1 ? "\(outcome.text), by \(concerned) of \(ready.count) endpoints" : outcome.text)
      guard let failure = outcome.failure(share: row.share * part, isGRPC: request.isGRPC) else { continue }
      row.failure = failure
      answer.failures.append(failure)
    }
  }

  private struct Outcome {
    var text: String
    /// 0: it is let in.
    var status: UInt16 = 0
    var fix = ""

    func failure(share: Double, isGRPC: Bool) -> WhyAnswer.Failure? {
      guard status > 0 else { return nil }
      let grpc: GRPCStatus? = isGRPC ? (status == 403 ? .permissionDenied : .invalidArgument) : nil
      return .init(share: share, status: status, grpcStatus: grpc?.rawValue, reason: text, fix: fix)
    }
  }

  private func outcome(of authorization: Authorization, _ backend: WeightedBackend, _ rule: RouteRule) -> Outcome {
    let authorizer = Authorizer(authorization)
    let isStream = answer.request.isTunnel || answer.service?.appProtocol == AppProtocol.tcp.rawValue
    let asked = filtered([rule.filters, backend.filters])
    if !isStream, authorizer.readsPaths {
      switch CanonicalPath.of(asked.bytes(asked.path)) {
      case .unchanged: break
      case .rewritten(let path): asked.path = path.withUnsafeBytes { asked.intern($0) }
      case .refused(let problem):
        return Outcome(
          text: "the path can be read in more than one way (\(problem.rawValue)), and policies go by it", status: 400,
          fix: "ask for it in plain form")
      }
    }
    let caller = CallerFacts(
      identity: SPIFFEID(answer.caller.identity), address: SocketAddress(answer.caller.address, defaultPort: 0))
    let call = AuthorizationCall(caller: caller, request: isStream ? nil : asked)
    let decision = authorizer.decide(call, after: .max)
    let first = authorizer.decide(call)
    var outcome = outcome(decision, authorizer, call)
    if first.verdict == .ask, let policy = first.policy, outcome.status == 0 {
      outcome.text =
        "decided by the provider that \(Self.shown(authorization.policies[policy])) asks; then \(outcome.text)"
    }
    return outcome
  }

  private func outcome(
    _ decision: AuthorizationDecision, _ authorizer: Authorizer, _ call: AuthorizationCall
  ) -> Outcome {
    let authorization = authorizer.authorization
    let policy = decision.policy.map { authorization.policies[$0] }
    switch (decision.verdict, decision.cause) {
    case (.allow, .rule), (.ask, _): return Outcome(text: "allowed by \(policy.map(Self.shown) ?? "")")
    case (.allow, _): return Outcome(text: "allowed by \(Self.shown(mode: authorization))")
    case (.deny, .rule):
      let rule = decision.policy.flatMap { authorizer.denyingRule(of: $0, call) } ?? 0
      return Outcome(
        text: "denied by \(policy.map(Self.shown) ?? ""), rule \(rule + 1)", status: 403,
        fix: "except the caller or the request from that rule; nothing that allows goes before it")
    case (.deny, .broken):
      let name = policy?.name ?? ""
      return Outcome(
        text: "denied, as the AuthorizationPolicy \(name) has a mistake and no version before it", status: 403,
        fix: "mend the manifest, or remove it; apus get authorizationpolicy tells what is wrong with it")
    case (.deny, .mode):
      return Outcome(
        text: "denied by \(Self.shown(mode: authorization))", status: 403,
        fix: "write an AuthorizationPolicy with action: allow and from: [{serviceAccounts: [\(callerAccount)]}]")
    case (.deny, .nothingAllows):
      return Outcome(
        text: "denied, as no allow policy matches" + mismatches(authorizer, call), status: 403,
        fix: "add serviceAccounts: [\(callerAccount)] and what it asks for to a rule of one of them")
    }
  }

  /// `: shop/web-only rule 1 (from)`. At most a few: people read them.
  private func mismatches(_ authorizer: Authorizer, _ call: AuthorizationCall) -> String {
    let found = authorizer.mismatches(call)
    if found.isEmpty { return "" }
    let shown = found.prefix(4).map { mismatch in
      let why =
        mismatch.part == .noRequest ? "asks for requests, and this is a byte stream" : "by \(mismatch.part.rawValue)"
      return "\(authorizer.authorization.policies[mismatch.policy].name) rule \(mismatch.rule + 1) (\(why))"
    }
    return ": not " + shown.joined(separator: ", ")
      + (found.count > shown.count ? ", and \(found.count - shown.count) more" : "")
  }

  private var callerAccount: String {
    SPIFFEID(answer.caller.identity).map { "\($0.namespace)/\($0.serviceAccount)" } ?? "NAMESPACE/NAME"
  }

  private static func shown(_ policy: AuthorizationPolicy) -> String {
    "the \(policy.action.name) policy \(policy.name)"
  }

  private static func shown(mode authorization: Authorization) -> String {
    authorization.modeSource.isEmpty
      ? "the default mode \(authorization.mode.rawValue)"
      : "defaultMode: \(authorization.mode.rawValue) of \(authorization.modeSource)"
  }
}
