/// What a policy applies to: an entry of `targetRefs` (GEP-713). Always in the policy's own namespace.
package struct PolicyTarget: Hashable, Sendable {
  package enum Kind: String, Hashable, Sendable, CaseIterable {
    /// Everything; only from the root namespace.
    case mesh = "Mesh"
    /// The policy's own.
    case namespace = "Namespace"
    case service = "Service"
    case externalService = "ExternalService"
    case httpRoute = "HTTPRoute"
    case grpcRoute = "GRPCRoute"

    package var group: String {
      switch self {
      case .mesh, .externalService: "mesh.apus.dev"
      case .namespace, .service: ""
      case .httpRoute, .grpcRoute: "gateway.networking.k8s.io"
      }
    }

    package var isRoute: Bool { self == .httpRoute || self == .grpcRoute }
  }

  package var kind: Kind
  package var name: String
  /// The name or the number of a service's port, or the name of a route's rule. Nil: all of them.
  package var sectionName: String?

  package init(kind: Kind, name: String, sectionName: String? = nil) {
    self.kind = kind
    self.name = name
    self.sectionName = sectionName
  }
}

extension PolicyTarget {
  /// The namespace whose policies may be for the whole mesh.
  package static let rootNamespace = "apus-system"
  /// The one name of a `Mesh`.
  package static let meshName = "default"

  /// Routes that no policy can be for.
  private static let connectionRoutes = ["TCPRoute", "TLSRoute", "UDPRoute"]

  private static let fix = "name what the policy is for, such as {group: \"\", kind: Service, name: orders}"

  /// Reads `targetRefs` of an object in `namespace`.
  static func list(_ spec: Fields, namespace: String) -> [(target: PolicyTarget, field: Field)] {
    guard let list = spec.required("targetRefs", fix: fix) else { return [] }
    let elements = list.elements(atMost: PolicyLimits.targets)
    if elements.isEmpty { list.error("must not be empty", fix: fix) }
    var targets: [(target: PolicyTarget, field: Field)] = []
    for element in elements {
      guard let target = PolicyTarget(element, namespace: namespace) else { continue }
      if let (_, field) = targets.first(where: { $0.target == target }) {
        element.error("names the same target as \(field.path)", fix: "remove one of the two")
      }
      targets.append((target, element))
    }
    return targets
  }

  private init?(_ field: Field, namespace: String) {
    guard let fields = field.fields() else { return nil }
    let kindField = fields.required("kind", fix: Self.fix)
    if let text = kindField?.node.text, Self.connectionRoutes.contains(text) {
      kindField?.error(
        "what a policy says of requests has no meaning to the connections of a \(text), and its endpoints belong to a Service",
        fix: "name the Service")
      fields.allow("group", "name", "namespace", "sectionName")
      fields.finish()
      return nil
    }
    let kind = kindField?.word(Kind.allCases.map(\.rawValue)).flatMap(Kind.init)
    // The schema of GEP-713 has no default for it.
    let groupField = fields.required("group", fix: "write group: \"\(kind?.group ?? "")\"")
    let group = groupField?.string()
    let name = fields.required("name").flatMap { kind?.isRoute == true ? $0.subdomain() : $0.label() }
    let section = fields.optional("sectionName").map { Self.section($0, kind) }
    if let other = fields.optional("namespace") {
      other.error("a policy applies to its own namespace", fix: "remove the field, or move the policy there")
    }
    fields.finish()
    guard let kind, let group, let name, section != .some(nil) else { return nil }
    // "core" is wrong by the letter of the API, but examples in the field write it.
    guard group == kind.group || (group == "core" && kind.group.isEmpty) else {
      groupField?.error("\(kind.rawValue) is not a kind of \"\(group)\"", fix: "write group: \"\(kind.group)\"")
      return nil
    }
    self.init(kind: kind, name: name, sectionName: section ?? nil)
    check(fields, namespace: namespace)
  }

  private static func section(_ field: Field, _ kind: Kind?) -> String? {
    switch kind {
    case nil: return nil
    case .mesh, .namespace:
      field.error("a \(kind?.rawValue ?? "") has no sections", fix: "remove it")
      return nil
    case .httpRoute, .grpcRoute: return field.subdomain()
    case .service, .externalService:
      if let text = field.node.text, let number = UInt16(text), number > 0, "\(number)" == text { return text }
      return field.portName()
    }
  }

  private func check(_ fields: Fields, namespace: String) {
    if kind == .namespace, name != namespace {
      fields.error("name", "\(name) is not the policy's own namespace", fix: "write name: \(namespace)")
    }
    guard kind == .mesh else { return }
    if name != Self.meshName {
      fields.error("name", "there is one mesh, and its name is \(Self.meshName)", fix: "write name: \(Self.meshName)")
    }
    if namespace != Self.rootNamespace {
      fields.error(
        "kind", "a policy for the whole mesh stands in the namespace \(Self.rootNamespace)",
        fix: "write metadata.namespace: \(Self.rootNamespace), or kind: Namespace and name: \(namespace)")
    }
  }
}
