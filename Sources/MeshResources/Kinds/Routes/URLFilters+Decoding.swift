import MeshPolicy

extension RequestRedirect {
  /// Reads `HTTPRequestRedirectFilter`; the caller calls `finish`.
  init(_ body: Fields, prefix: String?) {
    let status = body.optional("statusCode").flatMap { field in
      let status = field.integer(in: 300...399)
      if let status, ![301, 302, 303, 307, 308].contains(status) {
        field.error("\(status) is not a redirection that is known", fix: "use one of 301, 302, 303, 307, 308")
      }
      return status
    }
    self.init(
      scheme: body.optional("scheme")?.word(["http", "https"]),
      hostname: body.optional("hostname")?.subdomain(),
      path: body.optional("path").flatMap { PathModifier($0, prefix: prefix) },
      port: body.optional("port")?.port(), status: UInt16(status ?? 302))
  }
}

extension URLRewrite {
  /// Reads `HTTPURLRewriteFilter`; the caller calls `finish`.
  init(_ body: Fields, prefix: String?) {
    self.init(
      hostname: body.optional("hostname")?.subdomain(),
      path: body.optional("path").flatMap { PathModifier($0, prefix: prefix) })
  }
}

extension PathModifier {
  /// Reads `HTTPPathModifier`. `prefix` is what the rule's only match says, if that is a prefix.
  init?(_ field: Field, prefix: String?) {
    guard let fields = field.fields() else { return nil }
    let typeField = fields.required("type", fix: "write ReplaceFullPath or ReplacePrefixMatch")
    let type = typeField?.word(["ReplaceFullPath", "ReplacePrefixMatch"])
    let isFull = type == "ReplaceFullPath"
    let (own, other) = isFull ? ("replaceFullPath", "replacePrefixMatch") : ("replacePrefixMatch", "replaceFullPath")
    let value = type == nil ? fields.optional(own) : fields.required(own, fix: "write the path to put in its place")
    if let stray = fields.optional(other), let type {
      stray.error("does not go with type: \(type)", fix: "remove it")
    }
    fields.finish()
    guard type != nil, let value, let text = value.string() else { return nil }
    if text.utf8.count > RouteLimits.pathBytes { value.error("must be at most \(RouteLimits.pathBytes) bytes long") }
    // An empty prefix stands for /.
    if isFull || !text.isEmpty { value.checkPath(text) }
    if isFull {
      self = .full(text)
    } else if let prefix {
      self = .prefix(matched: prefix, replacement: text)
    } else {
      typeField?.error(
        "ReplacePrefixMatch needs a rule with exactly one match, of type PathPrefix",
        fix: "write one such match, or ReplaceFullPath")
      return nil
    }
  }
}
