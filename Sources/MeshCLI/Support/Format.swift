internal import Foundation

/// Numbers as the tables show them.
package enum Format {
  package static func percent(_ fraction: Double?) -> String {
    guard let fraction, fraction.isFinite else { return "-" }
    return fixed(fraction * 100, 2) + "%"
  }

  package static func rate(_ perSecond: Double?) -> String {
    guard let perSecond, perSecond.isFinite else { return "-" }
    return fixed(perSecond, 1) + "rps"
  }

  /// Milliseconds: tenths below ten, whole above.
  package static func milliseconds(_ value: Double?) -> String {
    guard let value, value.isFinite else { return "-" }
    return fixed(value, value < 10 ? 1 : 0) + "ms"
  }

  /// A length of time by its two largest units: `23h59m`, `4m05s`, `12s`.
  package static func duration(seconds: Int64) -> String {
    if seconds < 0 { return "-" + duration(seconds: -seconds) }
    func two(_ value: Int64) -> String { value < 10 ? "0\(value)" : "\(value)" }
    switch seconds {
    case 86_400...: return "\(seconds / 86_400)d\(two(seconds % 86_400 / 3600))h"
    case 3_600...: return "\(seconds / 3_600)h\(two(seconds % 3_600 / 60))m"
    case 60...: return "\(seconds / 60)m\(two(seconds % 60))s"
    default: return "\(seconds)s"
    }
  }

  /// `2026-11-22T16:07:32Z`.
  package static func utc(seconds: Int64) -> String {
    Date(timeIntervalSince1970: TimeInterval(seconds)).formatted(.iso8601)
  }

  package static func fixed(_ value: Double, _ places: Int) -> String {
    String(format: "%.\(places)f", value)
  }
}

/// JSON output: indented, keys sorted, so that it can be compared and grepped.
package enum JSONText {
  package static func of(_ value: some Encodable) throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    return String(decoding: try encoder.encode(value), as: UTF8.self)
  }
}
