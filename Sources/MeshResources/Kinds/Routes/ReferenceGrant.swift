/// A Gateway API `ReferenceGrant` (v1, v1beta1). Routes with Service parents need none (GEP-1294), so nothing of it is
/// kept but its name.
package struct ReferenceGrant: Hashable, Sendable {
  package var metadata: ObjectMetadata

  package init(metadata: ObjectMetadata) { self.metadata = metadata }
}

extension ReferenceGrant {
  private static let maximumEntries = 16

  init?(_ object: Fields) {
    let metadata = ObjectMetadata(object, nameRule: .subdomain)
    let specField = object.required("spec")
    let spec = specField?.fields()
    object.finish()
    guard let metadata, let spec else { return nil }
    for (name, own) in [("from", "namespace"), ("to", "name")] {
      guard let list = spec.required(name) else { continue }
      let elements = list.elements(atMost: Self.maximumEntries)
      if elements.isEmpty { list.error("must not be empty") }
      for element in elements {
        guard let fields = element.fields() else { continue }
        _ = fields.required("group")?.string()
        _ = fields.required("kind")?.nonEmptyString()
        _ = (name == "from" ? fields.required(own) : fields.optional(own))?.subdomain()
        fields.finish()
      }
    }
    spec.finish()
    specField?.warning("has no effect: routes with Service parents may name backends of every namespace")
    self.init(metadata: metadata)
  }
}
