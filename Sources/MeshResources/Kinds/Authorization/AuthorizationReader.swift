import MeshCore
import MeshPolicy

/// Reads the rules of an `AuthorizationPolicy`. A list that is empty, and an entry that says nothing, is refused: it would match everything, where
/// its author took something away.
struct AuthorizationReader {
  /// Of the policy; what service accounts without one are in.
  let namespace: String

  func rule(_ field: Field) -> DeclaredAuthorization.Rule? {
    guard let fields = field.fields() else { return nil }
    let sources = entries(fields, "from", source)
    let operations = entries(fields, "to", operation)
    let conditions = entries(fields, "when", condition)
    fields.finish()
    return DeclaredAuthorization.Rule(sources: sources, operations: operations, conditions: conditions)
  }

  private func entries<Value>(_ fields: Fields, _ name: String, _ read: (Fields) -> Value?) -> [Value] {
    guard let list = fields.optional(name) else { return [] }
    let elements = list.elements(atMost: PolicyLimits.authorizationEntries)
    if elements.isEmpty { list.error("must not be empty", fix: "remove it to match everything, or write an entry") }
    return elements.compactMap { element in
      guard let entry = element.fields() else { return nil }
      let value = read(entry)
      entry.finish()
      return value
    }
  }

  private func refuse(_ fields: Fields, nested name: String) {
    fields.optional(name)?.error("the fields stand in the entry itself", fix: "write them one level up")
  }

  // MARK: - from

  private func source(_ fields: Fields) -> AuthorizationSource? {
    refuse(fields, nested: "source")
    for name in ["requestPrincipals", "notRequestPrincipals"] {
      fields.optional(name)?.error("is not supported", fix: "write when: [{claim: sub, values: [...]}]")
    }
    for name in ["remoteIpBlocks", "notRemoteIpBlocks"] {
      fields.optional(name)?.error(
        "what a caller says of its address is not believed", fix: "write ipBlocks, which are of the connection")
    }
    let source = AuthorizationSource(
      principals: selection(fields, "principals", principal),
      namespaces: selection(fields, "namespaces") { glob($0, "a namespace", NameSyntax.isLabel) },
      serviceAccounts: selection(fields, "serviceAccounts", account),
      trustDomains: selection(fields, "trustDomains") { glob($0, "a trust domain", NameSyntax.isSubdomain) },
      addresses: selection(fields, "ipBlocks", addressBlock))
    if source == AuthorizationSource(), !fields.context.hasErrors {
      fields.error("matches every caller", fix: "remove from, or write serviceAccounts, namespaces or principals")
    }
    return source
  }

  private func principal(_ field: Field) -> String? {
    guard let text = pattern(field) else { return nil }
    guard text == "*" || text == "**" || text.hasPrefix("spiffe://") else {
      field.error(
        "\"\(text)\" is no SPIFFE id",
        fix: "write spiffe://TRUST-DOMAIN/ns/NAMESPACE/sa/ACCOUNT, * in a part, or ** for any")
      return nil
    }
    return text == "*" ? "**" : text
  }

  /// `web` is one of the policy's own namespace.
  private func account(_ field: Field) -> String? {
    guard let text = pattern(field) else { return nil }
    let parts = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
    let names = parts.count == 1 ? [namespace] + parts : parts
    guard names.count == 2, isGlob(names[0], NameSyntax.isLabel), isGlob(names[1], NameSyntax.isSubdomain) else {
      field.error("\"\(text)\" is no service account", fix: "write NAMESPACE/NAME, such as shop/web or shop/*")
      return nil
    }
    return names.joined(separator: "/")
  }

  private func addressBlock(_ field: Field) -> AddressBlock? {
    guard let text = field.string() else { return nil }
    guard let block = AddressBlock(text) else {
      field.error(
        "\"\(text)\" is no block of addresses", fix: "write 10.0.0.0/8, with zeros behind its length, or one address")
      return nil
    }
    return block
  }

  // MARK: - to

  private func operation(_ fields: Fields) -> DeclaredAuthorization.Operation? {
    refuse(fields, nested: "operation")
    let ports = selection(fields, "ports") { $0.port() }
    let operation = AuthorizationOperation(
      methods: selection(fields, "methods", method), hosts: selection(fields, "hosts", host),
      paths: selection(fields, "paths", path))
    if ports.isEmpty, operation.isEmpty, !fields.context.hasErrors {
      fields.error("matches everything", fix: "remove to, or write paths, methods, hosts or ports")
    }
    return DeclaredAuthorization.Operation(ports: ports, request: operation)
  }

  private func method(_ field: Field) -> String? {
    guard let text = field.string() else { return nil }
    guard NameSyntax.isToken(text), text != "*" else {
      field.error("\"\(text)\" is no method", fix: "write GET, or remove the field for every method")
      return nil
    }
    if text != text.uppercased() { field.warning("methods are case-sensitive", fix: "write \(text.uppercased())") }
    return text
  }

  private func host(_ field: Field) -> String? {
    guard let text = pattern(field) else { return nil }
    let host = text.lowercased()
    guard host.utf8.allSatisfy({ NameSyntax.isHostByte($0) }), !host.hasSuffix(".") else {
      field.error(
        "\"\(text)\" is no host",
        fix: "write api.example.com or *.example.com, without port: ports have a field of their own")
      return nil
    }
    return host
  }

  // MARK: - when

  private func condition(_ fields: Fields) -> AuthorizationCondition? {
    if let key = fields.optional("key") {
      key.error("is not known here", fix: "write header: NAME or claim: NAME")
    }
    let header = fields.optional("header")
    let claim = fields.optional("claim")
    let values = selection(fields, "values") { $0.string(atMost: PolicyLimits.patternBytes) }
    if values.isEmpty, !fields.context.hasErrors {
      fields.error("asks for nothing", fix: "write values, or values: [\"*\"] for any, or notValues: [\"*\"] for none")
    }
    switch (header, claim) {
    case (let header?, nil): return headerName(header).map { AuthorizationCondition(.header($0), values) }
    case (nil, let claim?): return claim.nonEmptyString().map { AuthorizationCondition(.claim($0), values) }
    default:
      fields.error("is about one thing", fix: "write header or claim, each in an entry of its own")
      return nil
    }
  }

  private func headerName(_ field: Field) -> String? {
    guard let text = field.string() else { return nil }
    let name = text.lowercased()
    guard NameSyntax.isToken(name) else {
      field.error("\"\(text)\" is no name of a field", fix: "write it as x-tenant")
      return nil
    }
    guard name != "host" else {
      field.error("HTTP/2 has no such field", fix: "write to: [{hosts: [...]}]")
      return nil
    }
    return name
  }

  // MARK: - Values

  /// `name` and its not-form `notName`.
  func selection<Value>(_ fields: Fields, _ name: String, _ read: (Field) -> Value?) -> Selection<Value> {
    func values(_ name: String) -> [Value] {
      guard let list = fields.optional(name) else { return [] }
      let elements = list.elements(atMost: PolicyLimits.authorizationValues)
      if elements.isEmpty { list.error("must not be empty", fix: "remove it, or write a value") }
      return elements.compactMap(read)
    }
    return Selection(values(name), not: values("not" + name.prefix(1).uppercased() + name.dropFirst()))
  }

  private func pattern(_ field: Field) -> String? { field.string(atMost: PolicyLimits.patternBytes) }

  private func glob(_ field: Field, _ what: String, _ isName: (String) -> Bool) -> String? {
    guard let text = pattern(field) else { return nil }
    if isGlob(text, isName) { return text }
    field.error("\"\(text)\" is not \(what)", fix: "write a name of a-z, 0-9 and \"-\", with * for any characters")
    return nil
  }

  private func isGlob(_ text: String, _ isName: (String) -> Bool) -> Bool {
    // With something in the place of the wildcards.
    isName(String(text.map { $0 == "*" ? "x" : $0 }))
  }
}

extension Field {
  fileprivate func string(atMost limit: Int) -> String? {
    guard let text = nonEmptyString() else { return nil }
    if text.utf8.count <= limit { return text }
    error("has \(text.utf8.count) bytes; at most \(limit) are allowed")
    return nil
  }
}

extension NameSyntax {
  /// Of a host in lower case, or `*`; colons stand in an IPv6 address.
  fileprivate static func isHostByte(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
    default: "-._*".utf8.contains(byte)
    }
  }
}
