import MeshCore
import MeshPolicy

extension FaultDelay {
  init?(_ field: Field) {
    guard let fields = field.fields() else { return nil }
    let fixed = fields.optional("fixed")
    let percentiles = fields.optional("percentiles")
    fields.finish()
    if let fixed, percentiles != nil {
      fixed.error("cannot stand together with percentiles", fix: "remove one of the two")
      return nil
    }
    if let fixed {
      guard let delay = fixed.delay() else { return nil }
      if delay == .zero { fixed.error("is no delay", fix: "write 1ms or more") }
      self = .fixed(delay)
    } else if let percentiles {
      self.init(points: Self.points(percentiles))
    } else {
      if !field.context.hasErrors {
        fields.error("names no time", fix: "write fixed: 250ms, or percentiles: {p50: 100ms, p99: 1s}")
      }
      return nil
    }
  }

  private static func points(_ field: Field) -> [Point] {
    var points: [(point: Point, field: Field)] = []
    let entries = field.entries()
    if entries.isEmpty { field.error("must not be empty", fix: "write p50: 100ms and the like") }
    if entries.count > FaultLimits.percentiles {
      field.error("has \(entries.count) entries; at most \(FaultLimits.percentiles) are allowed")
    }
    for (key, value) in entries.prefix(FaultLimits.percentiles) {
      guard let quantile = quantile(key) else {
        value.error("\"\(key)\" is no percentile", fix: "write p50, p99 or p99.9, from p0 to p100")
        continue
      }
      guard let delay = value.delay() else { continue }
      points.append((Point(quantile: quantile, delay: delay), value))
    }
    points.sort { $0.point.quantile < $1.point.quantile }
    for (lower, higher) in zip(points, points.dropFirst()) {
      if lower.point.quantile == higher.point.quantile {
        higher.field.error("names the same percentile as \(lower.field.path)", fix: "remove one of the two")
      } else if lower.point.delay > higher.point.delay {
        higher.field.error("is shorter than \(lower.field.path)", fix: "a higher percentile is at least as long")
      }
    }
    return points.map(\.point)
  }

  /// `p99.9` as 999,000.
  private static func quantile(_ name: String) -> UInt32? {
    guard name.hasPrefix("p") else { return nil }
    let digits = name.dropFirst()
    guard let first = digits.utf8.first, (0x30...0x39).contains(first),
      digits.utf8.allSatisfy({ (0x30...0x39).contains($0) || $0 == UInt8(ascii: ".") }),
      let percent = Double(digits), percent <= 100
    else { return nil }
    let millionths = percent * 10_000
    return abs(millionths - millionths.rounded()) < 1e-6 ? UInt32(millionths.rounded()) : nil
  }
}

extension FaultAbort {
  init?(_ field: Field) {
    guard let fields = field.fields() else { return nil }
    let status = fields.optional("httpStatus")?.integer(in: 400...599).map(UInt16.init)
    let word = fields.optional("grpcStatus")?.word(Self.grpcStatusNames)
    fields.finish()
    if status == nil, word == nil, !field.context.hasErrors {
      fields.error("names no status", fix: "write httpStatus: 503, or grpcStatus: UNAVAILABLE")
    }
    self.init(status: status, grpcStatusName: word)
  }
}

extension Field {
  fileprivate func delay() -> TimeSpan? {
    guard let span = duration() else { return nil }
    if span > FaultLimits.delay { error("is longer than an hour", fix: "write 1h at most") }
    return span
  }
}
