import MeshPolicy

/// Reads the filters of one rule, or of one backend of it.
struct RouteFilterReader {
  enum Kind { case http, grpc }

  let kind: Kind
  /// The route's.
  let namespace: String
  /// The value of the rule's only match, if that is one of a path's prefix.
  var prefix: String?

  /// What a request is told that no backend can serve.
  var failure: String { kind == .http ? "500" : "UNAVAILABLE" }

  /// Types, and the fields that hold what they do.
  private static let bodies: KeyValuePairs = [
    "RequestHeaderModifier": "requestHeaderModifier", "ResponseHeaderModifier": "responseHeaderModifier",
    "RequestMirror": "requestMirror", "RequestRedirect": "requestRedirect", "URLRewrite": "urlRewrite", "CORS": "cors",
  ]
  private static let later = ["ExternalAuth", "ExtensionRef"]

  private static let httpOnly = ["RequestRedirect", "URLRewrite", "CORS"]

  private var types: [String] { Self.bodies.map(\.key).filter { kind == .http || !Self.httpOnly.contains($0) } }

  /// In order. A redirect and a rewrite exclude each other, and all but a mirror stand once (CEL rules of
  /// `HTTPRouteRule.filters`).
  func list(_ field: Field?) -> [DeclaredFilter] {
    var filters: [DeclaredFilter] = []
    var seen: Set<String> = []
    for element in field?.elements(atMost: RouteLimits.filters) ?? [] {
      guard let (type, filter) = read(element) else { continue }
      if type != "RequestMirror", !seen.insert(type).inserted {
        element.error(
          "the filter \(type) stands twice; only RequestMirror may", fix: "join the two", reason: .incompatibleFilters)
      }
      if ["RequestRedirect", "URLRewrite"].contains(type), seen.isSuperset(of: ["RequestRedirect", "URLRewrite"]) {
        element.error(
          "RequestRedirect and URLRewrite cannot stand together", fix: "remove one of the two",
          reason: .incompatibleFilters)
      }
      filters.append(filter)
    }
    return filters
  }

  private func read(_ field: Field) -> (type: String, DeclaredFilter)? {
    guard let fields = field.fields(), let typeField = fields.required("type"), let name = typeField.string() else {
      return nil
    }
    if Self.later.contains(name) {
      typeField.error("the filter \(name) is not supported yet", fix: "remove the filter")
      return nil
    }
    guard let type = typeField.word(types), let body = Self.body(of: type, fields) else { return nil }
    guard let filter = read(type, body) else { return nil }
    body.finish()
    return (type, filter)
  }

  /// The one field that goes with the type.
  private static func body(of type: String, _ fields: Fields) -> Fields? {
    var found: Fields?
    for (other, name) in bodies {
      if other == type {
        found = fields.required(name, fix: "say what the filter does")?.fields()
      } else if let stray = fields.optional(name) {
        stray.error("goes with type: \(other), not \(type)", fix: "remove it, or make it a filter of its own")
      }
    }
    fields.finish()
    return found
  }

  private func read(_ type: String, _ body: Fields) -> DeclaredFilter? {
    switch type {
    case "RequestHeaderModifier": .ready(.headers(HeaderFilter(body, .request)))
    case "ResponseHeaderModifier": .ready(.headers(HeaderFilter(body, .response)))
    case "RequestMirror": DeclaredMirror(body, namespace: namespace).map { .mirror($0) }
    case "RequestRedirect": .ready(.redirect(RequestRedirect(body, prefix: prefix)))
    case "URLRewrite": .ready(.rewrite(URLRewrite(body, prefix: prefix)))
    default: .ready(.cors(CORSPolicy(body)))
    }
  }
}
