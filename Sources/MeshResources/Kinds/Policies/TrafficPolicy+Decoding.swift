import MeshCore
import MeshPolicy

extension TrafficPolicy {
  /// Reads `mesh.apus.dev/v1alpha1 TrafficPolicy`; nil when it has no metadata or spec.
  init?(_ object: Fields) {
    let metadata = ObjectMetadata(object, nameRule: .subdomain)
    let spec = object.required("spec")?.fields()
    object.allow("status")
    object.finish()
    guard let metadata, let spec else { return nil }
    let targets = PolicyTarget.list(spec, namespace: metadata.namespace)
    var settings: [PolicySetting] = []
    var isBlank = true
    let blocks: KeyValuePairs = [
      "balancer": PolicyReader.balancer, "outliers": PolicyReader.outliers, "limits": PolicyReader.limits,
      "requests": PolicyReader.requests, "retries": PolicyReader.retries, "hedging": PolicyReader.hedging,
      "timeouts": PolicyReader.timeouts, "healthCheck": PolicyReader.healthCheck,
      "adaptiveConcurrency": PolicyReader.adaptiveConcurrency, "compression": PolicyReader.compression,
      "overrides": PolicyReader.overrides, "rollout": PolicyReader.rollout,
      "sessionPersistence": PolicyReader.sessionPersistence,
    ]
    for (name, read) in blocks {
      guard let field = spec.optional(name) else { continue }
      isBlank = false
      guard let fields = field.fields() else { continue }
      let block = read(fields)
      fields.finish()
      if block.isEmpty, !field.context.hasErrors { field.warning("says nothing", fix: "remove it, or write a field") }
      Self.check(block, for: targets, in: fields)
      if name == "rollout" { Self.checkRollout(for: targets, in: fields) }
      settings += block
    }
    if let field = spec.optional("rateLimits") {
      isBlank = false
      settings += PolicyReader.rateLimits(field, ofRoute: targets.contains { $0.target.kind.isRoute })
    }
    if let field = spec.optional("globalRateLimit") {
      isBlank = false
      settings += PolicyReader.globalRateLimit(field, namespace: metadata.namespace)
    }
    spec.finish()
    if isBlank, !spec.context.hasErrors {
      spec.warning(
        "targetRefs", "the policy changes nothing",
        fix:
          "write balancer, outliers, limits, requests, retries, hedging, timeouts, healthCheck, adaptiveConcurrency, "
          + "compression, overrides, sessionPersistence, rateLimits, globalRateLimit or rollout")
    }
    self.init(metadata: metadata, targets: targets.map(\.target), settings: settings.sorted { $0.field < $1.field })
  }

  /// Versions are of one service.
  private static func checkRollout(for targets: [(target: PolicyTarget, field: Field)], in fields: Fields) {
    for (target, field) in targets where target.kind == .mesh || target.kind == .namespace {
      fields.error(
        "is for one service, and \(field.path) is a \(target.kind.rawValue)",
        fix: "write it in a policy whose target is the Service that clients ask for, or a route of it")
    }
  }

  /// Several routes may lead to one service, and its endpoints are shared by all of them.
  private static func check(
    _ block: [PolicySetting], for targets: [(target: PolicyTarget, field: Field)], in fields: Fields
  ) {
    guard let (route, field) = targets.first(where: { $0.target.kind.isRoute }) else { return }
    let text = "is for the endpoints of a service, which all routes to it share; \(field.path) is \(route.article)"
    let fix = "write it in a policy whose target is the Service"
    for name in Set(block.filter(\.field.isOfBackend).map { $0.field.nameInBlock }).sorted() {
      if name.isEmpty { fields.error(text, fix: fix) } else { fields.error(name, text, fix: fix) }
    }
  }
}

extension PolicyField {
  /// `budget` of `retries.budget.percent`; empty for a block that counts as a whole.
  fileprivate var nameInBlock: String { rawValue.split(separator: ".").dropFirst().first.map(String.init) ?? "" }
}

extension PolicyTarget {
  fileprivate var article: String { "\(kind == .httpRoute ? "an" : "a") \(kind.rawValue)" }
}

/// Reads the blocks of a `TrafficPolicy`; the caller calls `finish`.
enum PolicyReader {
  static func limits(_ block: Fields) -> [PolicySetting] {
    let limit = 1...PolicyLimits.count
    return [
      block.count("connections", limit).map { .connections($0) },
      block.count("pendingRequests", limit).map { .pendingRequests($0) },
      block.count("activeRequests", limit).map { .activeRequests($0) },
    ].compactMap(\.self)
  }

  static func retries(_ block: Fields) -> [PolicySetting] {
    for name in ["perTryTimeout", "perTry", "timeout"] {
      block.optional(name)?.error(
        "the time of one attempt is spec.timeouts.backendRequest", fix: "write it there")
    }
    var settings: [PolicySetting?] = [
      block.count("attempts", 0...RouteLimits.retries).map { .retryAttempts($0) },
      block.optional("conditions").map { .retryConditions(RetryConditions($0)) },
    ]
    if let backoff = block.time("backoff") {
      if backoff == .zero {
        block.error(
          "backoff", "repeating without a wait is not supported", fix: "write 1ms or more, or remove it for 25ms")
      }
      settings.append(.retryBackoff(backoff))
    }
    settings.append(block.time("maximumRetryAfter").map { .maximumRetryAfter($0) })
    if let budget = block.optional("budget")?.fields() {
      settings.append(budget.count("percent", 0...100).map { .retryBudgetPercent($0) })
      settings.append(budget.count("minimumPerSecond", 0...PolicyLimits.count).map { .retryBudgetMinimum($0) })
      budget.finish()
    }
    return settings.compactMap(\.self)
  }
}
