import MeshPolicy

extension HeaderFilter {
  /// Fields that frame the message or name the connection: a filter that changed them would corrupt it.
  private static let ownedByTheProxy = [
    "connection", "content-length", "host", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding",
    "upgrade",
  ]

  /// Reads `HTTPHeaderFilter`; the caller calls `finish`.
  init(_ body: Fields, _ direction: Direction) {
    let set = Self.pairs(body.optional("set"))
    let add = Self.pairs(body.optional("add"))
    let remove =
      body.optional("remove")?.elements(atMost: RouteLimits.headers).compactMap { element in
        element.headerName().flatMap { Self.permitted($0, element) }?.lowercased()
      } ?? []
    self.init(direction: direction, set: set, add: add, remove: remove)
    let names = (set + add).map { $0.name.lowercased() } + remove
    for name in Set(names).sorted() where names.count(where: { $0 == name }) > 1 {
      body.error("the header \(name) has more than one action", fix: "keep one of set, add and remove")
    }
  }

  private static func pairs(_ field: Field?) -> [HeaderPair] {
    field?.elements(atMost: RouteLimits.headers).compactMap { element in
      guard let fields = element.fields() else { return nil }
      let nameField = fields.required("name")
      let name = nameField?.headerName().flatMap { permitted($0, nameField ?? element) }
      let value = fields.required("value")?.headerValue()
      fields.finish()
      guard let name, let value else { return nil }
      return HeaderPair(name: name, value: value)
    } ?? []
  }

  static func permitted(_ name: String, _ field: Field) -> String? {
    let lower = name.lowercased()
    guard ownedByTheProxy.contains(lower) || lower.hasPrefix("x-apus-") else { return name }
    field.error("the proxy itself writes the header \(lower)", fix: "remove the entry")
    return nil
  }
}
