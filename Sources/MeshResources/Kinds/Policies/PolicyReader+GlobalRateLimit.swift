import MeshCore
import MeshPolicy

extension PolicyReader {
  /// The block counts as a whole. A service without a namespace is one of the policy's own.
  static func globalRateLimit(_ field: Field, namespace: String?) -> [PolicySetting] {
    guard let block = field.fields() else { return [] }
    defer { block.finish() }
    if let isOn = block.optional("enabled")?.bool(), !isOn {
      for name in ["service", "domain", "descriptors"] {
        block.optional(name)?.error("says nothing beside enabled: false", fix: "remove one of the two")
      }
      return [.globalRateLimit(nil)]
    }
    let service = block.required("service", fix: "name the service that counts, and its port").flatMap {
      servicePort($0, namespace: namespace ?? "")
    }
    let domain = block.required("domain", fix: "write the domain of its configuration")?.someText()
    let descriptors = block.required("descriptors", fix: "write what requests are counted by").map { field in
      let found = field.elements(atMost: PolicyLimits.descriptors).map { descriptor($0) }
      if found.isEmpty, !field.context.hasErrors { field.error("must not be empty", fix: "write a list of entries") }
      return found
    }
    let hits = block.count("hits", 1...PolicyLimits.count)
    let timeout = block.time("timeout")
    if timeout == .zero { block.error("timeout", "must not be 0s", fix: "write how long an answer may take") }
    let failure = failure(block)
    guard !block.context.hasErrors, let service, let domain, let descriptors, let failure else { return [] }
    var limit = GlobalRateLimit(service: service, domain: domain, descriptors: descriptors, failure: failure)
    limit.hits = hits ?? limit.hits
    limit.timeout = timeout ?? limit.timeout
    return [.globalRateLimit(limit)]
  }

  private static func servicePort(_ field: Field, namespace: String) -> ServicePort? {
    guard let fields = field.fields() else { return nil }
    let name = fields.required("name", fix: "name the service")?.label()
    let space = fields.optional("namespace").map { $0.label() } ?? namespace
    let port = fields.required("port", fix: "write its port")?.integer(in: 1...65_535)
    fields.finish()
    guard let name, let space, let port else { return nil }
    return ServicePort(service: ServiceName(name: name, namespace: space), port: UInt16(port))
  }

  private static func failure(_ block: Fields) -> GlobalRateLimit.Failure? {
    let word = block.optional("onFailure").flatMap { $0.word(["allow", "deny", "local"]) } ?? "allow"
    let local = block.optional("local").flatMap { rateLimit($0, ofRoute: false) }
    switch word {
    case "local":
      guard let local else {
        block.error("local", "is required with onFailure: local", fix: "write requests and period")
        return nil
      }
      return .local(local)
    default:
      if local != nil { block.error("local", "is for onFailure: local", fix: "remove one of the two") }
      return word == "deny" ? .deny : .allow
    }
  }

  // MARK: - Descriptors

  private static func descriptor(_ field: Field) -> [GlobalRateLimit.Entry] {
    let entries = field.elements(atMost: PolicyLimits.descriptors).compactMap { entry($0) }
    if entries.isEmpty, !field.context.hasErrors { field.error("must not be empty", fix: "write an entry") }
    return entries
  }

  private static func entry(_ field: Field) -> GlobalRateLimit.Entry? {
    guard let fields = field.fields() else { return nil }
    let key = fields.required("key", fix: "write the entry's key")?.someText()
    let values: [GlobalRateLimit.Entry.Value?] = [
      fields.optional("value").flatMap { $0.someText() }.map { .constant($0) },
      fields.optional("header").flatMap { $0.headerName() }.map { .header($0.lowercased()) },
      fields.optional("source").flatMap { $0.word(Source.allCases.map(\.rawValue)) }.flatMap(Source.init)?.value,
    ]
    let isSilent = !field.context.hasErrors
    fields.finish()
    let found = values.compactMap(\.self)
    if found.count != 1, isSilent {
      fields.error("must have exactly one value", fix: "write one of value, header and source")
    }
    guard let key, let value = found.first else { return nil }
    return GlobalRateLimit.Entry(key: key, value: value)
  }

  private enum Source: String, CaseIterable {
    case caller, remoteAddress, service, route, method, path

    var value: GlobalRateLimit.Entry.Value {
      switch self {
      case .caller: .caller
      case .remoteAddress: .remoteAddress
      case .service: .service
      case .route: .route
      case .method: .method
      case .path: .path
      }
    }
  }
}

extension Field {
  fileprivate func someText() -> String? {
    guard let text = string() else { return nil }
    if !text.isEmpty, text.utf8.count <= PolicyLimits.nameBytes { return text }
    error("must have 1 to \(PolicyLimits.nameBytes) bytes")
    return nil
  }
}
