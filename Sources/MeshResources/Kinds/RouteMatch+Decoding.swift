import MeshPolicy

extension RouteMatch {
  /// Reads `HTTPRouteMatch`.
  init?(httpRouteMatch field: Field) {
    guard let fields = field.fields() else { return nil }
    let path = fields.optional("path").map { Self.path($0) } ?? .prefix("/")
    let method = fields.optional("method").flatMap {
      $0.word(["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"])
    }
    var headers: [HeaderMatch] = []
    for element in fields.optional("headers")?.elements(atMost: HTTPRoute.maximumHeaders) ?? [] {
      guard let header = Self.header(element) else { continue }
      if headers.contains(where: { $0.name == header.name }) {
        // "Only the first entry with an equivalent name MUST be considered for a match."
        element.warning("the header \(header.name) is matched twice; this entry has no effect", fix: "remove it")
      } else {
        headers.append(header)
      }
    }
    fields.unsupported("queryParams", fix: "match the path or a header instead")
    fields.finish()
    self.init(path: path, method: method, headers: headers)
  }

  private static func path(_ field: Field) -> PathMatch? {
    guard let fields = field.fields() else { return nil }
    let type = fields.optional("type").map { $0.word(["Exact", "PathPrefix", "RegularExpression"]) } ?? "PathPrefix"
    let valueField = fields.optional("value")
    let value = valueField.map { $0.string() } ?? "/"
    fields.finish()
    guard let type, let value else { return nil }
    if value.utf8.count > 1024 { valueField?.error("must be at most 1024 bytes") }
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

  private static func header(_ field: Field) -> HeaderMatch? {
    guard let fields = field.fields() else { return nil }
    let type = fields.optional("type").map { $0.word(["Exact", "RegularExpression"]) } ?? "Exact"
    let name = fields.required("name")?.headerName()
    let valueField = fields.required("value")
    let value = valueField?.headerValue()
    fields.finish()
    guard let type, let name, let value else { return nil }
    if type == "RegularExpression" { valueField?.checkRegularExpression(value) }
    return HeaderMatch(name: name.lowercased(), value: type == "Exact" ? .exact(value) : .regularExpression(value))
  }
}

extension Field {
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
