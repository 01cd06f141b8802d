package import MeshPolicy

/// Whom a proxy trusts when it speaks TLS to a server outside the mesh, and what the server must prove to be: the fields of a
/// BackendTLSPolicy's `validation`, which an ExternalService's `tls` has, too.
package struct TLSValidation: Hashable, Sendable {
  /// An entry of `caCertificateRefs`, in the object's own namespace.
  package struct AuthorityRef: Hashable, Sendable {
    package var group: String
    package var kind: String
    package var name: String

    package init(group: String = "", kind: String = "ConfigMap", name: String) {
      self.group = group
      self.kind = kind
      self.name = name
    }
  }

  package enum Authorities: Hashable, Sendable {
    case system
    case refs([AuthorityRef])
    /// PEM that stands in the object itself.
    case inline(String)
  }

  package var authorities: Authorities
  /// SNI, and the name that the certificate must have if there are no alternatives. Nil: the host itself.
  package var hostname: String?
  package var alternativeHosts: [String]
  package var alternativeURIs: [String]
  package var minimumVersion: TLSOrigination.Version

  package init(
    authorities: Authorities, hostname: String?, alternativeHosts: [String] = [], alternativeURIs: [String] = [],
    minimumVersion: TLSOrigination.Version = .tls12
  ) {
    self.authorities = authorities
    self.hostname = hostname
    self.alternativeHosts = alternativeHosts
    self.alternativeURIs = alternativeURIs
    self.minimumVersion = minimumVersion
  }
}

extension TLSValidation {
  private static let maximumRefs = 8

  /// Reads the fields; whoever calls it asks for the rest of the object's and finishes it. `isInline`: of an ExternalService, which
  /// can bring its authorities along and trusts the system's unless it says otherwise.
  init(_ fields: Fields, isInline: Bool) {
    let refs = fields.optional("caCertificateRefs")
    let wellKnown = fields.optional("wellKnownCACertificates")
    let pem = isInline ? fields.optional("caCertificates") : nil
    authorities = .system
    _ = wellKnown?.word(["System"])
    if let refs { authorities = .refs(Self.refs(refs)) }
    if let pem { authorities = .inline(Self.pem(pem) ?? "") }
    let given = [refs, wellKnown, pem].compactMap { $0 }
    if given.count > 1 { given[1].error("stands beside \(given[0].path)", fix: "remove one of the two") }
    if given.isEmpty, !isInline {
      fields.error(
        "names no authority", fix: "write caCertificateRefs, or wellKnownCACertificates: System")
    }
    hostname = fields.optional("hostname")?.preciseHostname()
    alternativeHosts = []
    alternativeURIs = []
    minimumVersion = isInline ? fields.optional("minimumVersion")?.tlsVersion() ?? .tls12 : .tls12
    for element in fields.optional("subjectAltNames")?.elements(atMost: TLSOriginationLimits.alternatives) ?? [] {
      addAlternative(element)
    }
  }

  private static func refs(_ list: Field) -> [AuthorityRef] {
    let elements = list.elements(atMost: maximumRefs)
    if elements.isEmpty { list.error("must not be empty", fix: "name a ConfigMap with the key ca.crt") }
    return elements.compactMap { element in
      guard let fields = element.fields() else { return nil }
      let group = fields.required("group", fix: "write group: \"\"")?.string()
      let kind = fields.required("kind", fix: "write kind: ConfigMap")?.nonEmptyString()
      let name = fields.required("name")?.subdomain()
      fields.finish()
      guard let group, let kind, let name else { return nil }
      return AuthorityRef(group: group == "core" ? "" : group, kind: kind, name: name)
    }
  }

  private static func pem(_ field: Field) -> String? {
    guard let text = field.nonEmptyString() else { return nil }
    guard text.utf8.count <= TLSOriginationLimits.authorityBytes else {
      field.error("has more than \(TLSOriginationLimits.authorityBytes) bytes")
      return nil
    }
    return text
  }

  private mutating func addAlternative(_ element: Field) {
    guard let fields = element.fields() else { return }
    let type = fields.required("type", fix: "write type: Hostname or URI")?.word(["Hostname", "URI"])
    let host = fields.optional("hostname")
    let uri = fields.optional("uri")
    switch type {
    case "Hostname":
      uri?.error("stands in an entry of type Hostname", fix: "remove it, or write type: URI")
      if let name = (host ?? fields.required("hostname"))?.preciseHostname() { alternativeHosts.append(name) }
    case "URI":
      host?.error("stands in an entry of type URI", fix: "remove it, or write type: Hostname")
      if let name = (uri ?? fields.required("uri"))?.uri() { alternativeURIs.append(name) }
    default: break
    }
    fields.finish()
  }
}

extension Field {
  /// The oldest version that a server may speak.
  func tlsVersion() -> TLSOrigination.Version? {
    word(TLSOrigination.Version.allCases.map(\.rawValue)).flatMap { TLSOrigination.Version(rawValue: $0) }
  }

  /// A name that one certificate is for.
  func preciseHostname() -> String? {
    guard let text = string() else { return nil }
    if text.hasPrefix("*") {
      error("\"\(text)\" is a pattern, and one server has one name", fix: "write the name of the server")
      return nil
    }
    guard let (host, _) = HostName.split(text, defaultPort: 1), !text.contains(":"), !text.isAddress else {
      error("\"\(text)\" is not a name of the DNS", fix: "write a name such as api.example.com")
      return nil
    }
    return host
  }

  /// With a scheme, as RFC 3986 has it; compared byte for byte with the certificate's.
  fileprivate func uri() -> String? {
    guard let text = nonEmptyString() else { return nil }
    let scheme = text.prefix { $0 != ":" }
    let isWhole = scheme.count < text.count && scheme.first?.isLetter == true && text.utf8.count <= 253
    guard isWhole, text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
      error("\"\(text.prefix(253))\" is not a URI", fix: "write it with its scheme, such as spiffe://example.com/api")
      return nil
    }
    return text
  }
}
