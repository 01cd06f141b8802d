import MeshCore

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

extension UDPRoute {
  /// Reads `gateway.networking.k8s.io UDPRoute`; nil when it has no metadata or spec.
  init?(_ object: Fields) {
    guard let (metadata, spec) = RouteSpec.begin(object) else { return nil }
    let parents = RouteParent.list(spec, namespace: metadata.namespace)
    _ = ConnectionRule.list(spec, namespace: metadata.namespace)
    spec.finish()
    self.init(metadata: metadata, parents: parents)
  }
}

extension TLSRoute {
  private static let fix = "list the servers that clients ask for"

  /// Reads `gateway.networking.k8s.io TLSRoute` of the given version; nil when it has no metadata or spec.
  init?(_ object: Fields, version: String) {
    guard let (metadata, spec) = RouteSpec.begin(object) else { return nil }
    let parents = RouteParent.list(spec, namespace: metadata.namespace)
    var names: [String] = []
    let list =
      version == "v1alpha2" ? spec.optional("hostnames") : spec.required("hostnames", fix: Self.fix)
    if let list {
      let elements = list.elements(atMost: RouteLimits.serverNames)
      if elements.isEmpty, version != "v1alpha2" { list.error("must not be empty", fix: Self.fix) }
      for element in elements {
        guard let name = element.serverName() else { continue }
        if names.contains(name) {
          element.warning("\"\(name)\" is listed twice", fix: "remove it")
        } else {
          names.append(name)
        }
      }
    }
    let rules = ConnectionRule.list(spec, namespace: metadata.namespace)
    spec.finish()
    self.init(metadata: metadata, parents: parents, hostnames: names, rules: rules)
  }
}

extension Field {
  /// The API's type Hostname: a DNS name, in the place of whose first label a star may stand. Addresses are no names of TLS
  /// servers (RFC 6066, section 3).
  fileprivate func serverName() -> String? {
    guard let text = string() else { return nil }
    let bare = text.hasPrefix("*.") ? String(text.dropFirst(2)) : text
    if SocketAddress(text, defaultPort: 1) != nil {
      error("\"\(text)\" is an address; TLS clients ask for names", fix: "write a name such as db.example.com")
      return nil
    }
    if NameSyntax.isSubdomain(bare), text.utf8.count <= 253 { return text }
    let mended = text.lowercased()
    let isCase = mended != text && NameSyntax.isSubdomain(mended.hasPrefix("*.") ? String(mended.dropFirst(2)) : mended)
    error(
      "\"\(text)\" is not a hostname",
      fix: isCase ? "write \(mended)" : "write a name such as db.example.com or *.example.com")
    return nil
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
