import MeshCore
import MeshPolicy

extension PolicyReader {
  /// The list counts as a whole; an empty one takes away what wider policies say.
  static func rateLimits(_ field: Field, ofRoute: Bool) -> [PolicySetting] {
    let limits = field.elements(atMost: PolicyLimits.rateLimits).compactMap { rateLimit($0, ofRoute: ofRoute) }
    return field.context.hasErrors ? [] : [.rateLimits(limits)]
  }

  static func rateLimit(_ field: Field, ofRoute: Bool) -> RateLimit? {
    guard let fields = field.fields() else { return nil }
    let requests = fields.required("requests", fix: "write how many requests may pass in a period")?
      .integer(in: 1...PolicyLimits.count)
    let period = fields.required("period", fix: "write the time, such as 1s")?.duration()
    if let period, period == .zero { fields.error("period", "must not be 0s", fix: "write a time, such as 1s") }
    let burst = fields.count("burst", 1...PolicyLimits.count)
    let header = fields.optional("header").flatMap { $0.headerName() }
    let isByCaller = fields.optional("caller").flatMap { $0.bool() } ?? false
    if isByCaller, header != nil {
      fields.error("caller", "stands beside a header: a limit has one kind of buckets", fix: "write two limits")
    }
    if isByCaller, ofRoute {
      fields.error(
        "caller",
        "is of no use for a route: its limits are kept by the callers' own proxies, each with buckets of its own",
        fix: "remove it, or write the limit in a policy whose target is the Service")
    }
    fields.finish()
    guard let requests, let period, period > .zero else { return nil }
    let key: RateLimit.Key = isByCaller ? .caller : header.map { .header($0.lowercased()) } ?? .all
    return RateLimit(UInt32(requests), per: period, burst: burst, key: key)
  }
}
