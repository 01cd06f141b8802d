import MeshCore
package import MeshPolicy
import SwiftProtobuf

// A rule that a proxy does not understand in full is refused with everything beside it: half a rule would admit or refuse others than
// its author meant.
extension Authorization {
  package init(_ message: Apus_V1_Authorization, limits: ConversionLimits = .standard) throws(ConversionError) {
    do throws(ConversionError) {
      try limits.check(message.modeSource, "mode_source", allowEmpty: true)
      try limits.check(message.policies.count, atMost: limits.maximumAuthorizationPolicies, "policies")
      self.init(
        mode: try convertMode(message.mode), modeSource: message.modeSource,
        policies: try convertEach(message.policies, "policies") { policy throws(ConversionError) in
          try AuthorizationPolicy(policy, limits: limits)
        })
    } catch {
      throw error.inside("authorization")
    }
  }
}

private func convertMode(_ mode: Apus_V1_AuthorizationMode) throws(ConversionError) -> AuthorizationMode {
  switch mode {
  case .allow: .allow
  case .meshOnly: .meshOnly
  case .deny: .deny
  case .unspecified, .UNRECOGNIZED:
    throw ConversionError(
      field: "mode", problem: "\(mode.rawValue) is no mode; is the controller newer than this proxy?")
  }
}

extension AuthorizationPolicy {
  fileprivate init(_ message: Apus_V1_AuthorizationPolicy, limits: ConversionLimits) throws(ConversionError) {
    try limits.check(message.name, "name")
    let action: AuthorizationAction
    switch message.action {
    case .allow: action = .allow
    case .deny: action = .deny
    case .audit: action = .audit
    case .custom:
      try limits.check(message.provider, "provider")
      action = .custom(provider: message.provider)
    case .unspecified, .UNRECOGNIZED:
      throw ConversionError(
        field: "action", problem: "\(message.action.rawValue) is no action; is the controller newer than this proxy?")
    }
    try limits.check(message.rules.count, atMost: limits.maximumRuleParts, "rules")
    let authorizer = message.hasAuthorizer ? try ExternalAuthorizer(message.authorizer, limits: limits) : nil
    self.init(
      name: message.name, action: action,
      rules: try convertEach(message.rules, "rules") { rule throws(ConversionError) in
        try AuthorizationRule(rule, limits: limits)
      }, authorizer: authorizer, isBroken: message.broken)
  }
}

extension AuthorizationRule {
  fileprivate init(_ message: Apus_V1_AuthorizationRule, limits: ConversionLimits) throws(ConversionError) {
    for (count, field) in [
      (message.sources.count, "sources"), (message.operations.count, "operations"),
      (message.conditions.count, "conditions"),
    ] { try limits.check(count, atMost: limits.maximumRuleParts, field) }
    self.init(
      sources: try convertEach(message.sources, "sources") { source throws(ConversionError) in
        AuthorizationSource(
          principals: try convertTexts(source.principals, "principals", limits),
          namespaces: try convertTexts(source.namespaces, "namespaces", limits),
          serviceAccounts: try convertTexts(source.serviceAccounts, "service_accounts", limits),
          trustDomains: try convertTexts(source.trustDomains, "trust_domains", limits),
          addresses: try convertAddresses(source.addresses, limits))
      },
      operations: try convertEach(message.operations, "operations") { operation throws(ConversionError) in
        AuthorizationOperation(
          methods: try convertTexts(operation.methods, "methods", limits),
          hosts: try convertTexts(operation.hosts, "hosts", limits),
          paths: Selection(
            try convertPaths(operation.paths, "paths", limits),
            not: try convertPaths(operation.notPaths, "not_paths", limits)))
      },
      conditions: try convertEach(message.conditions, "conditions") { condition throws(ConversionError) in
        try AuthorizationCondition(condition, limits: limits)
      })
  }
}

extension AuthorizationCondition {
  fileprivate init(_ message: Apus_V1_AuthorizationCondition, limits: ConversionLimits) throws(ConversionError) {
    let values = try convertTexts(message.values, "values", limits)
    switch message.subject {
    case .header(let name):
      try limits.check(name, "header")
      guard name == name.lowercased() else {
        throw ConversionError(field: "header", problem: "\"\(name)\" is not in lower case")
      }
      self.init(.header(name), values)
    case .claim(let name):
      try limits.check(name, "claim")
      self.init(.claim(name), values)
    case .headerPattern(let name):
      try limits.check(name, "header_pattern")
      guard name == name.lowercased() else {
        throw ConversionError(field: "header_pattern", problem: "\"\(name)\" is not in lower case")
      }
      for pattern in message.values.values + message.values.notValues { try checkPattern(pattern, "values") }
      self.init(.headerPattern(name), values)
    case nil:
      throw ConversionError(field: "subject", problem: "none is set; is the controller newer than this proxy?")
    }
  }
}

/// A pattern that does not compile would have to be left out, and with it a condition.
private func checkPattern(_ pattern: String, _ field: String) throws(ConversionError) {
  do throws(RegexError) { _ = try LinearRegex(pattern) } catch {
    throw ConversionError(field: field, problem: error.description)
  }
}

private func convertTexts(
  _ message: Apus_V1_TextSelection, _ field: String, _ limits: ConversionLimits
) throws(ConversionError) -> Selection<String> {
  for texts in [message.values, message.notValues] {
    try limits.check(texts.count, atMost: limits.maximumRuleParts, field)
    for text in texts { try limits.check(text, field, allowEmpty: true) }
  }
  return Selection(message.values, not: message.notValues)
}

private func convertAddresses(
  _ message: Apus_V1_TextSelection, _ limits: ConversionLimits
) throws(ConversionError) -> Selection<AddressBlock> {
  let texts = try convertTexts(message, "addresses", limits)
  func blocks(_ texts: [String]) throws(ConversionError) -> [AddressBlock] {
    try convertEach(texts, "addresses") { text throws(ConversionError) in
      guard let block = AddressBlock(text) else {
        throw ConversionError(field: "", problem: "\"\(text.prefix(64))\" is no block of addresses such as 10.0.0.0/8")
      }
      return block
    }
  }
  return Selection(try blocks(texts.values), not: try blocks(texts.notValues))
}

private func convertPaths(
  _ messages: [Apus_V1_PathPattern], _ field: String, _ limits: ConversionLimits
) throws(ConversionError) -> [PathPattern] {
  try limits.check(messages.count, atMost: limits.maximumRuleParts, field)
  return try convertEach(messages, field) { message throws(ConversionError) in
    let pattern: PathPattern
    let text: String
    switch message.kind {
    case .exact(let path): (pattern, text) = (.exact(path), path)
    case .prefix(let path): (pattern, text) = (.prefix(path), path)
    case .glob(let path): (pattern, text) = (.glob(path), path)
    case .template(let path): (pattern, text) = (.template(path), path)
    case .regularExpression(let path):
      try checkPattern(path, "regular_expression")
      (pattern, text) = (.regularExpression(path), path)
    case nil: throw ConversionError(field: "kind", problem: "none is set; is the controller newer than this proxy?")
    }
    try limits.check(text, "kind")
    return pattern
  }
}

// MARK: - To the wire

extension Apus_V1_Authorization {
  package init(_ authorization: Authorization) {
    self.init()
    mode =
      switch authorization.mode {
      case .allow: .allow
      case .meshOnly: .meshOnly
      case .deny: .deny
      }
    modeSource = authorization.modeSource
    policies = authorization.policies.map { policy in
      var message = Apus_V1_AuthorizationPolicy()
      message.name = policy.name
      switch policy.action {
      case .allow: message.action = .allow
      case .deny: message.action = .deny
      case .audit: message.action = .audit
      case .custom(let provider):
        message.action = .custom
        message.provider = provider
      }
      message.rules = policy.rules.map(Apus_V1_AuthorizationRule.init)
      if let authorizer = policy.authorizer { message.authorizer = Apus_V1_ExternalAuthorizer(authorizer) }
      message.broken = policy.isBroken
      return message
    }
  }
}

extension Apus_V1_AuthorizationRule {
  fileprivate init(_ rule: AuthorizationRule) {
    self.init()
    sources = rule.sources.map { source in
      var message = Apus_V1_AuthorizationSource()
      if let texts = Apus_V1_TextSelection(source.principals) { message.principals = texts }
      if let texts = Apus_V1_TextSelection(source.namespaces) { message.namespaces = texts }
      if let texts = Apus_V1_TextSelection(source.serviceAccounts) { message.serviceAccounts = texts }
      if let texts = Apus_V1_TextSelection(source.trustDomains) { message.trustDomains = texts }
      let blocks = Selection(
        source.addresses.values.map(\.description), not: source.addresses.notValues.map(\.description))
      if let texts = Apus_V1_TextSelection(blocks) { message.addresses = texts }
      return message
    }
    operations = rule.operations.map { operation in
      var message = Apus_V1_AuthorizationOperation()
      if let texts = Apus_V1_TextSelection(operation.methods) { message.methods = texts }
      if let texts = Apus_V1_TextSelection(operation.hosts) { message.hosts = texts }
      message.paths = operation.paths.values.map(Apus_V1_PathPattern.init)
      message.notPaths = operation.paths.notValues.map(Apus_V1_PathPattern.init)
      return message
    }
    conditions = rule.conditions.map { condition in
      var message = Apus_V1_AuthorizationCondition()
      switch condition.subject {
      case .header(let name): message.header = name
      case .claim(let name): message.claim = name
      case .headerPattern(let name): message.headerPattern = name
      }
      if let texts = Apus_V1_TextSelection(condition.values) { message.values = texts }
      return message
    }
  }
}

extension Apus_V1_TextSelection {
  /// Nil for one that selects nothing.
  fileprivate init?(_ selection: Selection<String>) {
    guard !selection.isEmpty else { return nil }
    self.init()
    values = selection.values
    notValues = selection.notValues
  }
}

extension Apus_V1_PathPattern {
  fileprivate init(_ pattern: PathPattern) {
    self.init()
    switch pattern {
    case .exact(let text): exact = text
    case .prefix(let text): prefix = text
    case .glob(let text): glob = text
    case .template(let text): template = text
    case .regularExpression(let text): regularExpression = text
    }
  }
}
