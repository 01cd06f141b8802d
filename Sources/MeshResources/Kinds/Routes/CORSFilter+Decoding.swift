import MeshPolicy

extension CORSPolicy {
  private static let methods = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "*"]

  /// Reads `HTTPCORSFilter`; the caller calls `finish`.
  init(_ body: Fields) {
    let origins = Self.set(body.optional("allowOrigins"), atMost: RouteLimits.corsOrigins) { $0.origin() }
    let credentials = body.optional("allowCredentials")?.bool() ?? false
    let methods = Self.set(body.optional("allowMethods"), atMost: RouteLimits.corsMethods) { $0.word(Self.methods) }
    let headers = Self.set(body.optional("allowHeaders"), atMost: RouteLimits.corsHeaders) { $0.headerName() }
    let exposed = Self.set(
      body.optional("exposeHeaders"), atMost: RouteLimits.corsHeaders, wildcardStandsAlone: false
    ) { $0.headerName() }
    let maxAge = body.optional("maxAge").flatMap { $0.integer(in: 1...Int(Int32.max)) } ?? 5
    self.init(
      allowOrigins: origins, allowCredentials: credentials, allowMethods: methods, allowHeaders: headers,
      exposeHeaders: exposed, maxAge: UInt32(maxAge))
  }

  /// Each value once, as the API's `listType=set` has it.
  private static func set(
    _ field: Field?, atMost limit: Int, wildcardStandsAlone: Bool = true, _ read: (Field) -> String?
  ) -> [String] {
    var values: [String] = []
    let elements = field?.elements(atMost: limit) ?? []
    for element in elements {
      guard let value = read(element) else { continue }
      if values.contains(value) { element.error("\"\(value)\" stands twice", fix: "remove one of the two") }
      if value == "*", wildcardStandsAlone, elements.count > 1 {
        element.error("\"*\" allows everything and must stand alone", fix: "remove it, or the others")
      }
      values.append(value)
    }
    return values
  }
}

extension Field {
  /// `*`, or `http(s)://HOST[:PORT]`; the host may begin with `*.` or be `*`.
  fileprivate func origin() -> String? {
    guard let text = string() else { return nil }
    if text == "*" || text.utf8.count <= 253 && Self.isOrigin(text) { return text }
    let mended = Self.isOrigin("https://\(text)") ? "https://\(text)" : "https://HOST or https://HOST:PORT"
    error("\"\(text)\" is not an origin", fix: "write \(mended)")
    return nil
  }

  private static func isOrigin(_ text: String) -> Bool {
    let schemes = ["http://", "https://"].filter(text.hasPrefix)
    guard let scheme = schemes.first else { return false }
    let authority = text.dropFirst(scheme.count)
    let parts = authority.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
    if parts.count == 2 {
      let digits = parts[1].utf8
      guard (1...5).contains(digits.count), digits.allSatisfy({ (0x30...0x39).contains($0) }),
        let port = Int(parts[1]), (1...65535).contains(port)
      else { return false }
    }
    var host = parts[0]
    if host == "*" { return true }
    if host.hasPrefix("*.") { host = host.dropFirst(2) }
    return NameSyntax.isSubdomain(host.lowercased())
  }
}
