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
    try limits.check(message.serverNames.count, atMost: limits.maximumRuleParts, "server_names")
    try limits.check(message.filters.count, atMost: limits.maximumRuleParts, "filters")
    try limits.check(message.backends.count, atMost: limits.maximumRuleParts, "backends")
    try limits.check(message.faults.count, atMost: limits.maximumPairs, "faults")
    self.init(
      name: message.name,
      matches: try convertEach(message.matches, "matches") { match throws(ConversionError) in
        try RouteMatch(match, limits: limits)
      },
      serverNames: try convertEach(message.serverNames, "server_names", convertServerName),
      filters: try convertEach(message.filters, "filters") { filter throws(ConversionError) in
        try RouteFilter(filter, limits: limits)
      },
      backends: try convertEach(message.backends, "backends") { backend throws(ConversionError) in
        try WeightedBackend(backend, limits: limits)
      },
      timeouts: try RouteTimeouts(message.timeouts),
      retry: message.hasRetry ? try RetryPolicy(message.retry, limits: limits) : nil,
      hedging: message.hasHedging ? try HedgingPolicy(message.hedging) : nil,
      session: message.hasSession ? try SessionPolicy(message.session, limits: limits) : nil,
      rateLimits: try convertRateLimits(message.rateLimits, limits: limits),
      globalRateLimit: message.hasGlobalRateLimit
        ? try GlobalRateLimit(message.globalRateLimit, limits: limits) : nil,
      requestBody: message.hasRequestBody ? RequestBodyPolicy(message.requestBody) : nil,
      overrides: message.hasOverrides ? try OverridePolicy(message.overrides, limits: limits) : nil,
      faults: try convertEach(message.faults, "faults") { fault throws(ConversionError) in
        try FaultPolicy(fault, limits: limits)
      },
      failureStatus: try convertFailureStatus(message.failureStatus))
    let isRedirect = filters.contains { if case .redirect = $0 { true } else { false } }
    if backends.isEmpty, failureStatus == nil, !isRedirect {
      throw ConversionError(field: "backends", problem: "a rule without backends needs a failure_status")
    }
  }
}

private func convertServerName(_ name: String) throws(ConversionError) -> String {
  if name == "*" { return name }
  var bare = name.hasPrefix("*.") ? String(name.dropFirst(2)) : name
  guard bare.withUTF8({ ServerNameSyntax.lowercased(UnsafeRawBufferPointer($0)) }) == bare else {
    throw ConversionError(field: "", problem: "\"\(name.prefix(300))\" is no name of a server in lower case")
  }
  return name
}

extension WeightedBackend {
  init(_ message: Apus_V1_Backend, limits: ConversionLimits) throws(ConversionError) {
    try limits.check(message.filters.count, atMost: limits.maximumRuleParts, "filters")
    self.init(
      backend: try convertServicePort(message.service, "service"), weight: message.weight,
      filters: try convertEach(message.filters, "filters") { filter throws(ConversionError) in
        try RouteFilter(filter, limits: limits)
      },
      failureStatus: try convertFailureStatus(message.failureStatus))
  }
}

extension RouteTimeouts {
  init(_ message: Apus_V1_Timeouts) throws(ConversionError) {
    self.init(
      request: try convertTimeSpan(message.requestMs, "timeouts.request_ms"),
      backendRequest: try convertTimeSpan(message.backendRequestMs, "timeouts.backend_request_ms"),
      idle: message.hasIdleMs ? try convertTimeSpan(message.idleMs, "timeouts.idle_ms") ?? .zero : nil,
      stream: try convertTimeSpan(message.streamMs, "timeouts.stream_ms"))
  }
}

extension RouteMatch {
  init(_ message: Apus_V1_Match, limits: ConversionLimits) throws(ConversionError) {
    try limits.check(message.headers.count, atMost: limits.maximumPairs, "headers")
    try limits.check(message.queryParameters.count, atMost: limits.maximumPairs, "query_parameters")
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
      },
      queryParameters: try convertEach(message.queryParameters, "query_parameters") { query throws(ConversionError) in
        try QueryMatch(query, limits: limits)
      })
  }
}

extension QueryMatch {
  init(_ message: Apus_V1_QueryMatch, limits: ConversionLimits) throws(ConversionError) {
    try limits.check(message.name, "name")
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
    serverNames = rule.serverNames
    filters = rule.filters.map(Apus_V1_RouteFilter.init)
    backends = rule.backends.map { share in
      var backend = Apus_V1_Backend()
      backend.service = share.backend.description
      backend.weight = share.weight
      backend.failureStatus = UInt32(share.failureStatus ?? 0)
      backend.filters = share.filters.map(Apus_V1_RouteFilter.init)
      return backend
    }
    failureStatus = UInt32(rule.failureStatus ?? 0)
    rateLimits = rule.rateLimits.map(Apus_V1_RateLimit.init)
    if let limit = rule.globalRateLimit { globalRateLimit = Apus_V1_GlobalRateLimit(limit) }
    if let body = rule.requestBody { requestBody = Apus_V1_RequestBody(body) }
    if let policy = rule.overrides { overrides = Apus_V1_Overrides(policy) }
    if rule.timeouts != RouteTimeouts() {
      timeouts.requestMs = rule.timeouts.request?.wireMilliseconds ?? 0
      timeouts.backendRequestMs = rule.timeouts.backendRequest?.wireMilliseconds ?? 0
      if let idle = rule.timeouts.idle { timeouts.idleMs = idle.wireMilliseconds }
      timeouts.streamMs = rule.timeouts.stream?.wireMilliseconds ?? 0
    }
    if let policy = rule.retry { retry = Apus_V1_Retry(policy) }
    faults = rule.faults.map(Apus_V1_Fault.init)
    if let policy = rule.hedging { hedging = Apus_V1_Hedging(policy) }
    if let policy = rule.session { session = Apus_V1_Session(policy) }
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
    queryParameters = match.queryParameters.map { query in
      var message = Apus_V1_QueryMatch()
      message.name = query.name
      switch query.value {
      case .exact(let text): message.exact = text
      case .regularExpression(let text): message.regex = text
      }
      return message
    }
  }
}
