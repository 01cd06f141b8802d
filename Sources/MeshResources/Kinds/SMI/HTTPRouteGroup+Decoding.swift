import MeshPolicy

extension HTTPRouteGroup {
  private static let fix = "list at least one match"

  /// Reads `specs.smi-spec.io HTTPRouteGroup` of the given version; nil after at least one problem was reported.
  init?(_ object: Fields, version: String) {
    let metadata = ObjectMetadata(object, nameRule: .subdomain)
    let list: Field?
    if SMIVersion.hasSpec(version) {
      let spec = object.required("spec")?.fields()
      list = spec?.required("matches", fix: Self.fix)
      spec?.finish()
    } else {
      list = object.required("matches", fix: Self.fix)
    }
    object.allow("status")
    object.finish()
    let elements = list?.elements(atMost: Self.maximumMatches) ?? []
    if let list, elements.isEmpty { list.error("must not be empty", fix: Self.fix) }
    var matches: [Match] = []
    for element in elements {
      guard let match = Match(element, version: version) else { continue }
      if matches.contains(where: { $0.name == match.name }) {
        element.error("two matches have the name \(match.name)", fix: "rename one of them")
      }
      matches.append(match)
    }
    guard let metadata else { return nil }
    self.init(metadata: metadata, matches: matches)
  }
}

extension HTTPRouteGroup.Match {
  private static let knownMethods = ["GET", "HEAD", "PUT", "POST", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"]

  fileprivate init?(_ field: Field, version: String) {
    guard let fields = field.fields() else { return nil }
    let name = fields.required("name", fix: "TrafficTargets name the match by it")?.nonEmptyString()
    let path = fields.optional("pathRegex").flatMap { $0.pathRegex() }
    let methods = fields.optional("methods").map { Self.methods(in: $0) }
    var headers: [HeaderMatch] = []
    if let field = fields.optional("headers") {
      if version == "v1alpha1" {
        field.error("is a field of v1alpha2 and later", fix: "write apiVersion: specs.smi-spec.io/v1alpha4")
      }
      headers = Self.headers(in: field)
    }
    fields.finish()
    guard let name else { return nil }
    self.init(name: name, pathRegex: path, methods: methods ?? [], headers: headers)
  }

  /// `*` stands for every method, also those that the specification does not list.
  private static func methods(in field: Field) -> [String] {
    var words: [String] = []
    for word in field.elements(atMost: 16).compactMap({ $0.word(knownMethods + ["*"]) }) where !words.contains(word) {
      words.append(word)
    }
    return words.contains("*") ? [] : words
  }

  /// A mapping in the specification, and a list of mappings with one entry each in SMI's own CRD and client.
  private static func headers(in field: Field) -> [HeaderMatch] {
    let entries: [(key: String, field: Field)]
    if case .sequence = field.node.value {
      entries = field.elements(atMost: RouteLimits.headers).flatMap { $0.entries() }
    } else {
      entries = field.entries()
    }
    if entries.count > RouteLimits.headers {
      field.error("has \(entries.count) entries; at most \(RouteLimits.headers) are allowed")
    }
    var headers: [HeaderMatch] = []
    for (key, value) in entries.prefix(RouteLimits.headers) {
      guard NameSyntax.isToken(key), key.utf8.count <= 256 else {
        value.error("\"\(key)\" is not the name of a header")
        continue
      }
      guard let pattern = value.headerValue() else { continue }
      value.checkRegularExpression(pattern)
      if headers.contains(where: { $0.name == key.lowercased() }) {
        value.error("the header \(key.lowercased()) is matched twice", fix: "join the two patterns")
      }
      headers.append(HeaderMatch(name: key.lowercased(), value: .regularExpression(pattern)))
    }
    return headers
  }
}

extension PortRoute {
  /// Reads `specs.smi-spec.io TCPRoute` or `UDPRoute` of the given version; nil after at least one problem was reported.
  init?(_ object: Fields, version: String, transport: Transport) {
    let metadata = ObjectMetadata(object, nameRule: .subdomain)
    var ports: [UInt16] = []
    if version == "v1alpha4" {
      let spec = object.required("spec")?.fields()
      let matches = spec?.optional("matches")?.fields()
      matches?.allow("name")
      if let list = matches?.optional("ports") {
        for element in list.elements(atMost: 1024) {
          guard let port = element.port() else { continue }
          if ports.contains(port) { element.warning("port \(port) is listed twice", fix: "remove it") }
          ports.append(port)
        }
      }
      matches?.finish()
      spec?.finish()
    } else if SMIVersion.hasSpec(version) {
      // "spec: {}", which says nothing yet.
      object.optional("spec")?.fields()?.finish()
    }
    object.allow("status")
    object.finish()
    guard let metadata else { return nil }
    self.init(metadata: metadata, transport: transport, ports: ports)
  }
}

/// What changed between versions of SMI's specs.
enum SMIVersion {
  /// v1alpha1 and v1alpha2 have their fields beside `metadata`.
  static func hasSpec(_ version: String) -> Bool { !["v1alpha1", "v1alpha2"].contains(version) }
}

extension Field {
  /// SMI anchors it at the beginning only.
  fileprivate func pathRegex() -> String? {
    guard let text = nonEmptyString() else { return nil }
    if text.utf8.count > RouteLimits.pathBytes { error("must be at most \(RouteLimits.pathBytes) bytes long") }
    checkRegularExpression(text)
    // Good by itself, and too large with what is put around it.
    if !context.hasErrors { checkRegularExpression(HTTPRouteGroup.Match.wholePath(text)) }
    return text
  }
}
