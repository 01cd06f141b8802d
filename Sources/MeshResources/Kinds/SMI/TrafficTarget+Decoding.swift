import MeshCore

extension TrafficTarget {
  /// Reads `access.smi-spec.io TrafficTarget` of the given version; nil after at least one problem was reported.
  init?(_ object: Fields, version: String) {
    let metadata = ObjectMetadata(object, nameRule: .subdomain)
    guard let metadata else { return nil }
    // v1alpha1 has its fields beside `metadata`.
    let isFlat = version == "v1alpha1"
    guard let spec = isFlat ? object : object.required("spec")?.fields() else { return nil }
    let reader = TargetReader(namespace: metadata.namespace, version: version)
    let destination = spec.required("destination", fix: "name the service account that is called").flatMap {
      reader.destination($0)
    }
    let sources = reader.sources(spec)
    let rules = reader.rules(spec, named: isFlat ? "specs" : "rules")
    if !isFlat { spec.finish() }
    object.allow("status")
    object.finish()
    guard let destination else { return nil }
    self.init(
      metadata: metadata, destination: destination.subject, port: destination.port, rules: rules, sources: sources)
  }
}

private struct TargetReader {
  let namespace: String
  let version: String

  private var hasPort: Bool { version == "v1alpha1" || version == "v1alpha2" }

  func destination(_ field: Field) -> (subject: TrafficTarget.Subject, port: UInt16?)? {
    guard let fields = field.fields() else { return nil }
    var port: UInt16?
    if let field = fields.optional("port") {
      port = field.port()
      if !hasPort {
        field.error("is a field of v1alpha1 and v1alpha2", fix: "name a TCPRoute with matches.ports in rules")
      }
    }
    guard let subject = subject(fields) else { return nil }
    return (subject, port)
  }

  func sources(_ spec: Fields) -> [TrafficTarget.Subject] {
    let fix = "list the service accounts that may call"
    guard let list = spec.required("sources", fix: fix) else { return [] }
    let elements = list.elements(atMost: TrafficTarget.maximumSources)
    if elements.isEmpty { list.error("must not be empty: a target without sources would admit nobody", fix: fix) }
    var subjects: [TrafficTarget.Subject] = []
    for element in elements {
      guard let fields = element.fields(), let subject = subject(fields) else { continue }
      if subjects.contains(subject) {
        element.warning("\(subject.kind.rawValue) \(subject.name) is listed twice", fix: "remove it")
      } else {
        subjects.append(subject)
      }
    }
    return subjects
  }

  private func subject(_ fields: Fields) -> TrafficTarget.Subject? {
    let kinds = version == "v1alpha4" ? ["ServiceAccount", "IdentityBinding"] : ["ServiceAccount"]
    let kindField = fields.required("kind", fix: "write kind: ServiceAccount")
    if version != "v1alpha4", kindField?.node.text == "IdentityBinding" {
      kindField?.error("IdentityBinding is of v1alpha4", fix: "write apiVersion: access.smi-spec.io/v1alpha4")
    }
    let kind = kindField?.node.text == "IdentityBinding" && version != "v1alpha4" ? nil : kindField?.word(kinds)
    let name = fields.required("name")?.subdomain()
    let space = fields.optional("namespace").map { $0.label() } ?? namespace
    if let group = fields.optional("group") {
      if version == "v1alpha4" {
        checkGroup(group, kind)
      } else {
        group.error("is a field of v1alpha4", fix: "remove it")
      }
    }
    fields.finish()
    guard let kind = kind.flatMap(TrafficTarget.Subject.Kind.init), let name, let space else { return nil }
    return TrafficTarget.Subject(kind: kind, name: name, namespace: space)
  }

  private func checkGroup(_ field: Field, _ kind: String?) {
    guard let kind, let group = field.string() else { return }
    // The core group is written as nothing, or not at all.
    let expected = kind == "IdentityBinding" ? "access.smi-spec.io" : ""
    if group != expected { field.error("\(kind) is not a kind of \"\(group)\"", fix: "write group: \"\(expected)\"") }
  }

  func rules(_ spec: Fields, named name: String) -> [TrafficTarget.Rule] {
    let fix = "name an HTTPRouteGroup or a TCPRoute"
    guard let list = spec.required(name, fix: fix) else { return [] }
    let elements = list.elements(atMost: TrafficTarget.maximumRules)
    if elements.isEmpty { list.error("must not be empty: a target without rules would admit nothing", fix: fix) }
    return elements.compactMap { rule($0) }
  }

  private func rule(_ field: Field) -> TrafficTarget.Rule? {
    guard let fields = field.fields() else { return nil }
    let kinds = TrafficTarget.Rule.Kind.allCases.map(\.rawValue).filter { !hasPort || $0 != "UDPRoute" }
    let kind = fields.required("kind", fix: "write kind: HTTPRouteGroup or TCPRoute")?.word(kinds)
      .flatMap(TrafficTarget.Rule.Kind.init)
    let name = fields.required("name")?.subdomain()
    var matches: [String] = []
    if let list = fields.optional("matches") {
      if let kind, kind != .httpRouteGroup {
        list.error("a \(kind.rawValue) has no matches with names", fix: "remove it")
      }
      for element in list.elements(atMost: HTTPRouteGroup.maximumMatches) {
        guard let match = element.nonEmptyString() else { continue }
        if matches.contains(match) {
          element.warning("\(match) is listed twice", fix: "remove it")
        } else {
          matches.append(match)
        }
      }
    }
    fields.finish()
    guard let kind, let name else { return nil }
    return TrafficTarget.Rule(kind: kind, name: name, matches: matches)
  }
}

extension IdentityBinding {
  private static let fix = "write one of serviceAccount, podLabelSelector and spiffeIdentities"

  /// Reads `access.smi-spec.io/v1alpha4 IdentityBinding`; nil after at least one problem was reported.
  init?(_ object: Fields) {
    let metadata = ObjectMetadata(object, nameRule: .subdomain)
    let spec = object.required("spec")?.fields()
    object.allow("status")
    object.finish()
    guard let metadata, let spec else { return nil }
    let schemes = spec.required("schemes", fix: Self.fix)?.fields()
    spec.finish()
    guard let schemes else { return nil }
    // The specification's own revisions differ: one selector, or a list of them with names.
    let selectorFields =
      [schemes.optional("podLabelSelector")].compactMap(\.self)
      + (schemes.optional("podLabelSelectors")?.elements(atMost: Self.maximumIdentities) ?? [])
    let selectors = selectorFields.compactMap { Self.labels($0) }
    let account = schemes.optional("serviceAccount").flatMap { $0.subdomain() }
    let list = schemes.optional("spiffeIdentities")
    let identities = list?.elements(atMost: Self.maximumIdentities).compactMap { $0.spiffeID() } ?? []
    if let list, identities.isEmpty, !spec.context.hasErrors { list.error("must not be empty", fix: Self.fix) }
    schemes.finish()
    if !selectorFields.isEmpty, account != nil {
      schemes.error(
        "serviceAccount", "excludes pod label selectors",
        fix: "remove one of the two, or write a second IdentityBinding")
    }
    if selectorFields.isEmpty, account == nil, list == nil, !spec.context.hasErrors {
      schemes.error("names nobody", fix: Self.fix)
    }
    self.init(metadata: metadata, selectors: selectors, identities: identities, serviceAccount: account)
  }

  private static func labels(_ field: Field) -> [String: String]? {
    guard let fields = field.fields() else { return nil }
    fields.allow("name")
    let list = fields.required("matchLabels", fix: "write labels of workloads, such as matchLabels: {app: web}")
    let labels = list?.labels() ?? [:]
    fields.unsupported("matchExpressions", fix: "write matchLabels")
    fields.finish()
    // Kubernetes takes an empty selector for everything, which here would be everybody.
    if let list, labels.isEmpty { list.error("must not be empty", fix: "write labels of workloads") }
    return labels.isEmpty ? nil : labels
  }
}

extension Field {
  /// `spiffe://cluster.local/ns/shop/sa/web`, or the same without its scheme, as in the specification's example.
  fileprivate func spiffeID() -> String? {
    guard let text = string() else { return nil }
    let whole = text.hasPrefix("spiffe://") ? text : "spiffe://\(text)"
    if let id = SPIFFEID(whole) { return id.description }
    let parts = whole.dropFirst("spiffe://".count).split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count > 1, parts.allSatisfy({ NameSyntax.isToken(String($0)) }), !whole.contains("*") else {
      error("\"\(text)\" is no SPIFFE id", fix: "write such as cluster.local/ns/shop/sa/web")
      return nil
    }
    warning(
      "no certificate of the mesh has an id of this form, so it stands for nobody",
      fix: "write it as TRUST-DOMAIN/ns/NAMESPACE/sa/ACCOUNT")
    return whole
  }
}
