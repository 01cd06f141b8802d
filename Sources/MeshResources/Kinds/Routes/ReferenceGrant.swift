/// A Gateway API `ReferenceGrant` (v1, v1beta1). Routes with Service parents need none (GEP-1294): only `apus analyze` looks at it.
package struct ReferenceGrant: Hashable, Sendable {
  package struct Source: Hashable, Sendable {
    package var group: String
    package var kind: String
    package var namespace: String
  }

  package struct Target: Hashable, Sendable {
    package var group: String
    package var kind: String
    /// Nil: every one of the kind.
    package var name: String?
  }

  package var metadata: ObjectMetadata
  package var from: [Source]
  package var to: [Target]

  package init(metadata: ObjectMetadata, from: [Source] = [], to: [Target] = []) {
    self.metadata = metadata
    self.from = from
    self.to = to
  }
}

extension ReferenceGrant {
  private static let maximumEntries = 16

  init?(_ object: Fields) {
    let metadata = ObjectMetadata(object, nameRule: .subdomain)
    let specField = object.required("spec")
    let spec = specField?.fields()
    object.finish()
    guard let metadata, let spec else { return nil }
    let from = Self.entries(spec, "from").compactMap { fields -> Source? in
      let (group, kind) = Self.groupAndKind(fields)
      let namespace = fields.required("namespace")?.subdomain()
      fields.finish()
      guard let group, let kind, let namespace else { return nil }
      return Source(group: group, kind: kind, namespace: namespace)
    }
    let to = Self.entries(spec, "to").compactMap { fields -> Target? in
      let (group, kind) = Self.groupAndKind(fields)
      let name = fields.optional("name").map { $0.subdomain() }
      fields.finish()
      guard let group, let kind, name != .some(nil) else { return nil }
      return Target(group: group, kind: kind, name: name ?? nil)
    }
    spec.finish()
    specField?.warning("has no effect: routes with Service parents may name backends of every namespace")
    self.init(metadata: metadata, from: from, to: to)
  }

  private static func entries(_ spec: Fields, _ name: String) -> [Fields] {
    guard let list = spec.required(name) else { return [] }
    let elements = list.elements(atMost: maximumEntries)
    if elements.isEmpty { list.error("must not be empty") }
    return elements.compactMap { $0.fields() }
  }

  private static func groupAndKind(_ fields: Fields) -> (String?, String?) {
    (fields.required("group")?.string(), fields.required("kind")?.nonEmptyString())
  }
}
