import MeshCore
import MeshPolicy
import SwiftProtobuf

func convertRateLimits(
  _ messages: [Apus_V1_RateLimit], limits: ConversionLimits
) throws(ConversionError) -> [RateLimit] {
  try limits.check(messages.count, atMost: limits.maximumPairs, "rate_limits")
  return try convertEach(messages, "rate_limits") { message throws(ConversionError) in
    try RateLimit(message, limits: limits)
  }
}

extension RateLimit {
  init(_ message: Apus_V1_RateLimit, limits: ConversionLimits) throws(ConversionError) {
    let key: Key
    switch message.key {
    case .all: key = .all
    case .caller: key = .caller
    case .header(let name):
      do throws(ConversionError) { try checkHeaderName(name, limits: limits) } catch { throw error.inside("header") }
      guard name == name.lowercased() else {
        throw ConversionError(field: "header", problem: "\"\(name)\" is not in lower case")
      }
      key = .header(name)
    case nil: throw ConversionError(field: "key", problem: "none is set; is the controller newer than this proxy?")
    }
    guard message.requests > 0 else { throw ConversionError(field: "requests", problem: "0 would refuse everything") }
    self.init(
      message.requests, per: try convertSomeTime(message.periodMs, "period_ms"),
      burst: message.burst == 0 ? nil : message.burst, key: key)
  }
}

extension Apus_V1_RateLimit {
  init(_ limit: RateLimit) {
    self.init()
    switch limit.key {
    case .all: all = true
    case .caller: caller = true
    case .header(let name): header = name
    }
    requests = limit.requests
    periodMs = limit.period.wireMilliseconds
    burst = limit.burst
  }
}
