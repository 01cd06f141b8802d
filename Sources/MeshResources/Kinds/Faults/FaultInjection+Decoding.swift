package import MeshCore
import MeshPolicy

extension FaultInjection {
  private static let kinds = ["delay", "abort", "reset", "bandwidth", "truncate", "corrupt"]

  /// Reads `mesh.apus.dev/v1alpha1 FaultInjection`; nil when it has no metadata or spec.
  init?(_ object: Fields) {
    let metadata = ObjectMetadata(object, nameRule: .subdomain)
    let spec = object.required("spec")?.fields()
    object.allow("status")
    object.finish()
    guard let metadata, let spec else { return nil }
    let targets = PolicyTarget.list(spec, namespace: metadata.namespace)
    for (target, field) in targets where target.kind == .mesh || target.kind == .namespace {
      field.error("faults are for a Service or a route", fix: "name the services")
    }
    var policy = FaultPolicy(name: "\(metadata.namespace)/\(metadata.name)")
    policy.read(spec)
    if !Self.kinds.contains(where: { spec.optional($0) != nil }) {
      spec.error("names no fault", fix: "write \(Self.kinds.dropLast().joined(separator: ", ")) or \(Self.kinds.last!)")
    }
    Self.checkTogether(spec)
    spec.finish()
    self.init(metadata: metadata, targets: targets.map(\.target), policy: policy)
  }

  /// A request that ends at once has no body that anything could be done to.
  private static func checkTogether(_ spec: Fields) {
    let asked = kinds.filter { spec.optional($0) != nil }
    guard let end = asked.first(where: { ["abort", "reset"].contains($0) }) else { return }
    for other in asked where other != end && other != "delay" {
      spec.error(
        other, "cannot stand beside \(end), which asks no backend",
        fix: "write two FaultInjections, each with a percent of its own")
    }
  }
}

extension FaultPolicy {
  fileprivate mutating func read(_ spec: Fields) {
    if let fields = spec.optional("match")?.fields() {
      match = RouteMatch(httpRouteMatch: fields)
      clients = fields.optional("clients")?.serviceAccounts(atMost: FaultLimits.clients) ?? []
      fields.finish()
    }
    if let share = spec.optional("percent")?.millionths() { millionths = share }
    delay = spec.optional("delay").flatMap { FaultDelay($0) }
    abort = spec.optional("abort").flatMap { FaultAbort($0) }
    if let field = spec.optional("reset"), let bool = field.bool() {
      if !bool { field.error("a reset that is none says nothing", fix: "remove it, or write true") }
      isReset = bool
    }
    readBodies(spec)
    if let field = spec.optional("schedule") { schedule = FaultSchedule(field) ?? schedule }
    if schedule.end == nil {
      spec.warning(
        "schedule", "without an end it goes on until it is removed, and for as long as no controller can tell proxies",
        fix: "write schedule.end")
    }
  }

  private mutating func readBodies(_ spec: Fields) {
    if let fields = spec.optional("bandwidth")?.fields() {
      func rate(_ name: String) -> UInt64? {
        fields.optional(name)?.integer(in: 1...FaultLimits.bytesPerSecond).map(UInt64.init)
      }
      requestRate = rate("requestBytesPerSecond")
      responseRate = rate("responseBytesPerSecond")
      fields.finish()
      if requestRate == nil, responseRate == nil, !fields.context.hasErrors {
        fields.error("limits nothing", fix: "write responseBytesPerSecond or requestBytesPerSecond")
      }
    }
    if let fields = spec.optional("truncate")?.fields() {
      truncateAfter = fields.required("afterBytes")?.integer(in: 0...Int(Int32.max)).map(UInt64.init)
      fields.finish()
    }
    if let fields = spec.optional("corrupt")?.fields() {
      let field = fields.required("percent", fix: "write the share of the bytes, such as 0.01")
      corruptMillionths = field?.millionths()
      if corruptMillionths == 0 { field?.error("corrupts nothing", fix: "write 0.0001 or more") }
      fields.finish()
    }
  }
}

/// Limits on a FaultInjection; all are ours.
package enum FaultLimits {
  /// A client that waits longer has gone.
  package static let delay = TimeSpan.seconds(3600)
  package static let percentiles = 16
  package static let clients = 64
  /// Faster than that is no limit.
  package static let bytesPerSecond = 1 << 40
}

extension Field {
  /// A percentage with at most four decimals, in millionths of the whole.
  fileprivate func millionths() -> UInt32? {
    guard let percent = decimal(in: 0...100) else { return nil }
    let millionths = percent * 10_000
    guard abs(millionths - millionths.rounded()) < 1e-6 else {
      error("has more than four decimals", fix: "write 0.0001 or a multiple of it")
      return nil
    }
    return UInt32(millionths.rounded())
  }
}
