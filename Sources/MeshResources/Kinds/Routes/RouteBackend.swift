/// What a backend or a mirror of a route names. Whether it exists is the compiler's question.
package struct RouteBackendRef: Hashable, Sendable {
  /// `Service`, `ExternalService`, or the group and kind of something that cannot serve: `gateway.networking.x-k8s.io/XBackend`.
  package var kind: String
  package var namespace: String
  package var name: String
  /// 0 only for a kind that cannot serve.
  package var port: UInt16

  package init(kind: String = "Service", namespace: String, name: String, port: UInt16) {
    self.kind = kind
    self.namespace = namespace
    self.name = name
    self.port = port
  }
}

/// One entry of a rule's `backendRefs`.
package struct RouteBackend: Hashable, Sendable {
  package var ref: RouteBackendRef
  package var weight: UInt32
  package var filters: [DeclaredFilter]

  package init(_ ref: RouteBackendRef, weight: UInt32 = 1, filters: [DeclaredFilter] = []) {
    self.ref = ref
    self.weight = weight
    self.filters = filters
  }
}

extension RouteBackendRef {
  /// Reads `group`, `kind`, `namespace`, `name` and `port`; the caller asks for what else the object has.
  init?(_ fields: Fields, namespace: String, failure: String) {
    let group = fields.optional("group").map { $0.string() } ?? ""
    let kind = fields.optional("kind").map { $0.string() } ?? "Service"
    let name = fields.required("name")?.label()
    let other = fields.optional("namespace").map { $0.label() } ?? namespace
    guard let group, let kind else { return nil }
    let isExternal = kind == "ExternalService" && group == "mesh.apus.dev"
    let isService = isExternal || kind == "Service" && ["", "core"].contains(group)
    let shown = group.isEmpty ? kind : "\(group)/\(kind)"
    // The API fails the share of a kind it does not know, rather than refuse the route.
    if !isService {
      fields.warning("kind", "the kind \(shown) cannot serve; \(failure)", fix: "write kind: Service")
    }
    let portField = isService ? fields.required("port", fix: "name the Service's port") : fields.optional("port")
    let port = portField.map { $0.port() } ?? 0
    guard let name, let other, let port else { return nil }
    self.init(kind: isService ? kind : shown, namespace: other, name: name, port: port)
  }
}

extension RouteBackend {
  /// Reads the `backendRefs` of a rule.
  static func list(_ field: Field?, _ reader: RouteFilterReader) -> [RouteBackend] {
    field?.elements(atMost: RouteLimits.backends).compactMap { RouteBackend($0, reader) } ?? []
  }

  private init?(_ field: Field, _ reader: RouteFilterReader) {
    guard let fields = field.fields() else { return nil }
    let filters = reader.list(fields.optional("filters"))
    self.init(fields, namespace: reader.namespace, loss: "its share is answered \(reader.failure)", filters)
  }

  /// A share of connections, which have no filters.
  init?(ofConnections field: Field, namespace: String) {
    guard let fields = field.fields() else { return nil }
    self.init(fields, namespace: namespace, loss: "its share is closed", [])
  }

  private init?(_ fields: Fields, namespace: String, loss: String, _ filters: [DeclaredFilter]) {
    let weight = fields.optional("weight").map { $0.integer(in: 0...RouteLimits.weight) } ?? 1
    let ref = RouteBackendRef(fields, namespace: namespace, failure: loss)
    fields.finish()
    guard let ref, let weight else { return nil }
    self.init(ref, weight: UInt32(weight), filters: filters)
  }
}
