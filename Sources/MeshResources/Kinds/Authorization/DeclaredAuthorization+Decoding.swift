import MeshPolicy

extension DeclaredAuthorization {
  /// Reads `mesh.apus.dev/v1alpha1 AuthorizationPolicy`; nil when it has no metadata or spec. What is left of one with errors
  /// tells what it was for, which is closed until it is mended.
  init?(_ object: Fields) {
    let metadata = ObjectMetadata(object, nameRule: .subdomain)
    let spec = object.required("spec")?.fields()
    object.allow("status")
    object.finish()
    guard let metadata, let spec else { return nil }
    // A mode that cannot be read is an error, and the policy says more than `audit` does.
    let mode = spec.optional("defaultMode").map { field in
      field.word(AuthorizationMode.allCases.map(\.rawValue)).flatMap(AuthorizationMode.init) ?? .deny
    }
    let rules = spec.optional("rules")
    let action = Self.action(spec, hasRules: rules != nil)
    let reader = AuthorizationReader(namespace: metadata.namespace)
    let declared = rules?.elements(atMost: PolicyLimits.authorizationRules).compactMap(reader.rule) ?? []
    if mode == nil, action == nil, !spec.context.hasErrors {
      spec.error("says nothing", fix: "write action and rules, or defaultMode: allow, mesh-only or deny")
    }
    if let action, declared.isEmpty, action != .allow, !spec.context.hasErrors {
      spec.error("rules", "matches nothing", fix: "write rules: [{}] for every call")
    }
    let targets = Self.targets(spec, metadata.namespace)
    spec.finish()
    self.init(metadata: metadata, targets: targets, mode: mode, action: action, rules: declared)
  }

  private static func action(_ spec: Fields, hasRules: Bool) -> AuthorizationAction? {
    let field = spec.optional("action")
    let word = field?.word(["allow", "deny", "audit", "custom"])
    let provider = spec.optional("provider")
    if word != "custom", let provider {
      provider.error("is asked by the action custom alone", fix: "write action: custom, or remove it")
      return nil
    }
    switch word {
    case "allow": return .allow
    case "deny": return .deny
    case "audit": return .audit
    case "custom":
      guard let provider else {
        spec.error("provider", "is required", fix: "name the provider that decides")
        return nil
      }
      return provider.subdomain().map { .custom(provider: $0) }
    default:
      if field == nil, hasRules { spec.error("action", "is required", fix: "write allow, deny, audit or custom") }
      return nil
    }
  }

  private static func targets(_ spec: Fields, _ namespace: String) -> [PolicyTarget] {
    let whole = PolicyTarget(kind: .namespace, name: namespace)
    let foreign = ["selector", "targetRef"].compactMap { spec.optional($0) }
    for field in foreign {
      field.error("policies are for services", fix: "write targetRefs: [{group: \"\", kind: Service, name: orders}]")
    }
    guard let list = spec.optional("targetRefs") else {
      // Whatever the selector meant, it is in this namespace.
      if namespace != PolicyTarget.rootNamespace || !foreign.isEmpty { return [whole] }
      return [PolicyTarget(kind: .mesh, name: PolicyTarget.meshName)]
    }
    let targets = listed(spec, namespace)
    // One that cannot be read could be any of the namespace.
    guard case .sequence(let entries) = list.node.value, !entries.isEmpty, entries.count == targets.count else {
      return targets + [whole]
    }
    return targets
  }

  private static func listed(_ spec: Fields, _ namespace: String) -> [PolicyTarget] {
    PolicyTarget.list(spec, namespace: namespace).compactMap { target, field in
      guard target.kind.isRoute || target.kind == .externalService else { return target }
      field.error(
        "who may call is decided by the proxy of the service that is called, which knows no \(target.kind.rawValue)",
        fix: "name the Service, and the request's paths and methods in the rules")
      return nil
    }
  }
}
