import MeshCore
import MeshPolicy
import SwiftProtobuf

extension GlobalRateLimit {
  init(_ message: Apus_V1_GlobalRateLimit, limits: ConversionLimits) throws(ConversionError) {
    do throws(ConversionError) { try self.init(checked: message, limits) } catch {
      throw error.inside("global_rate_limit")
    }
  }

  private init(checked message: Apus_V1_GlobalRateLimit, _ limits: ConversionLimits) throws(ConversionError) {
    try limits.check(message.domain, "domain")
    try limits.check(message.descriptors.count, atMost: limits.maximumPairs, "descriptors")
    guard message.hits > 0 else { throw ConversionError(field: "hits", problem: "0 would count nothing") }
    self.init(
      service: try convertServicePort(message.service, "service"), domain: message.domain,
      descriptors: try convertEach(message.descriptors, "descriptors") { descriptor throws(ConversionError) in
        try limits.check(descriptor.entries.count, atMost: limits.maximumPairs, "entries")
        return try convertEach(descriptor.entries, "entries") { entry throws(ConversionError) in
          try Entry(entry, limits: limits)
        }
      },
      hits: message.hits, timeout: try convertSomeTime(message.timeoutMs, "timeout_ms"),
      failure: message.hasLocal ? .local(try RateLimit(message.local, limits: limits)) : message.deny ? .deny : .allow)
  }
}

extension GlobalRateLimit.Entry {
  init(_ message: Apus_V1_RateLimitEntry, limits: ConversionLimits) throws(ConversionError) {
    try limits.check(message.key, "key")
    let value: Value
    switch message.value {
    case .constant(let text):
      try limits.check(text, "constant")
      value = .constant(text)
    case .header(let name):
      try checkHeaderName(name, limits: limits)
      value = .header(name)
    case .source(.caller): value = .caller
    case .source(.remoteAddress): value = .remoteAddress
    case .source(.service): value = .service
    case .source(.route): value = .route
    case .source(.method): value = .method
    case .source(.path): value = .path
    case .source, nil:
      throw ConversionError(field: "value", problem: "none is set; is the controller newer than this proxy?")
    }
    self.init(key: message.key, value: value)
  }
}

// MARK: - To the wire

extension Apus_V1_GlobalRateLimit {
  init(_ limit: GlobalRateLimit) {
    self.init()
    service = limit.service.description
    domain = limit.domain
    descriptors = limit.descriptors.map { entries in
      var descriptor = Apus_V1_RateLimitDescriptor()
      descriptor.entries = entries.map(Apus_V1_RateLimitEntry.init)
      return descriptor
    }
    hits = limit.hits
    timeoutMs = limit.timeout.wireMilliseconds
    switch limit.failure {
    case .allow: break
    case .deny: deny = true
    case .local(let own): local = Apus_V1_RateLimit(own)
    }
  }
}

extension Apus_V1_RateLimitEntry {
  init(_ entry: GlobalRateLimit.Entry) {
    self.init()
    key = entry.key
    switch entry.value {
    case .constant(let text): constant = text
    case .header(let name): header = name
    case .caller: source = .caller
    case .remoteAddress: source = .remoteAddress
    case .service: source = .service
    case .route: source = .route
    case .method: source = .method
    case .path: source = .path
    }
  }
}
