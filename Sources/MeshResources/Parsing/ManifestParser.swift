/// Reads manifest files: several YAML documents or JSON texts, each one object or a `List`.
package enum ManifestParser {
  /// Bytes of one file.
  package static let maximumFileBytes = 4 * 1024 * 1024
  /// Documents of one file, counting each item of a `List`.
  package static let maximumDocuments = 10_000
  /// Collections inside collections.
  package static let maximumDepth = 64
  /// Values of one document, aliases expanded.
  package static let maximumNodes = 100_000

  package struct Result: Sendable {
    package var objects: [Located<Resource>] = []
    /// Errors and warnings (see `severity`), in the order of their position.
    package var errors: [ManifestProblem] = []
    /// Objects with an error, as far as they could be read: good for telling their authors, not for use.
    package var rejected: [Located<Resource>] = []

    package init(errors: [ManifestProblem] = []) { self.errors = errors }
  }

  /// The objects of `text`, and what is wrong with it. A document with an error is rejected whole; the others stand.
  /// A file past a limit is rejected whole.
  package static func parse(file: String, text: String) -> Result {
    var run = ParserRun(file: file)
    run.parse(text)
    if run.isOverLimit { run.result.objects = [] }
    run.result.errors.sort { $0.position < $1.position }
    return run.result
  }
}

/// One file's parsing.
private struct ParserRun {
  let file: String
  var result = ManifestParser.Result()
  var isOverLimit = false
  private var objectCount = 0
  private var positions: [ResourceKey: ManifestPosition] = [:]

  init(file: String) { self.file = file }

  mutating func parse(_ text: String) {
    guard text.utf8.count <= ManifestParser.maximumFileBytes else {
      return refuseFile(
        line: 1, "the file is larger than \(ManifestParser.maximumFileBytes / 1024 / 1024) MiB", fix: "split the file")
    }
    let documents = DocumentSplitter.split(text, limit: ManifestParser.maximumDocuments)
    if let last = documents.last, documents.count > ManifestParser.maximumDocuments {
      return refuseFile(
        line: last.firstLine, "the file has more than \(ManifestParser.maximumDocuments) documents",
        fix: "split the file")
    }
    for document in documents {
      guard !isOverLimit else { return }
      var reader = ManifestNodeReader(firstLine: document.firstLine)
      do throws(ManifestSyntaxError) {
        if let root = try reader.read(document.text) { add(root, path: "") }
      } catch {
        result.errors.append(
          ManifestProblem(
            position: ManifestPosition(file: file, line: error.line, column: error.column),
            message: error.message, fix: error.fix))
      }
    }
  }

  private mutating func refuseFile(line: Int, _ message: String, fix: String) {
    isOverLimit = true
    result.errors.append(
      ManifestProblem(position: ManifestPosition(file: file, line: line, column: 1), message: message, fix: fix))
  }

  private mutating func add(_ node: ManifestNode, path: String) {
    let anonymous = DecodingContext(file: file, object: "", key: nil)
    let field = Field(context: anonymous, path: path, node: node)
    if let fields = field.fields(),
      let version = fields.required("apiVersion", fix: "write apiVersion and kind")?.string(),
      let kind = fields.required("kind", fix: "write apiVersion and kind")?.string()
    {
      let isList = version == "v1" && kind == "List"
      if isList { addItems(of: fields) } else { addObject(node, path: path, apiVersion: version, kind: kind) }
    }
    result.errors += anonymous.problems
  }

  private mutating func addItems(of list: Fields) {
    list.allow("metadata")
    let items = list.optional("items")?.elements(atMost: ManifestParser.maximumDocuments + 1) ?? []
    list.finish()
    for item in items where !isOverLimit { add(item.node, path: item.path) }
  }

  private mutating func addObject(_ node: ManifestNode, path: String, apiVersion: String, kind: String) {
    objectCount += 1
    guard objectCount <= ManifestParser.maximumDocuments else {
      return refuseFile(
        line: node.line, "the file has more than \(ManifestParser.maximumDocuments) objects", fix: "split the file")
    }
    let slash = apiVersion.lastIndex(of: "/")
    let group = slash.map { String(apiVersion[..<$0]) } ?? ""
    let version = slash.map { String(apiVersion[apiVersion.index(after: $0)...]) } ?? apiVersion
    let metadata = node["metadata"]
    let namespace = metadata?["namespace"]?.text ?? "default"
    let name = metadata?["name"]?.text
    let label = name.map { "\(kind) \(namespace)/\($0)" } ?? kind
    let entry = KindTable.entry(group: group, version: version, kind: kind)
    var key: ResourceKey?
    if case .supported(let group, _) = entry, let name {
      key = ResourceKey(group: group, kind: kind, namespace: namespace, name: name)
    }
    let context = DecodingContext(file: file, object: label, key: key)
    let root = Field(context: context, path: path, node: node)
    switch entry {
    case .supported(let group, let version):
      decode(root, group: group, version: version, kind: kind)
    case .unused:
      root.warning("\(kind) is not used by Apus on one machine")
    case .later:
      root.error("\(apiVersion) \(kind) is not supported yet", fix: "remove the document")
    case .unknown:
      root.error("\(apiVersion) \(kind) is not known", fix: KindTable.fix(group: group, kind: kind))
    }
    result.errors += context.problems
  }

  private mutating func decode(_ root: Field, group: String, version: String, kind: String) {
    guard let object = root.fields() else { return }
    object.allow("apiVersion", "kind")
    let resource: Resource? =
      switch (group, kind) {
      case ("", "ConfigMap"): ConfigMap(object).map { .configMap($0) }
      case ("", "Service"): Service(object).map { .service($0) }
      case ("access.smi-spec.io", "IdentityBinding"): IdentityBinding(object).map { .identityBinding($0) }
      case ("access.smi-spec.io", _): TrafficTarget(object, version: version).map { .trafficTarget($0) }
      case ("", "ServiceAccount"): ServiceAccount(object).map { .serviceAccount($0) }
      case ("discovery.k8s.io", _): EndpointSlice(object).map { .endpointSlice($0) }
      case ("gateway.networking.k8s.io", "BackendTLSPolicy"):
        BackendTLSPolicy(object).map { .backendTLSPolicy($0) }
      case ("gateway.networking.k8s.io", "GRPCRoute"): GRPCRoute(object).map { .grpcRoute($0) }
      case ("gateway.networking.k8s.io", "ReferenceGrant"): ReferenceGrant(object).map { .referenceGrant($0) }
      case ("gateway.networking.k8s.io", "TCPRoute"): TCPRoute(object).map { .tcpRoute($0) }
      case ("gateway.networking.k8s.io", "TLSRoute"): TLSRoute(object, version: version).map { .tlsRoute($0) }
      case ("gateway.networking.k8s.io", "UDPRoute"): UDPRoute(object).map { .udpRoute($0) }
      case ("gateway.networking.k8s.io", _): HTTPRoute(object).map { .httpRoute($0) }
      case ("mesh.apus.dev", "ExternalAuthorizer"): DeclaredAuthorizer(object).map { .externalAuthorizer($0) }
      case ("mesh.apus.dev", "AuthorizationPolicy"):
        DeclaredAuthorization(object).map { .authorizationPolicy($0) }
      case ("mesh.apus.dev", "ExternalService"): ExternalService(object).map { .externalService($0) }
      case ("mesh.apus.dev", "FaultInjection"): FaultInjection(object).map { .faultInjection($0) }
      case ("mesh.apus.dev", "MeshConfig"): MeshConfig(object).map { .meshConfig($0) }
      case ("mesh.apus.dev", "MeshTLS"): MeshTLS(object).map { .meshTLS($0) }
      case ("mesh.apus.dev", "RequestAuthentication"):
        RequestAuthentication(object).map { .requestAuthentication($0) }
      case ("mesh.apus.dev", "TrafficPolicy"): TrafficPolicy(object).map { .trafficPolicy($0) }
      case ("mesh.apus.dev", _): Workload(object).map { .workload($0) }
      case ("specs.smi-spec.io", "HTTPRouteGroup"):
        HTTPRouteGroup(object, version: version).map { .httpRouteGroup($0) }
      case ("specs.smi-spec.io", _):
        PortRoute(object, version: version, transport: kind == "TCPRoute" ? .tcp : .udp).map { .portRoute($0) }
      case ("split.smi-spec.io", _): TrafficSplit(object, version: version).map { .trafficSplit($0) }
      default: nil
      }
    guard let resource else { return }
    let position = ManifestPosition(file: file, line: root.node.line, column: root.node.column)
    if root.context.hasErrors { return result.rejected.append(Located(resource, at: position)) }
    if let first = positions[resource.key] {
      return root.error(
        "\(resource.key) already stands at \(first), and that one is used", fix: "remove one of the two")
    }
    positions[resource.key] = position
    result.objects.append(Located(resource, at: position))
  }
}
