import MeshPolicy

extension DeclaredAuthorization {
  /// Reads `mesh.apus.dev/v1alpha1 AuthorizationPolicy`; nil when it has no metadata or spec.
  init?(_ object: Fields) {
    let metadata = ObjectMetadata(object, nameRule: .subdomain)
    let spec = object.required("spec")?.fields()
    object.allow("status")
    object.finish()
    guard let metadata, let spec else { return nil }
    let mode = spec.optional("defaultMode").flatMap { field in
      field.word(AuthorizationMode.allCases.map(\.rawValue)).flatMap(AuthorizationMode.init)
    }
    let rules = spec.optional("rules")
    let action = Self.action(spec, hasRules: rules != nil)
    for name in ["selector", "targetRef"] {
      spec.optional(name)?.error(
        "policies are for services", fix: "write targetRefs: [{group: \"\", kind: Service, name: orders}]")
    }
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
    guard spec.optional("targetRefs") != nil else {
      let isRoot = namespace == PolicyTarget.rootNamespace
      return [
        isRoot
          ? PolicyTarget(kind: .mesh, name: PolicyTarget.meshName) : PolicyTarget(kind: .namespace, name: namespace)
      ]
    }
    return PolicyTarget.list(spec, namespace: namespace).map { target, field in
      if target.kind.isRoute || target.kind == .externalService {
        field.error(
          "who may call is decided by the proxy of the service that is called, which knows no \(target.kind.rawValue)",
          fix: "name the Service, and the request's paths and methods in the rules")
      }
      return target
    }
  }
}
