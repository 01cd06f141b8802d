import MeshPolicy

extension HTTPRoute {
  /// Reads `gateway.networking.k8s.io HTTPRoute`; nil when it has no metadata or spec.
  ///
  /// Applies the defaults that a cluster's API server would fill in, and checks what its CEL rules check.
  init?(_ object: Fields) {
    guard let (metadata, spec) = RouteSpec.begin(object) else { return nil }
    let parents = RouteParent.list(spec, namespace: metadata.namespace)
    RouteSpec.ignoreHostnames(spec)
    var rules = [Rule(backends: [])]
    if let list = spec.optional("rules") {
      let elements = list.elements(atMost: RouteLimits.rules)
      if elements.isEmpty { list.error("must not be empty", fix: "remove the field, or list a rule") }
      rules = elements.compactMap { Rule($0, namespace: metadata.namespace) }
      RouteSpec.check(names: rules.map(\.name), matches: rules.map(\.matches.count), in: list)
      RouteSpec.check(sessions: rules.map(\.session), in: list)
    }
    spec.finish()
    self.init(metadata: metadata, parents: parents, rules: rules)
  }
}

extension HTTPRoute.Rule {
  fileprivate init?(_ field: Field, namespace: String) {
    guard let fields = field.fields() else { return nil }
    let name = fields.optional("name").flatMap { $0.subdomain() }
    var matches =
      fields.optional("matches")?.elements(atMost: RouteLimits.matchesPerRule)
      .compactMap { RouteMatch(httpRouteMatch: $0) } ?? []
    if matches.isEmpty { matches = [RouteMatch(path: .prefix("/"))] }
    var reader = RouteFilterReader(kind: .http, namespace: namespace)
    if matches.count == 1, case .prefix(let prefix) = matches[0].path { reader.prefix = prefix }
    let filters = reader.list(fields.optional("filters"))
    let backendField = fields.optional("backendRefs")
    let backends = RouteBackend.list(backendField, reader)
    if filters.answer, !backends.isEmpty {
      backendField?.error(
        "cannot stand beside a RequestRedirect filter, which answers every request",
        fix: "remove the backendRefs or the filter", reason: .incompatibleFilters)
    }
    let timeouts = fields.optional("timeouts").flatMap { RouteTimeouts($0) } ?? RouteTimeouts()
    let retry = fields.optional("retry").flatMap { RetryPolicy($0) }
    let sessionField = fields.optional("sessionPersistence")
    let session = sessionField.flatMap { SessionPersistence($0) }
    if filters.answer { sessionField?.warning("has no effect beside a RequestRedirect filter", fix: "remove it") }
    fields.finish()
    self.init(
      name: name, matches: matches, filters: filters, backends: backends, timeouts: timeouts, retry: retry,
      session: session)
  }
}

/// What the kinds of routes have in common.
enum RouteSpec {
  static func begin(_ object: Fields) -> (ObjectMetadata, Fields)? {
    let metadata = ObjectMetadata(object, nameRule: .subdomain)
    let spec = object.required("spec")?.fields()
    object.allow("status")
    object.finish()
    guard let metadata, let spec else { return nil }
    spec.unsupported("useDefaultGateways", fix: "remove it and name a Service in parentRefs")
    return (metadata, spec)
  }

  /// A mesh infers nothing from them (GEP-1294): requests are told apart by the address they go to.
  static func ignoreHostnames(_ spec: Fields) {
    if let hostnames = spec.optional("hostnames"), !hostnames.elements(atMost: RouteLimits.hostnames).isEmpty {
      hostnames.warning("hostnames have no effect on a route with a Service parent", fix: "match the Host header")
    }
  }

  /// Rules never share a session, and a client keeps one token under a name.
  static func check(sessions: [SessionPersistence?], in list: Field) {
    let names = sessions.compactMap { $0?.name?.lowercased() }
    for name in Set(names).sorted() where names.count(where: { $0 == name }) > 1 {
      list.warning(
        "several rules have sessions called \(name): going to one of them ends the session with the others",
        fix: "give each a name of its own, or none")
    }
  }

  static func check(names: [String?], matches: [Int], in list: Field) {
    for (index, name) in names.enumerated() {
      if let name, names[..<index].contains(name) {
        list.error("two rules have the name \(name)", fix: "rename one of them")
      }
    }
    if matches.reduce(0, +) > RouteLimits.matches {
      list.error("the rules have more than \(RouteLimits.matches) matches together", fix: "split the route")
    }
  }
}
