import MeshCore
import MeshPolicy
import MeshResources

/// Turns the routes of a service port into its rules.
struct RouteCompiler {
  let attachments: RouteAttachments
  /// About the rules of each route.
  let findings: [[RouteFinding]]
  private let references: RouteReferences
  private let sessionKey: SipKey

  init(_ routes: [MeshRoute], _ table: ServiceTable, _ sessionKey: SipKey) {
    let references = RouteReferences(table: table)
    attachments = RouteAttachments(routes, table)
    findings = attachments.routes.map { references.findings(of: $0) }
    self.references = references
    self.sessionKey = sessionKey
  }

  /// What routes make of a port; nil when none applies there.
  func config(
    of target: RouteTarget, _ appProtocol: AppProtocol, _ policies: PolicyTable, _ faults: FaultTable
  ) -> ServiceConfig? {
    guard let indices = attachments.byTarget[target], let first = indices.first else { return nil }
    let isOpaque = attachments.routes[first].kind.isOpaque
    return ServiceConfig(
      key: target.port, appProtocol: isOpaque ? .tcp : appProtocol, rules: rules(of: target, indices, policies, faults))
  }

  private func rules(
    of target: RouteTarget, _ indices: [Int], _ policies: PolicyTable, _ faults: FaultTable
  ) -> [RouteRule] {
    let wider = policies.effective(for: target.port)
    return RoutePrecedence.order(attachments.routes, of: indices).map { group in
      let route = attachments.routes[group.route]
      let policy = policies.effective(for: route.rules[group.rule].name, of: route.key, over: wider)
      var rule = rule(
        route, group.rule, group.matches, target.port, route.kind.isOpaque ? policy.ofConnections : policy)
      if !route.kind.isOpaque {
        rule.faults = faults.faults(of: target.port, route.key, rule: route.rules[group.rule].name)
      }
      return rule
    }
  }

  /// Of the routes that have any. `InvalidKind` is the decoder's to tell: it needs no other object for it.
  var warnings: [ResourceKey: [ManifestProblem]] {
    var warnings: [ResourceKey: [ManifestProblem]] = [:]
    for (index, route) in attachments.routes.enumerated() {
      let parents = attachments.parents[index].flatMap { ($0.failure.map { [$0] } ?? []) + $0.warnings }
      let all = parents + findings[index].filter { $0.reason != .invalidKind }
      if !all.isEmpty { warnings[route.key] = all.map { $0.warning(of: route) } }
    }
    return warnings
  }

  private func rule(
    _ route: MeshRoute, _ index: Int, _ matches: [RouteMatch], _ parent: ServicePort, _ policy: EffectivePolicy
  ) -> RouteRule {
    let rule = route.rules[index]
    let path = "\(route.metadata.namespace)/\(route.metadata.name)"
    let backends = rule.backends.map { backend in
      // A proxy knows service ports only; what is of another kind fails under the name of the parent.
      WeightedBackend(
        backend: backend.ref.isOfMesh ? backend.ref.servicePort : parent, weight: backend.weight,
        filters: filters(backend.filters, route.kind),
        failureStatus: references.resolve(backend.ref, for: route.kind) == nil ? 500 : nil)
    }
    let canServe = rule.filters.answer || backends.contains { $0.weight > 0 && $0.failureStatus == nil }
    let name = "\(route.kind.word)/\(path)#\(rule.name ?? "\(index)")"
    return RouteRule(
      name: name, matches: route.kind.isOpaque ? [] : matches,
      serverNames: route.serverNames, filters: filters(rule.filters, route.kind), backends: backends,
      timeouts: policy.timeouts(of: rule.timeouts),
      // A rule with a redirect sends nothing that could be sent again.
      retry: rule.retry ?? (rule.filters.answer ? nil : policy.retry),
      hedging: rule.filters.answer ? nil : policy.hedging,
      session: rule.session?.policy(of: name, sessionKey)
        ?? (rule.filters.answer ? nil : policy.session(of: name, at: parent, sessionKey)),
      rateLimits: policy.ruleLimits, globalRateLimit: policy.globalLimit(ofRoutes: true),
      requestBody: policy.requestBody, overrides: policy.overrides, failureStatus: canServe ? nil : 500)
  }

  /// A mirror whose backend does not resolve is left out: "not configure this backend".
  private func filters(_ declared: [DeclaredFilter], _ kind: MeshRoute.Kind) -> [RouteFilter] {
    declared.compactMap { filter in
      switch filter {
      case .ready(let filter): return filter.normalised
      case .mirror(let mirror):
        guard let backend = references.resolve(mirror.backend, for: kind) else { return nil }
        return .mirror(
          RequestMirror(backend: backend, numerator: mirror.numerator, denominator: mirror.denominator))
      }
    }
  }
}

extension RouteFilter {
  /// "Note that this matches the behavior of the PathPrefix match type": without a trailing slash, as the match itself.
  fileprivate var normalised: RouteFilter {
    switch self {
    case .redirect(var redirect):
      redirect.path = redirect.path?.normalised
      return .redirect(redirect)
    case .rewrite(var rewrite):
      rewrite.path = rewrite.path?.normalised
      return .rewrite(rewrite)
    case .headers, .mirror, .cors: return self
    }
  }
}

extension PathModifier {
  fileprivate var normalised: PathModifier {
    guard case .prefix(let matched, let replacement) = self else { return self }
    return .prefix(matched: matched.withoutTrailingSlashes, replacement: replacement)
  }
}
