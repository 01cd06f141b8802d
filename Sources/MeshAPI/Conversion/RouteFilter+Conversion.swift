import MeshCore
import MeshPolicy
import SwiftProtobuf

extension RouteFilter {
  init(_ message: Apus_V1_RouteFilter, limits: ConversionLimits) throws(ConversionError) {
    switch message.kind {
    case .headers(let filter): self = .headers(try HeaderFilter(filter, limits: limits))
    case .redirect(let filter): self = .redirect(try RequestRedirect(filter, limits: limits))
    case .rewrite(let filter): self = .rewrite(try URLRewrite(filter, limits: limits))
    case .mirror(let filter): self = .mirror(try RequestMirror(filter))
    case .cors(let filter): self = .cors(try CORSPolicy(filter, limits: limits))
    case nil: throw ConversionError(field: "kind", problem: "none is set; is the controller newer than this proxy?")
    }
  }
}

extension PathModifier {
  init(_ message: Apus_V1_PathModifier, limits: ConversionLimits) throws(ConversionError) {
    switch message.kind {
    case .full(let path):
      try checkPathText(path, "full", limits: limits)
      self = .full(path)
    case .prefix(let prefix):
      try checkPathText(prefix.matched, "prefix.matched", limits: limits)
      try checkPathText(prefix.replacement, "prefix.replacement", limits: limits)
      self = .prefix(matched: prefix.matched, replacement: prefix.replacement)
    case nil:
      throw ConversionError(field: "kind", problem: "neither full nor prefix is set")
    }
  }
}

extension RequestRedirect {
  init(_ message: Apus_V1_Redirect, limits: ConversionLimits) throws(ConversionError) {
    guard ["", "http", "https"].contains(message.scheme) else {
      throw ConversionError(field: "scheme", problem: "\"\(message.scheme.prefix(32))\" is neither http nor https")
    }
    guard [301, 302, 303, 307, 308].contains(message.status) else {
      throw ConversionError(field: "status", problem: "\(message.status) is no redirection: 301, 302, 303, 307 or 308")
    }
    self.init(
      scheme: message.scheme.isEmpty ? nil : message.scheme,
      hostname: try convertHostname(message.hostname, limits: limits),
      path: message.hasPath ? try PathModifier(message.path, limits: limits) : nil,
      port: message.port == 0 ? nil : try convertPort(message.port, "port"), status: UInt16(message.status))
  }
}

extension URLRewrite {
  init(_ message: Apus_V1_Rewrite, limits: ConversionLimits) throws(ConversionError) {
    self.init(
      hostname: try convertHostname(message.hostname, limits: limits),
      path: message.hasPath ? try PathModifier(message.path, limits: limits) : nil)
  }
}

extension RequestMirror {
  init(_ message: Apus_V1_Mirror) throws(ConversionError) {
    guard message.denominator > 0, message.numerator <= message.denominator else {
      throw ConversionError(field: "numerator", problem: "\(message.numerator) of \(message.denominator) is no share")
    }
    self.init(
      backend: try convertServicePort(message.service, "service"), numerator: message.numerator,
      denominator: message.denominator)
  }
}

extension CORSPolicy {
  init(_ message: Apus_V1_Cors, limits: ConversionLimits) throws(ConversionError) {
    let lists = [message.allowOrigins, message.allowMethods, message.allowHeaders, message.exposeHeaders]
    for text in lists.joined() { try checkVisibleText(text, "cors", limits: limits) }
    try limits.check(lists.reduce(0) { $0 + $1.count }, atMost: 4 * limits.maximumPairs, "cors")
    self.init(
      allowOrigins: message.allowOrigins, allowCredentials: message.allowCredentials,
      allowMethods: message.allowMethods, allowHeaders: message.allowHeaders, exposeHeaders: message.exposeHeaders,
      maxAge: message.maxAge)
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
func checkHeaderName(_ name: String, limits: ConversionLimits) throws(ConversionError) {
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

// MARK: - Checks

private func convertHostname(_ text: String, limits: ConversionLimits) throws(ConversionError) -> String? {
  if text.isEmpty { return nil }
  try checkVisibleText(text, "hostname", limits: limits)
  return text
}

private func checkPathText(_ text: String, _ field: String, limits: ConversionLimits) throws(ConversionError) {
  if !text.isEmpty { try checkVisibleText(text, field, limits: limits) }
}

/// Text that becomes part of a request line or a field: a blank or a line break in it would begin another.
private func checkVisibleText(_ text: String, _ field: String, limits: ConversionLimits) throws(ConversionError) {
  try limits.check(text, field)
  guard text.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
    throw ConversionError(field: field, problem: "holds blanks, control characters or letters outside of ASCII")
  }
}

// MARK: - To the wire

extension Apus_V1_RouteFilter {
  init(_ filter: RouteFilter) {
    self.init()
    switch filter {
    case .headers(let filter): headers = Apus_V1_HeaderFilter(filter)
    case .redirect(let filter): redirect = Apus_V1_Redirect(filter)
    case .rewrite(let filter): rewrite = Apus_V1_Rewrite(filter)
    case .mirror(let filter): mirror = Apus_V1_Mirror(filter)
    case .cors(let filter): cors = Apus_V1_Cors(filter)
    }
  }
}

extension Apus_V1_PathModifier {
  init(_ modifier: PathModifier) {
    self.init()
    switch modifier {
    case .full(let path): full = path
    case .prefix(let matched, let replacement):
      prefix.matched = matched
      prefix.replacement = replacement
    }
  }
}

extension Apus_V1_Redirect {
  init(_ filter: RequestRedirect) {
    self.init()
    scheme = filter.scheme ?? ""
    hostname = filter.hostname ?? ""
    if let modifier = filter.path { path = Apus_V1_PathModifier(modifier) }
    port = UInt32(filter.port ?? 0)
    status = UInt32(filter.status)
  }
}

extension Apus_V1_Rewrite {
  init(_ filter: URLRewrite) {
    self.init()
    hostname = filter.hostname ?? ""
    if let modifier = filter.path { path = Apus_V1_PathModifier(modifier) }
  }
}

extension Apus_V1_Mirror {
  init(_ filter: RequestMirror) {
    self.init()
    service = filter.backend.description
    numerator = filter.numerator
    denominator = filter.denominator
  }
}

extension Apus_V1_Cors {
  init(_ filter: CORSPolicy) {
    self.init()
    allowOrigins = filter.allowOrigins
    allowCredentials = filter.allowCredentials
    allowMethods = filter.allowMethods
    allowHeaders = filter.allowHeaders
    exposeHeaders = filter.exposeHeaders
    maxAge = filter.maxAge
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
