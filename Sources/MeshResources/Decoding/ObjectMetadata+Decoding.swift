import FoundationEssentials

extension ObjectMetadata {
  /// How an object's own name is checked.
  enum NameRule { case label, subdomain }

  init?(_ object: Fields, nameRule: NameRule) {
    guard let fields = object.required("metadata", fix: "add metadata with a name")?.fields() else { return nil }
    let name = fields.required("name", fix: "give the object a name").flatMap {
      nameRule == .label ? $0.label() : $0.subdomain()
    }
    let namespace = fields.optional("namespace").map { $0.label() } ?? "default"
    let labels = fields.optional("labels")?.labels() ?? [:]
    var annotations: [String: String] = [:]
    for (key, field) in fields.optional("annotations")?.entries() ?? [] {
      if !field.node.isNull, let value = field.string() { annotations[key] = value }
    }
    var created: Int64?
    if let field = fields.optional("creationTimestamp"), let text = field.string() {
      created = (try? Date(text, strategy: .iso8601)).map { Int64($0.timeIntervalSince1970) }
      if created == nil {
        field.error("\"\(text)\" is not a time", fix: "write it as 2026-01-31T12:00:00Z, or remove it")
      }
    }
    let generation = fields.optional("generation")?.integer(in: 0...Int.max)
    fields.allow(
      "uid", "resourceVersion", "generateName", "managedFields", "ownerReferences", "finalizers",
      "selfLink", "deletionTimestamp", "deletionGracePeriodSeconds")
    fields.finish()
    guard let name, let namespace else { return nil }
    self.init(
      name: name, namespace: namespace, labels: labels, annotations: annotations, creationTime: created,
      generation: generation.map(Int64.init))
  }
}
