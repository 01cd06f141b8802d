import MeshCore
import MeshPolicy

extension RequestAuthentication {
  /// Reads the object; nil when it has no metadata or spec. One with errors keeps its targets: until it is mended they accept no
  /// request, since a mistake must not open what somebody meant to close.
  init?(_ object: Fields) {
    let metadata = ObjectMetadata(object, nameRule: .subdomain)
    let spec = object.required("spec")?.fields()
    object.allow("status")
    object.finish()
    guard let metadata, let spec else { return nil }
    let targets = PolicyTarget.list(spec, namespace: metadata.namespace)
    for (target, field) in targets where target.kind.isRoute || target.kind == .externalService {
      field.error(
        "tokens are judged by the proxies beside a service's workloads, for all that comes to them",
        fix: "name the Service, its namespace or the mesh")
    }
    let name = "\(metadata.namespace)/\(metadata.name)"
    let rules = spec.required("jwtRules", fix: "write whose tokens are accepted: jwtRules with an issuer and its keys")
    let elements = rules?.elements(atMost: RequestAuthenticationLimits.rules) ?? []
    if elements.isEmpty { rules?.error("must not be empty", fix: "write an issuer and its keys") }
    let issuers = elements.compactMap { TokenIssuer($0, policy: name) }
    let isRequired = spec.optional("required")?.bool() ?? false
    spec.finish()
    self.init(
      metadata: metadata, targets: targets.map(\.target), policy: TokenPolicy(issuers: issuers, isRequired: isRequired))
  }
}

extension TokenIssuer {
  fileprivate init?(_ element: Field, policy: String) {
    guard let fields = element.fields() else { return nil }
    let issuer = fields.required("issuer", fix: "write the value of the claim iss")?.tokenText()
    let audienceList = fields.optional("audiences")
    let audiences =
      audienceList?.elements(atMost: RequestAuthenticationLimits.audiences).compactMap { $0.tokenText() } ?? []
    if audiences.isEmpty {
      fields.warning(
        "audiences", "tokens that the issuer made for any other service are accepted, too",
        fix: "write the audiences that are this service's")
    }
    let keys = TokenKeySource(fields)
    var locations = TokenLocation.list(fields)
    if locations.isEmpty { locations = [.authorization] }
    let forwards = fields.optional("forwardOriginalToken")?.bool() ?? false
    let headers = ClaimHeader.list(fields)
    let payloadField = fields.optional("outputPayloadToHeader")
    let payloadHeader = payloadField?.ownHeader()
    if let payloadHeader, headers.contains(where: { $0.header == payloadHeader }) {
      payloadField?.error("the header \(payloadHeader) has a claim already", fix: "choose another name")
    }
    let skew = fields.optional("clockSkew").map { $0.duration() ?? .zero } ?? .seconds(60)
    if skew > .seconds(Int64(RequestAuthenticationLimits.clockSkewSeconds)) {
      fields.error(
        "clockSkew", "is longer than \(RequestAuthenticationLimits.clockSkewSeconds / 60) minutes",
        fix: "set the clocks, and write 1m")
    }
    fields.unsupported("timeout", fix: "remove it: keys are fetched beside the requests, for at most 5s")
    fields.finish()
    guard let issuer, let keys else { return nil }
    self.init(
      policy: policy, issuer: issuer, audiences: audiences, keys: keys, locations: locations, forwardsToken: forwards,
      claimHeaders: headers, payloadHeader: payloadHeader, clockSkew: skew)
  }
}

extension TokenKeySource {
  fileprivate init?(_ fields: Fields) {
    let inline = fields.optional("jwks")
    let file = fields.optional("jwksFile")
    let url = fields.optional("jwksUri")
    let authorities = fields.optional("jwksCACertificates")
    let given = [inline, file, url].compactMap(\.self)
    guard let first = given.first else {
      fields.error("names no keys", fix: "write jwksUri, jwksFile or jwks")
      return nil
    }
    if given.count > 1 { given[1].error("stands beside \(first.path)", fix: "remove one of the two") }
    if let authorities, url == nil {
      authorities.error("is for keys from an https URL", fix: "remove it, or write jwksUri")
    }
    if let inline {
      guard let text = inline.keySet() else { return nil }
      self = .inline(text)
    } else if let file {
      guard let path = file.nonEmptyString() else { return nil }
      guard path.hasPrefix("/"), path.utf8.count <= 4_096, !path.utf8.contains(0) else {
        file.error("\"\(path.prefix(256))\" is not an absolute path", fix: "begin it with /")
        return nil
      }
      self = .file(path)
    } else {
      guard let address = first.keySetURL(authorities) else { return nil }
      self = address
    }
  }
}

extension TokenLocation {
  fileprivate static func list(_ fields: Fields) -> [TokenLocation] {
    var found: [TokenLocation] = []
    let limit = RequestAuthenticationLimits.locations
    for element in fields.optional("fromHeaders")?.elements(atMost: limit) ?? [] {
      guard let entry = element.fields() else { continue }
      let field = entry.required("name")
      let name = field?.headerName()?.lowercased()
      let prefix = entry.optional("prefix")?.string() ?? (name == "authorization" ? "Bearer " : "")
      entry.finish()
      if !prefix.utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7F }) { entry.error("prefix", "is not printable ASCII") }
      guard let name, let field, HeaderFilter.permitted(name, field) != nil else { continue }
      found.append(.header(name: name, prefix: prefix))
    }
    for element in fields.optional("fromParams")?.elements(atMost: limit) ?? [] {
      if let name = element.tokenText() { found.append(.parameter(name)) }
    }
    for element in fields.optional("fromCookies")?.elements(atMost: limit) ?? [] {
      guard let name = element.nonEmptyString() else { continue }
      if NameSyntax.isToken(name) {
        found.append(.cookie(name))
      } else {
        element.error("\"\(name)\" is not a cookie's name")
      }
    }
    if found.count > limit { fields.error("names \(found.count) places for a token; at most \(limit) are allowed") }
    if Set(found).count < found.count { fields.error("names a place for a token twice", fix: "remove one of the two") }
    return found
  }
}

extension TokenIssuer.ClaimHeader {
  fileprivate static func list(_ fields: Fields) -> [TokenIssuer.ClaimHeader] {
    var found: [TokenIssuer.ClaimHeader] = []
    let limit = RequestAuthenticationLimits.claimHeaders
    for element in fields.optional("outputClaimToHeaders")?.elements(atMost: limit) ?? [] {
      guard let entry = element.fields() else { continue }
      let field = entry.required("header")
      let header = field?.ownHeader()
      let claim = entry.required("claim")?.tokenText()
      entry.finish()
      guard let header, let claim else { continue }
      if found.contains(where: { $0.header == header }) { field?.error("the header \(header) has two claims") }
      found.append(TokenIssuer.ClaimHeader(header: header, claim: claim))
    }
    return found
  }
}

extension Field {
  /// The name, in lower case, of a field that only the proxy writes.
  fileprivate func ownHeader() -> String? {
    guard let header = headerName().flatMap({ HeaderFilter.permitted($0, self) })?.lowercased() else { return nil }
    if header == "x-forwarded-client-cert" || header == "authorization" || header == "cookie" {
      error("the header \(header) has a meaning of its own", fix: "choose another name, such as x-user")
    }
    return header
  }

  fileprivate func tokenText() -> String? {
    guard let text = nonEmptyString() else { return nil }
    if text.utf8.count <= TokenLimits.textBytes { return text }
    error("has more than \(TokenLimits.textBytes) bytes")
    return nil
  }

  fileprivate func keySet() -> String? {
    guard let text = nonEmptyString() else { return nil }
    do throws(TokenKeySet.Failure) {
      let set = try TokenKeySet(text.utf8)
      for reason in set.refused { warning("\(reason); it verifies nothing", fix: "remove the key") }
      return text
    } catch {
      self.error("the key set cannot be used: \(error)")
      return nil
    }
  }

  fileprivate func keySetURL(_ authorities: Field?) -> TokenKeySource? {
    guard let text = nonEmptyString() else { return nil }
    guard let url = KeySetURL(text) else {
      error("\"\(text.prefix(256))\" is not a URL of http or https", fix: "write https://HOST/PATH")
      return nil
    }
    if !url.isTLS {
      authorities?.error("is for https", fix: "write jwksUri: https://\(url.authority)\(url.target)")
      if !url.isLoopback {
        warning("whoever stands between can put keys of their own in the place of the issuer's", fix: "write https")
      }
    }
    let pem = authorities?.nonEmptyString()
    if let pem, pem.utf8.count > TLSOriginationLimits.authorityBytes {
      authorities?.error("has more than \(TLSOriginationLimits.authorityBytes) bytes")
    }
    return .url(text, authorities: pem)
  }
}
