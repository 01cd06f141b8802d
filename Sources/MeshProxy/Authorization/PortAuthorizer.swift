import MeshCore
import MeshHTTP
import MeshPolicy
import MeshRuntime
import MeshTelemetry

/// The rules of one port of the workload: judges what comes for it, and tells metrics and log of it.
///
/// Confined to one worker loop. Limit: one line of the log in a second; metrics and access log have every refusal.
final class PortAuthorizer {
  private let authorizer: Authorizer
  private let port: UInt16
  private let service: Int32
  private let namespace: Int32
  /// Outlives everything on its loop.
  private unowned(unsafe) let worker: ProxyWorker
  /// Of the policies, their names, and what the access log says where they decide.
  private let names: [Int32]
  private let texts: [Int32]
  private let modeName: Int32
  private let modeText: Int32
  private let nothingAllows: Int32
  /// By the identity of callers; what a connection once looked up it keeps (`ConnectionCaller`).
  private var rules: [SPIFFEID?: CallerRules] = [:]
  private static let maximumRules = 1_024
  private let edition = CallerRules.Edition()
  private var nextLog = Instant(nanoseconds: 0)
  private var unlogged = 0

  /// Nil without rules, so that a port that has none pays for one look.
  init?(_ config: InboundPortConfig, service: Int32, namespace: Int32, worker: ProxyWorker) {
    guard let authorization = config.authorization else { return nil }
    authorizer = Authorizer(authorization)
    port = config.port
    self.service = service
    self.namespace = namespace
    self.worker = worker
    let labels = worker.metrics.labels
    names = authorization.policies.map { labels.id($0.name) }
    texts = authorization.policies.map { policy in
      let isBroken = "\(policy.name) has a mistake, which closes the port until it is mended"
      return labels.id(policy.isBroken ? isBroken : "\(policy.action.name) by \(policy.name)")
    }
    modeName = labels.id(authorization.modeSource)
    modeText = labels.id("defaultMode \(authorization.mode.rawValue) of \(authorization.modeSource)")
    nothingAllows = labels.id("no allow policy matches")
    // Asked for now, so that the first call need not wait for the provider's configuration.
    for case let authorizer? in authorization.policies.map(\.authorizer) { _ = worker.service(authorizer.service) }
  }

  /// True: the call goes on. False: it was answered, or waits for a provider, which calls `Router.authorized`.
  ///
  /// `asked`: the policy whose provider has allowed it.
  func admits(_ exchange: Exchange, after asked: Int = -1) -> Bool {
    if asked < 0, authorizer.readsPaths, !exchange.isTunnel, let problem = exchange.makePathCanonical() {
      let text = worker.metrics.labels.id("path refused: \(problem.rawValue)")
      refuse(exchange, .ambiguousPath, .path, policy: LabelInterner.empty, text)
      return false
    }
    let caller = exchange.downstream.caller
    let call = exchange.authorizationCall(caller)
    let known = rules(for: caller)
    if asked < 0, authorizer.hasAudits { audit(call, exchange, known) }
    let decision = known.authorizer.decide(call, after: asked)
    switch decision.verdict {
    case .allow: return true
    case .deny: deny(exchange, decision)
    case .ask:
      guard let policy = decision.policy else { return false }
      exchange.askedPolicy = policy
      if exchange.asksProvider() { return false }
      refuse(exchange, .denied, .provider, policy: names[policy], texts[policy])
    }
    return false
  }

  /// Judges again what is under way, after an edit. What a provider has allowed, or was not asked for, is as it was.
  func stillAdmits(_ exchange: Exchange) -> Bool {
    let caller = exchange.downstream.caller
    let decision = rules(for: caller).authorizer.decide(exchange.authorizationCall(caller), after: .max)
    if decision.verdict == .deny { deny(exchange, decision) }
    return decision.verdict != .deny
  }

  /// The provider of the policy that was asked last has refused, or failed to answer; whoever tells it answers the caller.
  func noteRefusal(_ exchange: Exchange, _ outcome: AuthorizationOutcome, _ reason: String) {
    guard names.indices.contains(exchange.askedPolicy) else { return }
    count(names[exchange.askedPolicy], outcome)
    let text = worker.metrics.labels.string(texts[exchange.askedPolicy])
    exchange.authorizationLabel = worker.metrics.labels.id("\(text): \(reason)")
    log(exchange, "\(text): \(reason)")
  }

  /// The same provider failed to answer, and the call goes on all the same.
  func noteUnanswered(_ exchange: Exchange, _ reason: String) {
    guard names.indices.contains(exchange.askedPolicy) else { return }
    let text = worker.metrics.labels.string(texts[exchange.askedPolicy]) + ": \(reason), and it fails open"
    exchange.authorizationLabel = worker.metrics.labels.id(text)
    log(exchange, text, "let in")
  }

  private func rules(for caller: ConnectionCaller) -> CallerRules {
    if let known = caller.rules, known.edition === edition { return known }
    let identity = caller.facts.identity
    let found = rules[identity] ?? CallerRules(edition: edition, authorizer: authorizer.narrowed(to: identity))
    if rules.count >= Self.maximumRules { rules.removeAll(keepingCapacity: true) }
    rules[identity] = found
    caller.rules = found
    return found
  }

  private func audit(_ call: AuthorizationCall, _ exchange: Exchange, _ rules: CallerRules) {
    rules.authorizer.audit(call) { policy, matches in
      if matches { exchange.authorizationLabel = texts[policy] }
      count(names[policy], matches ? .auditMatched : .auditUnmatched)
    }
  }

  // MARK: - Refusals

  private func deny(_ exchange: Exchange, _ decision: AuthorizationDecision) {
    switch (decision.cause, decision.policy) {
    case (.rule, let policy?): refuse(exchange, .denied, .rule, policy: names[policy], texts[policy])
    case (.broken, let policy?): refuse(exchange, .denied, .broken, policy: names[policy], texts[policy])
    case (.mode, _): refuse(exchange, .denied, .mode, policy: modeName, modeText)
    default: refuse(exchange, .denied, .nothingAllows, policy: LabelInterner.empty, nothingAllows)
    }
  }

  private func refuse(
    _ exchange: Exchange, _ error: ProxyError, _ outcome: AuthorizationOutcome, policy: Int32, _ text: Int32
  ) {
    count(policy, outcome)
    exchange.authorizationLabel = text
    log(exchange, worker.metrics.labels.string(text))
    exchange.fail(error)
  }

  private func count(_ policy: Int32, _ outcome: AuthorizationOutcome) {
    worker.metrics.countAuthorization(
      AuthorizationSeriesKey(service: service, namespace: namespace, policy: policy, outcome: outcome))
  }

  private func log(_ exchange: Exchange, _ reason: String, _ verb: StaticString = "denied") {
    guard let log = worker.log else { return }
    guard worker.loop.now >= nextLog else {
      unlogged += 1
      return
    }
    nextLog = worker.loop.now + .seconds(1)
    let caller = exchange.downstream.caller.facts
    let who = caller.identity?.description ?? "a caller without identity"
    let address = caller.address.map { " at \($0)" } ?? ""
    let others = unlogged > 0 ? "; \(unlogged) more since the last such line" : ""
    unlogged = 0
    log.warning("\(verb) \(exchange.shownCall) to port \(port) of \(who)\(address): \(reason)\(others)")
  }
}

extension Exchange {
  /// What there is to judge. Of a tunnel nothing is known but its ends: what its CONNECT says is the mesh's own.
  fileprivate func authorizationCall(_ caller: ConnectionCaller) -> AuthorizationCall {
    AuthorizationCall(caller: caller.facts, request: isTunnel ? nil : request, claims: verifiedClaims)
  }

  /// Brings the path into the form that rules are matched against; the application gets it so, too.
  fileprivate func makePathCanonical() -> CanonicalPath.Problem? {
    switch CanonicalPath.of(request.bytes(request.path)) {
    case .unchanged: return nil
    case .rewritten(let path):
      request.path = path.withUnsafeBytes { request.intern($0) }
      return nil
    case .refused(let problem): return problem
    }
  }

  /// For the log: `GET /orders`, without the query, which may hold what is nobody's business.
  fileprivate var shownCall: String {
    if isTunnel { return "a connection" }
    let path = request.bytes(request.path).prefix { $0 != UInt8(ascii: "?") }.prefix(256)
    let method = request.method == .other ? request.bytes(request.methodBytes).prefix(32).map { $0 } : []
    let name = method.isEmpty ? "\(request.method.name)" : String(decoding: method, as: UTF8.self)
    return "\(name) \(String(decoding: path, as: UTF8.self))"
  }
}
