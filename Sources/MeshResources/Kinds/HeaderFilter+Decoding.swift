import MeshPolicy

extension HeaderFilter {
  private static let laterFilters = [
    "RequestRedirect", "URLRewrite", "RequestMirror", "CORS", "ExternalAuth", "ExtensionRef",
  ]
  /// Fields that frame the message or name the connection: a filter that changed them would corrupt it.
  private static let ownedByTheProxy = [
    "connection", "content-length", "host", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding",
    "upgrade",
  ]

  /// Reads the filters of a rule, in order.
  static func list(_ field: Field?) -> [HeaderFilter] {
    var filters: [HeaderFilter] = []
    for element in field?.elements(atMost: HTTPRoute.maximumFilters) ?? [] {
      guard let filter = filter(element) else { continue }
      if filters.contains(where: { $0.direction == filter.direction }) {
        element.error("a rule has one filter of each type", fix: "join the two")
      }
      filters.append(filter)
    }
    return filters
  }

  private static func filter(_ field: Field) -> HeaderFilter? {
    guard let fields = field.fields(), let typeField = fields.required("type"), let type = typeField.string() else {
      return nil
    }
    if laterFilters.contains(type) {
      typeField.error("the filter \(type) is not supported yet", fix: "remove the filter")
      return nil
    }
    guard let type = typeField.word(["RequestHeaderModifier", "ResponseHeaderModifier"]) else { return nil }
    let direction: Direction = type == "RequestHeaderModifier" ? .request : .response
    let name = direction == .request ? "requestHeaderModifier" : "responseHeaderModifier"
    let body = fields.required(name, fix: "say what to set, add or remove")?.fields()
    fields.finish()
    guard let body else { return nil }
    let set = pairs(body.optional("set"))
    let add = pairs(body.optional("add"))
    let remove = body.optional("remove")?.elements(atMost: HTTPRoute.maximumHeaders).compactMap { element in
      element.headerName().flatMap { permitted($0, element) }?.lowercased()
    }
    body.finish()
    let filter = HeaderFilter(direction: direction, set: set, add: add, remove: remove ?? [])
    let names = (filter.set + filter.add).map { $0.name.lowercased() } + filter.remove
    for name in Set(names).sorted() where names.count(where: { $0 == name }) > 1 {
      field.error("the header \(name) has more than one action", fix: "keep one of set, add and remove")
    }
    return filter
  }

  private static func pairs(_ field: Field?) -> [HeaderPair] {
    field?.elements(atMost: HTTPRoute.maximumHeaders).compactMap { element in
      guard let fields = element.fields() else { return nil }
      let nameField = fields.required("name")
      let name = nameField?.headerName().flatMap { permitted($0, nameField ?? element) }
      let value = fields.required("value")?.headerValue()
      fields.finish()
      guard let name, let value else { return nil }
      return HeaderPair(name: name, value: value)
    } ?? []
  }

  private static func permitted(_ name: String, _ field: Field) -> String? {
    let lower = name.lowercased()
    guard ownedByTheProxy.contains(lower) || lower.hasPrefix("x-apus-") else { return name }
    field.error("the proxy itself writes the header \(lower)", fix: "remove the entry")
    return nil
  }
}
