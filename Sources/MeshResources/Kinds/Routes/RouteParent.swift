/// A service of the mesh or outside of it, or one port of it, whose requests a route takes.
package struct RouteParent: Hashable, Sendable {
  package enum Kind: String, Hashable, Sendable {
    case service = "Service"
    case externalService = "ExternalService"

    package var group: String { self == .service ? "" : "mesh.apus.dev" }
  }

  package var kind: Kind
  /// Of the service. Another than the route's own makes the route a consumer route: it applies to the requests of
  /// clients in the route's namespace only (GEP-1294).
  package var namespace: String
  package var service: String
  /// Nil: every port.
  package var port: UInt16?
  /// The name of a service port; nil: every port.
  package var sectionName: String?

  package init(
    _ kind: Kind = .service, namespace: String, service: String, port: UInt16? = nil, sectionName: String? = nil
  ) {
    self.kind = kind
    self.namespace = namespace
    self.service = service
    self.port = port
    self.sectionName = sectionName
  }
}

extension RouteParent {
  private static let fix = "name the Service whose requests the route takes"

  /// Reads `parentRefs`. Parents of other kinds are another controller's: left out with a warning, and an error when
  /// there is none of ours.
  static func list(_ spec: Fields, namespace: String) -> [RouteParent] {
    guard let list = spec.required("parentRefs", fix: fix) else { return [] }
    let elements = list.elements(atMost: RouteLimits.parents)
    if elements.isEmpty { list.error("must not be empty", fix: fix) }
    let hasService = elements.contains { $0.node["kind"]?.text.flatMap(Kind.init) != nil }
    var parents: [(parent: RouteParent, field: Field)] = []
    for element in elements {
      guard let parent = RouteParent(element, namespace: namespace, otherKindsAreErrors: !hasService) else { continue }
      for (other, field) in parents where other.isConfusable(with: parent) {
        element.error(
          "names the same \(parent.kind.rawValue) as \(field.path)",
          fix: "give each of the two a port or a sectionName of its own, or remove one")
        break
      }
      parents.append((parent, element))
    }
    return parents.map(\.parent)
  }

  private init?(_ field: Field, namespace: String, otherKindsAreErrors: Bool) {
    guard let fields = field.fields() else { return nil }
    let group = fields.optional("group").map { $0.string() } ?? "gateway.networking.k8s.io"
    let kind = fields.optional("kind").map { $0.string() } ?? "Gateway"
    let name = fields.required("name")?.label()
    let own = fields.optional("namespace").map { $0.label() } ?? namespace
    let port = fields.optional("port").map { $0.port() }
    let section = fields.optional("sectionName").map { $0.portName() }
    fields.finish()
    guard let group, let kind, let name, let own else { return nil }
    // "core" is wrong by the letter of the API, but GAMMA's own examples write it.
    let known = Kind(rawValue: kind)
    guard let known, known.group == (group == "core" ? "" : group) else {
      let shown = group.isEmpty ? kind : "\(group)/\(kind)"
      if otherKindsAreErrors || known != nil {
        let right = known ?? .service
        fields.error(
          known == nil ? "kind" : "group", "a parent of kind \(shown) is not supported",
          fix: "write group: \(right.group.isEmpty ? "\"\"" : right.group) and kind: \(right.rawValue)")
      } else {
        fields.warning("kind", "a parent of kind \(shown) is left to others; the route does not attach to it")
      }
      return nil
    }
    if port == .some(nil) || section == .some(nil) { return nil }
    self.init(known, namespace: own, service: name, port: port ?? nil, sectionName: section ?? nil)
  }

  /// The API's rule: of two references to one parent, either both or none name a port, and a section; and they differ.
  private func isConfusable(with other: RouteParent) -> Bool {
    guard kind == other.kind, namespace == other.namespace, service == other.service else { return false }
    let alike = (port == nil) == (other.port == nil) && (sectionName == nil) == (other.sectionName == nil)
    return !alike || self == other
  }
}
