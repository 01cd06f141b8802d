package import MeshCore
import MeshPolicy

extension RouteTimeouts {
  /// Reads `HTTPRouteTimeouts`. `0s` stays zero: the rule says that there is no limit, whatever policies say.
  init?(_ field: Field) {
    guard let fields = field.fields() else { return nil }
    let request = fields.optional("request").flatMap { $0.duration() }
    let attemptField = fields.optional("backendRequest")
    let attempt = attemptField.flatMap { $0.duration() }
    fields.finish()
    if let request, let attempt, request > .zero, attempt > request {
      attemptField?.error("is longer than request, which no attempt can outlast", fix: "make it at most as long")
    }
    self.init(request: request, backendRequest: attempt)
  }
}

extension RetryPolicy {
  /// Reads `HTTPRouteRetry`. The API leaves the number of attempts open: one.
  init?(_ field: Field) {
    guard let fields = field.fields() else { return nil }
    let attempts = fields.optional("attempts").map { $0.integer(in: 0...RouteLimits.retries) } ?? 1
    let codes = fields.optional("codes")?.elements(atMost: RouteLimits.retryCodes).compactMap { element in
      element.integer(in: 400...599).map(UInt16.init)
    }
    let backoffField = fields.optional("backoff")
    let backoff = backoffField.map { $0.duration() }
    fields.finish()
    guard let attempts else { return nil }
    self.init(attempts: UInt32(attempts), statusCodes: Set(codes ?? []).sorted())
    if case .some(let span) = backoff, let span {
      if span == .zero {
        backoffField?.error(
          "repeating without a wait is not supported", fix: "write 1ms or more, or remove it for 25ms")
      }
      self.backoff = span
    }
  }
}

/// The durations of the Gateway API (GEP-2257): one to four whole numbers of at most five digits with a unit, such as
/// `1m30s`.
package enum GatewayDuration {
  private static let units: [(name: String, span: TimeSpan)] = [
    // The longer name first: "m" begins "ms".
    ("ms", .milliseconds(1)), ("h", .seconds(3600)), ("m", .seconds(60)), ("s", .seconds(1)),
  ]

  package static func parse(_ text: String) -> TimeSpan? {
    var rest = Substring(text)
    var sum = TimeSpan.zero
    for _ in 0..<4 where !rest.isEmpty {
      let digits = rest.utf8.prefix { (0x30...0x39).contains($0) }.count
      guard (1...5).contains(digits), let number = Int64(rest.prefix(digits)) else { return nil }
      rest.removeFirst(digits)
      guard let unit = units.first(where: { rest.hasPrefix($0.name) }) else { return nil }
      rest.removeFirst(unit.name.count)
      sum = sum + TimeSpan(nanoseconds: unit.span.nanoseconds * number)
    }
    return rest.isEmpty && !text.isEmpty ? sum : nil
  }
}

extension Field {
  /// `0s` and up to a year.
  func duration() -> TimeSpan? {
    if case .number(let text) = node.value {
      error("must be a duration, not the number \(text)", fix: "write \(text)s for seconds")
      return nil
    }
    guard let text = string() else { return nil }
    guard let span = GatewayDuration.parse(text) else {
      error("\"\(text)\" is not a duration", fix: "write whole numbers with h, m, s or ms, such as 1m30s")
      return nil
    }
    if span > RouteLimits.duration {
      error("\"\(text)\" is longer than a year", fix: "write 8760h at most, or 0s for no limit")
    }
    return span
  }
}
