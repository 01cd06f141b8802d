extension TCPRoute {
  /// Reads `gateway.networking.k8s.io TCPRoute`; nil when it has no metadata or spec.
  init?(_ object: Fields) {
    guard let (metadata, spec) = RouteSpec.begin(object) else { return nil }
    let parents = RouteParent.list(spec, namespace: metadata.namespace)
    let rules = ConnectionRule.list(spec, namespace: metadata.namespace)
    spec.finish()
    self.init(metadata: metadata, parents: parents, rules: rules)
  }
}

extension ConnectionRule {
  private static let fix = "list the Services that the connections go to"

  /// Reads `rules`, of which these kinds have exactly one: there is nothing in them to choose by.
  static func list(_ spec: Fields, namespace: String) -> [ConnectionRule] {
    guard let list = spec.required("rules", fix: "list one rule with backendRefs") else { return [] }
    let elements = list.elements(atMost: 1)
    if elements.isEmpty { list.error("must not be empty", fix: "list one rule with backendRefs") }
    return elements.compactMap { ConnectionRule($0, namespace: namespace) }
  }

  private init?(_ field: Field, namespace: String) {
    guard let fields = field.fields() else { return nil }
    let name = fields.optional("name").flatMap { $0.subdomain() }
    let list = fields.required("backendRefs", fix: Self.fix)
    let elements = list?.elements(atMost: RouteLimits.backends) ?? []
    if let list, elements.isEmpty { list.error("must not be empty", fix: Self.fix) }
    fields.finish()
    self.init(name: name, backends: elements.compactMap { RouteBackend(ofConnections: $0, namespace: namespace) })
  }
}
