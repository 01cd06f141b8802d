import MeshCore
import MeshPolicy

extension PolicyReader {
  static func balancer(_ block: Fields) -> [PolicySetting] {
    let algorithm = block.optional("algorithm")?.word(BalancingPolicy.Algorithm.allCases.map(\.word)).flatMap { word in
      BalancingPolicy.Algorithm.allCases.first { $0.word == word }
    }
    let source = block.optional("hashOn").flatMap { hashSource($0) }
    let start = block.optional("slowStart").flatMap { slowStart($0) }
    let panic = block.count("panicPercent", 0...100)
    let zones = block.optional("locality").flatMap { locality($0) }
    let subsets = block.optional("subset").flatMap { subset($0) }
    if let algorithm, !algorithm.isHashing, source != nil {
      block.error(
        "hashOn", "\(algorithm.word) does not go by the requests' keys", fix: "write algorithm: ringHash or maglev")
    }
    if let algorithm, algorithm.isHashing, case .slowStart(.some)? = start {
      block.error(
        "slowStart", "\(algorithm.word) knows none: the shares are in its table",
        fix: "remove it, or choose another algorithm")
    }
    return [
      algorithm.map { .algorithm($0) }, source.map { .hashOn($0) }, start, panic.map { .panicPercent($0) }, zones,
      subsets,
    ].compactMap(\.self)
  }

  // MARK: - Keys

  private static func hashSource(_ field: Field) -> HashSource? {
    guard let fields = field.fields() else { return nil }
    let sources: [HashSource?] = [
      fields.optional("header").flatMap { field in field.headerName().map { .header($0.lowercased()) } },
      fields.optional("cookie").flatMap { cookie($0) },
      fields.optional("query").flatMap { field in field.queryKey().map { .query($0) } },
      fields.optional("sourceAddress").flatMap { sourceAddress($0) },
    ]
    let isSilent = !field.context.hasErrors
    fields.finish()
    let found = sources.compactMap(\.self)
    if found.count != 1, isSilent {
      fields.error("must have exactly one source", fix: "write one of header, cookie, query and sourceAddress: true")
    }
    return found.first
  }

  private static func sourceAddress(_ field: Field) -> HashSource? {
    guard let flag = field.bool() else { return nil }
    if !flag { field.error("must be true", fix: "remove it, or write true") }
    return .sourceAddress
  }

  private static func cookie(_ field: Field) -> HashSource? {
    guard let fields = field.fields() else { return nil }
    let name = fields.required("name", fix: "name the cookie")?.cookieName()
    var cookie = AffinityCookie(name: name ?? "")
    if let ttl = fields.time("ttl"), ttl > .zero {
      if ttl.nanoseconds % 1_000_000_000 != 0 {
        fields.error("ttl", "cookies count whole seconds", fix: "write 1s or more, or 0s for the client's session")
      }
      cookie.lifetime = ttl
    }
    if let path = fields.optional("path")?.cookiePath() { cookie.path = path }
    fields.finish()
    return name == nil ? nil : .cookie(cookie)
  }

  // MARK: - Slow start

  private static func slowStart(_ field: Field) -> PolicySetting? {
    guard let fields = field.fields() else { return nil }
    var start: SlowStart?
    if let window = fields.required("window", fix: "write how long a new endpoint's share grows") {
      start = window.duration().map { SlowStart(window: $0) }
    }
    let aggression = fields.optional("aggression").flatMap { $0.decimal(in: PolicyLimits.aggression) }
    let minimum = fields.count("minimumPercent", 1...100)
    fields.finish()
    guard var start else { return nil }
    if start.window == .zero {
      if aggression != nil || minimum != nil {
        fields.error("window", "0s is no slow start, and the fields beside it say how it goes", fix: "remove them")
      }
      return .slowStart(nil)
    }
    start.aggression = aggression ?? start.aggression
    start.minimumPercent = minimum ?? start.minimumPercent
    return .slowStart(start)
  }
}

extension Field {
  fileprivate func queryKey() -> String? {
    guard let text = string() else { return nil }
    if NameSyntax.isToken(text), text.utf8.count <= PolicyLimits.nameBytes { return text }
    error("\"\(text)\" is not the name of a query parameter")
    return nil
  }
}
