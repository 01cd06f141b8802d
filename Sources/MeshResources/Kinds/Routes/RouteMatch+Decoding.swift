import MeshPolicy

extension RouteMatch {
  /// Reads `HTTPRouteMatch`.
  init?(httpRouteMatch field: Field) {
    guard let fields = field.fields() else { return nil }
    self.init(httpRouteMatch: fields)
    fields.finish()
  }

  /// Reads the fields of `HTTPRouteMatch`; the caller calls `finish`.
  init(httpRouteMatch fields: Fields) {
    let path = fields.optional("path").map { Self.path($0) } ?? .prefix("/")
    let method = fields.optional("method").flatMap {
      $0.word(["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"])
    }
    let headers = HeaderMatch.list(fields.optional("headers"))
    let query = QueryMatch.list(fields.optional("queryParams"))
    self.init(path: path, method: method, headers: headers, queryParameters: query)
  }

  private static func path(_ field: Field) -> PathMatch? {
    guard let fields = field.fields() else { return nil }
    let type = fields.optional("type").map { $0.word(["Exact", "PathPrefix", "RegularExpression"]) } ?? "PathPrefix"
    let valueField = fields.optional("value")
    let value = valueField.map { $0.string() } ?? "/"
    fields.finish()
    guard let type, let value else { return nil }
    if value.utf8.count > RouteLimits.pathBytes {
      valueField?.error("must be at most \(RouteLimits.pathBytes) bytes long")
    }
    switch type {
    case "Exact":
      valueField?.checkPath(value)
      return .exact(value)
    case "PathPrefix":
      valueField?.checkPath(value)
      return .prefix(value)
    default:
      valueField?.checkRegularExpression(value)
      return .regularExpression(value)
    }
  }
}

extension HeaderMatch {
  /// "Only the first entry with an equivalent name MUST be considered for a match."
  static func list(_ field: Field?) -> [HeaderMatch] {
    var headers: [HeaderMatch] = []
    for element in field?.elements(atMost: RouteLimits.headers) ?? [] {
      guard let fields = element.fields() else { continue }
      let type = fields.valueMatchType()
      let name = fields.required("name")?.headerName()?.lowercased()
      let value = fields.required("value").flatMap { field in field.headerValue().flatMap { field.match($0, type) } }
      fields.finish()
      guard let name, let value else { continue }
      if headers.contains(where: { $0.name == name }) {
        element.warning("the header \(name) is matched twice; this entry has no effect", fix: "remove it")
      } else {
        headers.append(HeaderMatch(name: name, value: value))
      }
    }
    return headers
  }
}

extension QueryMatch {
  /// Names are case-sensitive, and of one name the first entry counts.
  static func list(_ field: Field?) -> [QueryMatch] {
    var parameters: [QueryMatch] = []
    for element in field?.elements(atMost: RouteLimits.headers) ?? [] {
      guard let fields = element.fields() else { continue }
      let type = fields.valueMatchType()
      let name = fields.required("name")?.queryName()
      let value = fields.required("value").flatMap { field in field.queryValue().flatMap { field.match($0, type) } }
      fields.finish()
      guard let name, let value else { continue }
      if parameters.contains(where: { $0.name == name }) {
        element.warning("the parameter \(name) is matched twice; this entry has no effect", fix: "remove it")
      } else {
        parameters.append(QueryMatch(name: name, value: value))
      }
    }
    return parameters
  }
}

extension Fields {
  /// `type` of a condition on a value: `Exact` where it is absent.
  fileprivate func valueMatchType() -> String? {
    optional("type").map { $0.word(["Exact", "RegularExpression"]) } ?? "Exact"
  }
}

extension Field {
  fileprivate func match(_ value: String, _ type: String?) -> ValueMatch? {
    guard let type else { return nil }
    if type == "Exact" { return .exact(value) }
    checkRegularExpression(value)
    return .regularExpression(value)
  }

  /// The API gives a parameter's name the syntax of a header's.
  fileprivate func queryName() -> String? {
    guard let text = string() else { return nil }
    if NameSyntax.isToken(text), text.utf8.count <= 256 { return text }
    error("\"\(text)\" is not the name of a query parameter")
    return nil
  }

  fileprivate func queryValue() -> String? {
    guard let text = string() else { return nil }
    if (1...RouteLimits.queryValueBytes).contains(text.utf8.count) { return text }
    error("must be 1 to \(RouteLimits.queryValueBytes) bytes long")
    return nil
  }

  /// The rules of the API's own schema for `Exact` and `PathPrefix` values.
  func checkPath(_ value: String) {
    guard value.hasPrefix("/") else { return error("\"\(value)\" must begin with /", fix: "write \"/\(value)\"") }
    for part in ["//", "/./", "/../", "%2f", "%2F", "#"] where value.contains(part) {
      return error("\"\(value)\" must not contain \(part)", fix: "write the path as clients send it, normalised")
    }
    for end in ["/..", "/."] where value.hasSuffix(end) {
      return error("\"\(value)\" must not end with \(end)", fix: "write the path as clients send it, normalised")
    }
    let bytes = Array(value.utf8)
    for (index, byte) in bytes.enumerated() {
      let escape = bytes[index...].dropFirst().prefix(2)
      if byte == UInt8(ascii: "%") {
        guard escape.count == 2, escape.allSatisfy({ Character(Unicode.Scalar($0)).isHexDigit }) else {
          return error("\"\(value)\" has a % without two hexadecimal digits", fix: "write %25 for a percent sign")
        }
      } else if !NameSyntax.isPathByte(byte) {
        return error("\"\(value)\" has a character that no path has", fix: "percent-encode it")
      }
    }
  }

  func checkRegularExpression(_ pattern: String) {
    do throws(RegexError) {
      _ = try LinearRegex(pattern)
    } catch {
      self.error("\(error)", fix: "write a POSIX extended regular expression for the whole value")
    }
  }

  func headerName() -> String? {
    guard let text = string() else { return nil }
    if NameSyntax.isToken(text), text.utf8.count <= 256 { return text }
    error("\"\(text)\" is not the name of a header", fix: text.hasPrefix(":") ? "pseudo-headers cannot be named" : "")
    return nil
  }

  /// 1 to 4096 bytes without control characters: a line break would let the value write headers of its own.
  func headerValue() -> String? {
    guard let text = string() else { return nil }
    if text.isEmpty || text.utf8.count > 4096 {
      error("must be 1 to 4096 bytes long")
    } else if text.utf8.contains(where: { $0 < 0x20 && $0 != 0x09 || $0 == 0x7F }) {
      error("must not contain control characters such as line breaks")
    } else {
      return text
    }
    return nil
  }
}
