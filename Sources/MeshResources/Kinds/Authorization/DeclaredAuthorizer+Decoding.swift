import MeshCore
import MeshPolicy

extension DeclaredAuthorizer {
  private static let wires =
    "write grpc: {} for envoy.service.auth.v3, or http: {} for a server that answers 200 to what may pass"

  /// Reads `mesh.apus.dev/v1alpha1 ExternalAuthorizer`; nil when it lacks something that it cannot be without.
  init?(_ object: Fields) {
    let metadata = ObjectMetadata(object, nameRule: .subdomain)
    let spec = object.required("spec")?.fields()
    object.allow("status")
    object.finish()
    guard let metadata, let spec else { return nil }
    let service = spec.required("service", fix: "name the service that decides, and its port").flatMap {
      AuthorizerReader.service($0, namespace: metadata.namespace)
    }
    let grpc = spec.optional("grpc")?.fields().map { ExternalAuthorizer.Wire.grpc(AuthorizerReader.grpc($0)) }
    let http = spec.optional("http")?.fields().map { ExternalAuthorizer.Wire.http(AuthorizerReader.http($0)) }
    let timeout = spec.time("timeout")
    if timeout == .zero { spec.error("timeout", "must not be 0s", fix: "write how long an answer may take") }
    let failure = AuthorizerReader.failure(spec)
    let fields = spec.optional("headers").map { AuthorizerReader.names($0) }
    let content = spec.optional("body")?.fields().flatMap { AuthorizerReader.content($0) }
    if http != nil, content?.isRaw == true { spec.error("body", "raw is of grpc only", fix: "remove raw") }
    spec.finish()
    let wires = [grpc, http].compactMap(\.self)
    if wires.count != 1, !spec.context.hasErrors {
      spec.error("must have exactly one of grpc and http", fix: Self.wires)
    }
    guard let service, let wire = wires.first else { return nil }
    self.init(
      metadata: metadata,
      authorizer: ExternalAuthorizer(
        service: service, wire: wire, timeout: timeout ?? ExternalAuthorizer.defaultTimeout, failure: failure,
        fields: fields, content: content))
  }
}

private enum AuthorizerReader {
  static func service(_ field: Field, namespace: String) -> ServicePort? {
    guard let fields = field.fields() else { return nil }
    let name = fields.required("name", fix: "name the service")?.label()
    let space = fields.optional("namespace").map { $0.label() } ?? namespace
    let port = fields.required("port", fix: "write its port")?.port()
    fields.finish()
    guard let name, let space, let port else { return nil }
    return ServicePort(service: ServiceName(name: name, namespace: space), port: port)
  }

  static func grpc(_ block: Fields) -> ExternalAuthorizer.GRPC {
    defer { block.finish() }
    guard let context = block.optional("contextExtensions") else { return ExternalAuthorizer.GRPC() }
    let entries = context.entries()
    if entries.count > PolicyLimits.descriptors {
      context.error("has \(entries.count) entries; at most \(PolicyLimits.descriptors) are allowed")
    }
    let pairs = entries.prefix(PolicyLimits.descriptors).compactMap { key, field in
      field.string().map { ExternalAuthorizer.Pair(key: key, value: $0) }
    }
    return ExternalAuthorizer.GRPC(context: pairs.sorted { $0.key < $1.key })
  }

  static func http(_ block: Fields) -> ExternalAuthorizer.HTTP {
    defer { block.finish() }
    return ExternalAuthorizer.HTTP(
      pathPrefix: block.optional("pathPrefix").flatMap { prefix($0) } ?? "",
      requestFields: block.optional("upstreamHeaders").map { names($0) } ?? [],
      responseFields: block.optional("clientHeadersOnAllow").map { names($0) } ?? [],
      denialFields: block.optional("clientHeadersOnDeny").map { names($0) })
  }

  private static func prefix(_ field: Field) -> String? {
    guard let text = field.string() else { return nil }
    let isPath = text.hasPrefix("/") && !text.hasSuffix("/") && text.utf8.allSatisfy(NameSyntax.isPathByte)
    if isPath, text.utf8.count <= RouteLimits.pathBytes { return text }
    field.error("\"\(text)\" is no beginning of a path", fix: "write such as /check, without a slash at the end")
    return nil
  }

  static func names(_ field: Field) -> [String] {
    var names: [String] = []
    for element in field.elements(atMost: PolicyLimits.descriptors) {
      guard let name = element.headerName()?.lowercased() else { continue }
      if !CompiledHeaderFilter.isChangeable(name) {
        element.error("\(name) frames the message or belongs to one connection", fix: "remove it")
      } else if names.contains(name) {
        element.warning("\(name) is listed twice", fix: "remove it")
      } else {
        names.append(name)
      }
    }
    return names
  }

  static func content(_ block: Fields) -> ExternalAuthorizer.Content? {
    defer { block.finish() }
    let maximum = block.required("maximumBytes", fix: "write how much of it the authorizer is told")?
      .integer(in: 1...PolicyLimits.bodyBufferBytes)
    let allowsPart = block.optional("allowPartial")?.bool() ?? false
    let isRaw = block.optional("raw")?.bool() ?? false
    return maximum.map { ExternalAuthorizer.Content(maximumBytes: UInt32($0), allowsPart: allowsPart, isRaw: isRaw) }
  }

  static func failure(_ spec: Fields) -> ExternalAuthorizer.Failure {
    let allows = spec.optional("onFailure")?.word(["allow", "deny"]) == "allow"
    let status = spec.optional("failureStatus")?.integer(in: 400...599)
    if allows, status != nil {
      spec.error("failureStatus", "is for onFailure: deny", fix: "remove one of the two")
    }
    return allows ? .allow : .deny(status: UInt16(status ?? 403))
  }
}
