package import MeshCore
package import MeshPolicy
import SwiftProtobuf

extension ServiceConfig {
  /// Reads and validates the wire form of the service `key`.
  package init(
    key: ServicePort, _ message: Apus_V1_Service, limits: ConversionLimits = .standard
  ) throws(ConversionError) {
    try limits.check(message.rules.count, atMost: limits.maximumRules, "rules")
    self.init(
      key: key,
      appProtocol: try convertAppProtocol(message.appProtocol),
      rules: try convertEach(message.rules, "rules") { rule throws(ConversionError) in
        try RouteRule(rule, limits: limits)
      })
  }
}

extension RouteRule {
  init(_ message: Apus_V1_Rule, limits: ConversionLimits) throws(ConversionError) {
    try limits.check(message.name, "name")
    try limits.check(message.matches.count, atMost: limits.maximumRuleParts, "matches")
    try limits.check(message.filters.count, atMost: limits.maximumRuleParts, "filters")
    try limits.check(message.backends.count, atMost: limits.maximumRuleParts, "backends")
    self.init(
      name: message.name,
      matches: try convertEach(message.matches, "matches") { match throws(ConversionError) in
        try RouteMatch(match, limits: limits)
      },
      filters: try convertEach(message.filters, "filters") { filter throws(ConversionError) in
        try HeaderFilter(filter, limits: limits)
      },
      backends: try convertEach(message.backends, "backends") { backend throws(ConversionError) in
        WeightedBackend(
          backend: try convertServicePort(backend.service, "service"), weight: backend.weight,
          failureStatus: try convertFailureStatus(backend.failureStatus))
      },
      failureStatus: try convertFailureStatus(message.failureStatus))
    if backends.isEmpty, failureStatus == nil {
      throw ConversionError(field: "backends", problem: "a rule without backends needs a failure_status")
    }
  }
}

extension RouteMatch {
  init(_ message: Apus_V1_Match, limits: ConversionLimits) throws(ConversionError) {
    try limits.check(message.headers.count, atMost: limits.maximumPairs, "headers")
    try limits.check(message.method, "method", allowEmpty: true)
    var path: PathMatch?
    switch message.path {
    case .exactPath(let text):
      try limits.check(text, "exact_path")
      path = .exact(text)
    case .pathPrefix(let text):
      try limits.check(text, "path_prefix")
      path = .prefix(text)
    case .pathRegex(let text):
      try limits.check(text, "path_regex")
      path = .regularExpression(text)
    case nil:
      break
    }
    if case .exact(let text)? = path, !text.hasPrefix("/") {
      throw ConversionError(field: "exact_path", problem: "does not begin with /")
    }
    if case .prefix(let text)? = path, !text.hasPrefix("/") {
      throw ConversionError(field: "path_prefix", problem: "does not begin with /")
    }
    self.init(
      path: path,
      method: message.method.isEmpty ? nil : message.method,
      headers: try convertEach(message.headers, "headers") { header throws(ConversionError) in
        try HeaderMatch(header, limits: limits)
      })
  }
}

extension HeaderMatch {
  init(_ message: Apus_V1_HeaderMatch, limits: ConversionLimits) throws(ConversionError) {
    try checkHeaderName(message.name, limits: limits)
    guard !message.name.utf8.contains(where: { (0x41...0x5A).contains($0) }) else {
      throw ConversionError(field: "name", problem: "\"\(message.name)\" is not in lower case")
    }
    switch message.value {
    case .exact(let text):
      try limits.check(text, "exact", allowEmpty: true)
      self.init(name: message.name, value: .exact(text))
    case .regex(let text):
      try limits.check(text, "regex")
      self.init(name: message.name, value: .regularExpression(text))
    case nil:
      throw ConversionError(field: "value", problem: "neither exact nor regex is set")
    }
  }
}

extension HeaderFilter {
  init(_ message: Apus_V1_HeaderFilter, limits: ConversionLimits) throws(ConversionError) {
    let count = message.set.count + message.add.count + message.remove.count
    try limits.check(count, atMost: limits.maximumPairs, "set, add and remove")
    self.init(
      direction: message.response ? .response : .request,
      set: try convertEach(message.set, "set") { pair throws(ConversionError) in
        try HeaderPair(pair, limits: limits)
      },
      add: try convertEach(message.add, "add") { pair throws(ConversionError) in
        try HeaderPair(pair, limits: limits)
      },
      remove: try convertEach(message.remove, "remove") { name throws(ConversionError) in
        try checkHeaderName(name, limits: limits)
        return name
      })
  }
}

extension HeaderPair {
  init(_ message: Apus_V1_HeaderPair, limits: ConversionLimits) throws(ConversionError) {
    try checkHeaderName(message.name, limits: limits)
    try limits.check(message.value, "value", allowEmpty: true)
    // RFC 9110 section 5.5: these three would end the field or be cut by the next recipient.
    guard !message.value.utf8.contains(where: { $0 == 0x0D || $0 == 0x0A || $0 == 0 }) else {
      throw ConversionError(field: "value", problem: "holds CR, LF or NUL")
    }
    self.init(name: message.name, value: message.value)
  }
}

/// RFC 9110 section 5.1: a field name is a token.
private func checkHeaderName(_ name: String, limits: ConversionLimits) throws(ConversionError) {
  try limits.check(name, "name")
  let isToken = name.utf8.allSatisfy { byte in
    switch byte {
    case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
    case 0x21, 0x23...0x27, 0x2A, 0x2B, 0x2D, 0x2E, 0x5E, 0x5F, 0x60, 0x7C, 0x7E: true
    default: false
    }
  }
  guard isToken else { throw ConversionError(field: "name", problem: "\"\(name)\" is no header name") }
}

// MARK: - To the wire

extension Apus_V1_Service {
  package init(_ config: ServiceConfig) {
    self.init()
    appProtocol = config.appProtocol.rawValue
    rules = config.rules.map(Apus_V1_Rule.init)
  }
}

extension Apus_V1_Rule {
  init(_ rule: RouteRule) {
    self.init()
    name = rule.name
    matches = rule.matches.map(Apus_V1_Match.init)
    filters = rule.filters.map(Apus_V1_HeaderFilter.init)
    backends = rule.backends.map { share in
      var backend = Apus_V1_Backend()
      backend.service = share.backend.description
      backend.weight = share.weight
      backend.failureStatus = UInt32(share.failureStatus ?? 0)
      return backend
    }
    failureStatus = UInt32(rule.failureStatus ?? 0)
  }
}

extension Apus_V1_Match {
  init(_ match: RouteMatch) {
    self.init()
    switch match.path {
    case .exact(let text): exactPath = text
    case .prefix(let text): pathPrefix = text
    case .regularExpression(let text): pathRegex = text
    case nil: break
    }
    method = match.method ?? ""
    headers = match.headers.map { header in
      var message = Apus_V1_HeaderMatch()
      message.name = header.name
      switch header.value {
      case .exact(let text): message.exact = text
      case .regularExpression(let text): message.regex = text
      }
      return message
    }
  }
}

extension Apus_V1_HeaderFilter {
  init(_ filter: HeaderFilter) {
    self.init()
    response = filter.direction == .response
    set = filter.set.map(Apus_V1_HeaderPair.init)
    add = filter.add.map(Apus_V1_HeaderPair.init)
    remove = filter.remove
  }
}

extension Apus_V1_HeaderPair {
  init(_ pair: HeaderPair) {
    self.init()
    name = pair.name
    value = pair.value
  }
}
