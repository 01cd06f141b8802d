import MeshPolicy

extension HTTPRoute {
  /// Reads `gateway.networking.k8s.io HTTPRoute`; nil after at least one problem was reported.
  ///
  /// Applies the defaults that a cluster's API server would fill in.
  init?(_ object: Fields) {
    let metadata = ObjectMetadata(object, nameRule: .subdomain)
    let spec = object.required("spec")?.fields()
    object.allow("status")
    object.finish()
    guard let metadata, let spec else { return nil }
    var parents: [Parent] = []
    if let list = spec.required("parentRefs", fix: "name the Service whose requests the route takes") {
      let elements = list.elements(atMost: Self.maximumParents)
      if elements.isEmpty { list.error("must not be empty", fix: "name the Service whose requests the route takes") }
      parents = elements.compactMap { Self.parent($0, namespace: metadata.namespace) }
    }
    if let hostnames = spec.optional("hostnames"), !hostnames.elements(atMost: 16).isEmpty {
      hostnames.warning("hostnames have no effect on a route with a Service parent", fix: "match the Host header")
    }
    spec.unsupported("useDefaultGateways", fix: "remove it and name a Service in parentRefs")
    var rules = [Rule(backends: [])]
    if let list = spec.optional("rules") {
      let elements = list.elements(atMost: Self.maximumRules)
      rules = elements.compactMap { Self.rule($0, namespace: metadata.namespace) }
      for (index, rule) in rules.enumerated()
      where rules[..<index].contains(where: { $0.name != nil && $0.name == rule.name }) {
        list.error("two rules have the name \(rule.name ?? "")", fix: "rename one of them")
      }
      if rules.reduce(0, { $0 + $1.matches.count }) > Self.maximumMatches {
        list.error("the rules have more than \(Self.maximumMatches) matches together", fix: "split the route")
      }
    }
    spec.finish()
    self.init(metadata: metadata, parents: parents, rules: rules)
  }

  private static func parent(_ field: Field, namespace: String) -> Parent? {
    guard let fields = field.fields() else { return nil }
    let group = fields.optional("group").map { $0.string() } ?? "gateway.networking.k8s.io"
    let kind = fields.optional("kind").map { $0.string() } ?? "Gateway"
    let name = fields.required("name")?.label()
    let own = fields.optional("namespace").map { $0.label() } ?? namespace
    let port = fields.optional("port").map { $0.port() }
    let section = fields.optional("sectionName").map { $0.portName() }
    fields.finish()
    guard let group, let kind, let name else { return nil }
    // "core" is wrong by the letter of the API, but GAMMA's own examples write it.
    guard kind == "Service", ["", "core"].contains(group) else {
      let shown = group.isEmpty ? kind : "\(group)/\(kind)"
      fields.error("kind", "a parent of kind \(shown) is not supported", fix: "write group: \"\" and kind: Service")
      return nil
    }
    guard own == namespace else {
      fields.error(
        "namespace", "consumer routes are not supported yet",
        fix: "put the route in the namespace of its parent, or remove the field")
      return nil
    }
    if port == .some(nil) || section == .some(nil) { return nil }
    return Parent(service: name, port: port ?? nil, sectionName: section ?? nil)
  }

  private static func rule(_ field: Field, namespace: String) -> Rule? {
    guard let fields = field.fields() else { return nil }
    let name = fields.optional("name").flatMap { $0.subdomain() }
    var matches =
      fields.optional("matches")?.elements(atMost: maximumMatchesPerRule)
      .compactMap { RouteMatch(httpRouteMatch: $0) } ?? []
    if matches.isEmpty { matches = [RouteMatch(path: .prefix("/"))] }
    let filters = HeaderFilter.list(fields.optional("filters")).map(RouteFilter.headers)
    let backends =
      fields.optional("backendRefs")?.elements(atMost: maximumBackends)
      .compactMap { backend($0, namespace: namespace) } ?? []
    fields.unsupported("timeouts", fix: "remove it; requests have no total timeout")
    fields.unsupported("retry", fix: "remove it")
    fields.unsupported("sessionPersistence", fix: "remove it")
    fields.finish()
    return Rule(name: name, matches: matches, filters: filters, backends: backends)
  }

  private static func backend(_ field: Field, namespace: String) -> Backend? {
    guard let fields = field.fields() else { return nil }
    let group = fields.optional("group").map { $0.string() } ?? ""
    let kind = fields.optional("kind").map { $0.string() } ?? "Service"
    let name = fields.required("name")?.label()
    let other = fields.optional("namespace").map { $0.label() } ?? namespace
    let weight = fields.optional("weight").map { $0.integer(in: 0...maximumWeight) } ?? 1
    guard let group, let kind else { return nil }
    let isService = kind == "Service" && ["", "core"].contains(group)
    // The API answers 500 for the share of a kind it does not know, rather than refuse the route.
    if !isService {
      fields.warning(
        "kind", "the kind \(group.isEmpty ? kind : "\(group)/\(kind)") cannot serve; its share is answered 500",
        fix: "write kind: Service")
    }
    let portField = isService ? fields.required("port", fix: "name the Service's port") : fields.optional("port")
    let port = portField.map { $0.port() } ?? 0
    fields.unsupported("filters", fix: "move the filters to the rule")
    fields.finish()
    guard let name, let other, let weight, let port else { return nil }
    return Backend(
      kind: isService ? "Service" : kind, namespace: other, name: name, port: port, weight: UInt32(weight))
  }
}
