import Glibc

/// Writes a line at once, so that a log is complete when we are killed.
func printLine(_ text: String, to descriptor: Int32 = STDOUT_FILENO) {
  var line = text + "\n"
  line.withUTF8 { _ = write(descriptor, $0.baseAddress, $0.count) }
}

/// What went wrong, for people.
struct ShopFailure: Error {
  var message: String
  var isUsage = false
}

/// The command line and the environment that `apus run` gives.
struct ShopOptions: Sendable {
  enum Role: String, CaseIterable, Sendable {
    case web, orders, catalog, payments, load
  }

  var role: Role
  var address: String
  var port = 8080
  var version = "v1"
  /// Added to every answer, give or take a quarter.
  var latencyMs = 0
  /// Answers that are 500 instead.
  var errorPercent = 0
  var url: String?
  var requestsPerSecond = 50
  /// Zero: until killed.
  var durationSeconds = 0

  static let usage = """
    usage: apus-shop ROLE [--address A] [--port P] [--latency-ms N] [--error-percent N]
      web        calls orders and catalog
      orders     calls payments; --version v1|v2
      catalog, payments
      load       --url URL [--rps N] [--duration S]: sends requests at a steady rate, whatever the answers take
    """

  init(arguments: [String]) throws {
    guard let first = arguments.first, let role = Role(rawValue: first) else {
      throw ShopFailure(message: Self.usage, isUsage: true)
    }
    self.role = role
    address = Self.environment("APUS_WORKLOAD_ADDRESS") ?? "127.0.0.1"
    var rest = arguments.dropFirst()
    while let name = rest.popFirst() {
      guard let value = rest.popFirst() else {
        throw ShopFailure(message: "\(name) needs a value\n\(Self.usage)", isUsage: true)
      }
      switch name {
      case "--address": address = value
      case "--port": port = try Self.number(name, value, 1...65_535)
      case "--version": version = value
      case "--latency-ms": latencyMs = try Self.number(name, value, 0...60_000)
      case "--error-percent": errorPercent = try Self.number(name, value, 0...100)
      case "--url": url = value
      case "--rps": requestsPerSecond = try Self.number(name, value, 1...1_000_000)
      case "--duration": durationSeconds = try Self.number(name, value, 0...1_000_000)
      default: throw ShopFailure(message: "\(name) is not an option\n\(Self.usage)", isUsage: true)
      }
    }
    guard role != .load || url != nil else {
      throw ShopFailure(message: "load needs --url\n\(Self.usage)", isUsage: true)
    }
  }

  private static func number(_ name: String, _ text: String, _ range: ClosedRange<Int>) throws -> Int {
    guard let number = Int(text), range.contains(number) else {
      throw ShopFailure(
        message: "\(name) takes a number from \(range.lowerBound) to \(range.upperBound), not \"\(text)\"",
        isUsage: true)
    }
    return number
  }

  static func environment(_ name: String) -> String? {
    guard let value = getenv(name).map({ String(cString: $0) }), !value.isEmpty else { return nil }
    return value
  }
}
