import MeshPolicy

extension GRPCRoute {
  /// Reads `gateway.networking.k8s.io GRPCRoute`; nil when it has no metadata or spec.
  init?(_ object: Fields) {
    guard let (metadata, spec) = RouteSpec.begin(object) else { return nil }
    let parents = RouteParent.list(spec, namespace: metadata.namespace)
    RouteSpec.ignoreHostnames(spec)
    var rules: [Rule] = []
    if let list = spec.optional("rules") {
      rules = list.elements(atMost: RouteLimits.rules).compactMap { Rule($0, namespace: metadata.namespace) }
      RouteSpec.check(names: rules.map(\.name), matches: rules.map(\.matches.count), in: list)
      RouteSpec.check(sessions: rules.map(\.session), in: list)
    }
    if rules.isEmpty {
      // The API has a default for HTTPRoute only.
      spec.warning("rules", "there are no rules, so every call is answered UNIMPLEMENTED", fix: "list a rule")
    }
    spec.finish()
    self.init(metadata: metadata, parents: parents, rules: rules)
  }
}

extension GRPCRoute.Rule {
  fileprivate init?(_ field: Field, namespace: String) {
    guard let fields = field.fields() else { return nil }
    let name = fields.optional("name").flatMap { $0.subdomain() }
    let matches = fields.optional("matches")?.elements(atMost: RouteLimits.matchesPerRule)
      .compactMap { GRPCRoute.Match($0) }
    let reader = RouteFilterReader(kind: .grpc, namespace: namespace)
    let filters = reader.list(fields.optional("filters"))
    let backends = RouteBackend.list(fields.optional("backendRefs"), reader)
    let session = fields.optional("sessionPersistence").flatMap { SessionPersistence($0) }
    fields.finish()
    self.init(name: name, matches: matches ?? [], filters: filters, backends: backends, session: session)
  }
}

extension GRPCRoute.Match {
  fileprivate init?(_ field: Field) {
    guard let fields = field.fields() else { return nil }
    let method = fields.optional("method").flatMap { GRPCRoute.MethodMatch($0) }
    let headers = HeaderMatch.list(fields.optional("headers"))
    fields.finish()
    self.init(method: method, headers: headers)
  }
}

extension GRPCRoute.MethodMatch {
  fileprivate init?(_ field: Field) {
    guard let fields = field.fields() else { return nil }
    let type = fields.optional("type").map { $0.word(["Exact", "RegularExpression"]) } ?? "Exact"
    let service = fields.optional("service")
    let method = fields.optional("method")
    fields.finish()
    guard let type else { return nil }
    if service == nil, method == nil {
      fields.error("must name a service, a method or both", fix: "remove it to match every method")
    }
    let isExpression = type == "RegularExpression"
    self.init(
      isRegularExpression: isExpression,
      service: service?.methodPart(isExpression, "shop.v1.Orders", NameSyntax.isProtobufName),
      method: method?.methodPart(isExpression, "Create", NameSyntax.isProtobufWord))
    // Each part may be good, and the two together too large.
    if isExpression, !field.context.hasErrors, case .regularExpression(let pattern) = path {
      field.checkRegularExpression(pattern)
    }
  }
}

extension Field {
  fileprivate func methodPart(_ isExpression: Bool, _ example: String, _ isName: (String) -> Bool) -> String? {
    guard let text = nonEmptyString() else { return nil }
    if text.utf8.count > RouteLimits.pathBytes { error("must be at most \(RouteLimits.pathBytes) bytes long") }
    if isExpression {
      checkRegularExpression(text)
    } else if !isName(text) {
      error("\"\(text)\" is not a name of gRPC", fix: "write it as in the .proto file, such as \(example)")
    }
    return text
  }
}

extension NameSyntax {
  /// `[A-Za-z_][A-Za-z_0-9]*`, as the API and protobuf have it.
  static func isProtobufWord(_ text: some StringProtocol) -> Bool {
    guard let first = text.utf8.first, !(0x30...0x39).contains(first) else { return false }
    return text.utf8.allSatisfy {
      (0x30...0x39).contains($0) || (0x41...0x5A).contains($0) || (0x61...0x7A).contains($0) || $0 == UInt8(ascii: "_")
    }
  }

  /// Words with dots between them.
  static func isProtobufName(_ text: String) -> Bool {
    text.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { isProtobufWord($0) }
  }
}
