import MeshCore
import MeshPolicy

extension SessionPersistence {
  /// Reads `SessionPersistence` in both of its forms: `sessionName`, `idleTimeout` and `cookieConfig` of the API's releases up to
  /// 1.4, and `cookie` and `header` of those after them.
  init?(_ field: Field) {
    guard let fields = field.fields() else { return nil }
    let read = Self(fields)
    fields.finish()
    guard let read else { return nil }
    self = read
  }

  /// Reads the fields; whoever calls it finishes them.
  init?(_ fields: Fields) {
    var reader = Reader(fields: fields)
    let type = fields.optional("type").map { $0.word(["Cookie", "Header"]) } ?? "Cookie"
    reader.isHeader = type == "Header"
    reader.sessionName()
    reader.cookieConfig()
    reader.cookie()
    reader.header()
    let absolute = fields.optional("absoluteTimeout").flatMap { $0.wholeSeconds() }
    let idle = fields.optional("idleTimeout").flatMap { $0.wholeSeconds() }
    guard type != nil else { return nil }
    if reader.isPermanent, fields.optional("absoluteTimeout") == nil {
      fields.error(
        "absoluteTimeout", "is required: a permanent cookie needs an end", fix: "write it, or lifetimeType: Session")
    }
    if let absolute, let idle, idle >= absolute {
      fields.warning("idleTimeout", "is never reached: the absoluteTimeout is no longer", fix: "remove one of them")
    }
    self.init(
      reader.isHeader ? .header : .cookie(path: reader.path, isPermanent: reader.isPermanent), name: reader.name,
      absoluteTimeout: absolute, idleTimeout: idle)
  }

  private struct Reader {
    let fields: Fields
    var isHeader = false
    var name: String?
    var path = "/"
    var isPermanent = false

    mutating func sessionName() {
      guard let field = fields.optional("sessionName") else { return }
      take(name: field)
    }

    mutating func cookieConfig() {
      guard let config = block("cookieConfig", isForHeaders: false) else { return }
      isPermanent = config.lifetimeIsPermanent()
      config.finish()
    }

    mutating func cookie() {
      guard let cookie = block("cookie", isForHeaders: false) else { return }
      if let field = cookie.optional("name") { take(name: field) }
      if let text = cookie.optional("path")?.cookiePath() { path = text }
      if cookie.lifetimeIsPermanent() { isPermanent = true }
      cookie.finish()
    }

    mutating func header() {
      guard let header = block("header", isForHeaders: true) else { return }
      if let field = header.optional("name") { take(name: field) }
      header.finish()
    }

    private func block(_ name: String, isForHeaders: Bool) -> Fields? {
      guard let field = fields.optional(name), let block = field.fields() else { return nil }
      if isForHeaders != isHeader {
        field.error(
          "is for sessions of type \(isForHeaders ? "Header" : "Cookie")",
          fix: "remove it, or write type: \(isForHeaders ? "Header" : "Cookie")")
      }
      return block
    }

    private mutating func take(name field: Field) {
      if name != nil { field.error("the session has a name already", fix: "write one of them") }
      name = isHeader ? field.ownHeaderName()?.lowercased() : field.cookieName()
      if let name, name.utf8.count > RouteLimits.sessionNameBytes {
        field.error("must be at most \(RouteLimits.sessionNameBytes) bytes long")
      }
    }
  }
}

extension Fields {
  fileprivate func lifetimeIsPermanent() -> Bool {
    optional("lifetimeType")?.word(["Session", "Permanent"]) == "Permanent"
  }
}

extension Field {
  /// A name that the proxy does not write itself.
  fileprivate func ownHeaderName() -> String? { headerName().flatMap { HeaderFilter.permitted($0, self) } }

  /// Tokens and cookies count so.
  fileprivate func wholeSeconds() -> TimeSpan? {
    guard let span = duration() else { return nil }
    if span == .zero || span.nanoseconds % 1_000_000_000 != 0 {
      error("sessions count whole seconds", fix: "write 1s or more")
    }
    return span
  }

  /// RFC 6265, section 4.1.1.
  func cookieName() -> String? {
    guard let text = string() else { return nil }
    if NameSyntax.isToken(text), text.utf8.count <= PolicyLimits.nameBytes { return text }
    error("\"\(text)\" is not the name of a cookie", fix: "use letters, digits, \"-\" and \"_\"")
    return nil
  }

  /// Neither a semicolon nor controls: they would write attributes of their own.
  func cookiePath() -> String? {
    guard let text = string() else { return nil }
    let isPlain = text.utf8.allSatisfy { (0x21...0x7E).contains($0) && $0 != UInt8(ascii: ";") }
    if text.hasPrefix("/"), isPlain, text.utf8.count <= PolicyLimits.cookiePathBytes { return text }
    error("\"\(text)\" is not the path of a cookie", fix: "begin it with /, without spaces and semicolons")
    return nil
  }
}
