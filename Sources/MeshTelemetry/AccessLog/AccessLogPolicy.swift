package import MeshCore

/// Which requests are logged.
package enum AccessLogPolicy: Hashable, Sendable {
  case off
  /// The share of requests, 0...1.
  case sampled(Double)
  case all

  package static let defaultRate = 0.01

  /// Reads `off`, `all`, `sampled` (1 in 100) or `sampled=RATE`.
  package init?(_ text: some StringProtocol) {
    switch text {
    case "off": self = .off
    case "all": self = .all
    case "sampled": self = .sampled(Self.defaultRate)
    default:
      guard text.hasPrefix("sampled="), let rate = Double(text.dropFirst("sampled=".count)), (0...1).contains(rate)
      else { return nil }
      self = .sampled(rate)
    }
  }

  package func admits(_ random: inout SeededRandom) -> Bool {
    switch self {
    case .off: false
    case .sampled(let rate): random.unit() < rate
    case .all: true
    }
  }
}
