import MeshCore
import MeshHTTP

/// One rule with its patterns compiled. `unknown` is what a condition is worth of which the call says nothing.
struct CompiledAuthorizationRule: Sendable {
  private var sources: [Source]
  private let operations: [Operation]
  private let conditions: [Condition]

  init(_ rule: AuthorizationRule) {
    sources = rule.sources.map(Source.init)
    operations = rule.operations.map(Operation.init)
    conditions = rule.conditions.map(Condition.init)
  }

  /// What is left of the rule to ask of a call by someone with this identity; nil: it cannot match. Sources that look at addresses stay.
  func narrowed(to caller: CallerFacts, unknown: Bool) -> CompiledAuthorizationRule? {
    if sources.isEmpty { return self }
    var rule = self
    rule.sources.removeAll { $0.addresses.isEmpty && !$0.admitsIdentity(of: caller, unknown: unknown) }
    if rule.sources.isEmpty { return nil }
    if rule.sources.contains(where: \.addresses.isEmpty) { rule.sources = [] }
    return rule
  }

  func matches(_ call: AuthorizationCall, unknown: Bool) -> Bool { mismatch(call, unknown: unknown) == nil }

  /// The first part of the rule that does not hold; nil: the rule matches.
  func mismatch(_ call: AuthorizationCall, unknown: Bool) -> AuthorizationMismatch.Part? {
    guard sources.isEmpty || sources.contains(where: { $0.matches(call.caller, unknown: unknown) }) else {
      return .from
    }
    guard let request = call.request else {
      // Rules that ask for nothing but ports and callers know all that they ask for.
      let isKnown = conditions.isEmpty && (operations.isEmpty || operations.contains(where: \.isEmpty))
      return isKnown || unknown ? nil : .noRequest
    }
    guard operations.isEmpty || operations.contains(where: { $0.matches(request) }) else { return .to }
    return conditions.allSatisfy { $0.matches(request, call.claims, unknown: unknown) } ? nil : .when
  }
}

extension CompiledAuthorizationRule {
  fileprivate struct Source: Sendable {
    let principals: Selection<Glob>
    let namespaces: Selection<Glob>
    let accounts: Selection<Glob>
    let trustDomains: Selection<Glob>
    let addresses: Selection<AddressBlock>
    let needsIdentity: Bool

    init(_ source: AuthorizationSource) {
      let slash = UInt8(ascii: "/")
      principals = source.principals.globs(separator: slash)
      namespaces = source.namespaces.globs(separator: slash)
      accounts = source.serviceAccounts.globs(separator: slash)
      trustDomains = source.trustDomains.globs(separator: slash)
      addresses = source.addresses
      needsIdentity =
        !(principals.isEmpty && namespaces.isEmpty && accounts.isEmpty && trustDomains.isEmpty)
    }

    func matches(_ caller: CallerFacts, unknown: Bool) -> Bool {
      if !addresses.isEmpty {
        guard let address = caller.address else { return unknown }
        guard addresses.admits({ $0.contains(address) }) else { return false }
      }
      return admitsIdentity(of: caller, unknown: unknown)
    }

    func admitsIdentity(of caller: CallerFacts, unknown: Bool) -> Bool {
      guard needsIdentity else { return true }
      guard caller.identity != nil else { return unknown && !asksForSomebody }
      return principals.admits(caller.principal) && namespaces.admits(caller.namespace)
        && accounts.admits(caller.account) && trustDomains.admits(caller.trustDomain)
    }

    /// Nobody without identity is one of those.
    private var asksForSomebody: Bool {
      !(principals.values.isEmpty && namespaces.values.isEmpty && accounts.values.isEmpty
        && trustDomains.values.isEmpty)
    }
  }

  fileprivate struct Operation: Sendable {
    let methods: Selection<[UInt8]>
    let hosts: Selection<Glob>
    let paths: Selection<CompiledPathPattern>
    let isEmpty: Bool

    init(_ operation: AuthorizationOperation) {
      methods = Selection(
        operation.methods.values.map { Array($0.utf8) }, not: operation.methods.notValues.map { Array($0.utf8) })
      hosts = operation.hosts.globs(separator: nil)
      paths = Selection(
        operation.paths.values.map(CompiledPathPattern.init),
        not: operation.paths.notValues.map(CompiledPathPattern.init))
      isEmpty = operation.isEmpty
    }

    func matches(_ request: MessageHead) -> Bool {
      if !methods.isEmpty {
        let method = request.methodName
        guard methods.admits({ $0.withUnsafeBytes { method.equals($0) } }) else { return false }
      }
      if !hosts.isEmpty {
        let host = request.hostName
        guard hosts.admits({ $0.matches(host, foldsCase: true) }) else { return false }
      }
      guard !paths.isEmpty else { return true }
      let path = request.target.path
      return paths.admits { $0.matches(path) }
    }
  }

  fileprivate struct Condition: Sendable {
    let isClaim: Bool
    let name: [UInt8]
    let values: Selection<Glob>
    /// Of `headerPattern`, which has no globs.
    var patterns: (values: [CompiledPattern], notValues: [CompiledPattern])?

    init(_ condition: AuthorizationCondition) {
      switch condition.subject {
      case .header(let name): (isClaim, self.name) = (false, Array(name.utf8))
      case .claim(let name): (isClaim, self.name) = (true, Array(name.utf8))
      case .headerPattern(let name):
        (isClaim, self.name) = (false, Array(name.utf8))
        values = Selection()
        patterns = (
          condition.values.values.map(CompiledPattern.init), condition.values.notValues.map(CompiledPattern.init)
        )
        return
      }
      values = condition.values.globs(separator: nil)
    }

    func matches(_ request: MessageHead, _ claims: ClaimSet?, unknown: Bool) -> Bool {
      name.withUnsafeBytes { name in
        if let patterns {
          let isOne =
            patterns.values.isEmpty
            || request.hasField(name) { value in patterns.values.contains { $0.matches(value) } }
          return isOne && !request.hasField(name) { value in patterns.notValues.contains { $0.matches(value) } }
        }
        if !isClaim { return values.admitsAny { request.hasField(name, where: $0) } }
        guard let claims else { return values.values.isEmpty && unknown }
        return values.admitsAny { claims.hasValue(of: name, where: $0) }
      }
    }
  }
}

/// A `PathPattern` with its wildcards compiled.
enum CompiledPathPattern: Hashable, Sendable {
  case exact([UInt8])
  /// Without a slash at its end.
  case prefix([UInt8])
  case glob(Glob)
  case pattern(CompiledPattern)

  init(_ pattern: PathPattern) {
    switch pattern {
    case .exact(let path): self = .exact(Array(path.utf8))
    case .prefix(let path):
      self = .prefix(Array(path.utf8.last == UInt8(ascii: "/") ? path.utf8.dropLast() : path.utf8[...]))
    case .glob(let glob): self = .glob(Glob(glob, separator: UInt8(ascii: "/")))
    case .template(let template): self = .glob(Glob(template: template))
    case .regularExpression(let pattern): self = .pattern(CompiledPattern(pattern))
    }
  }

  func matches(_ path: UnsafeRawBufferPointer) -> Bool {
    switch self {
    case .exact(let wanted): wanted.withUnsafeBytes { path.equals($0) }
    case .prefix(let wanted): wanted.withUnsafeBytes { path.hasElementPrefix($0) }
    case .glob(let glob): glob.matches(path)
    case .pattern(let pattern): pattern.matches(path)
    }
  }
}

/// A regular expression that is known to compile: manifests and the wire are refused where it does not.
struct CompiledPattern: Hashable, Sendable {
  private let text: String
  private let regex: LinearRegex?

  init(_ text: String) {
    self.text = text
    regex = try? LinearRegex(text)
  }

  func matches(_ bytes: UnsafeRawBufferPointer) -> Bool { regex?.matches(bytes) ?? false }

  static func == (a: CompiledPattern, b: CompiledPattern) -> Bool { a.text == b.text }
  func hash(into hasher: inout Hasher) { hasher.combine(text) }
}

// MARK: - Selections

extension Selection {
  /// Of one value.
  func admits(_ matches: (Value) -> Bool) -> Bool {
    (values.isEmpty || values.contains(where: matches)) && !notValues.contains(where: matches)
  }
}

extension Selection<String> {
  func globs(separator: UInt8?) -> Selection<Glob> {
    Selection<Glob>(
      values.map { Glob($0, separator: separator) }, not: notValues.map { Glob($0, separator: separator) })
  }
}

extension Selection<Glob> {
  func admits(_ text: [UInt8]) -> Bool {
    text.withUnsafeBytes { bytes in admits { $0.matches(bytes) } }
  }

  /// Of any number of values: `hasValue` tells whether one of them satisfies what it is given.
  func admitsAny(_ hasValue: ((UnsafeRawBufferPointer) -> Bool) -> Bool) -> Bool {
    if !values.isEmpty, !hasValue({ value in values.contains { $0.matches(value) } }) { return false }
    return notValues.isEmpty || !hasValue { value in notValues.contains { $0.matches(value) } }
  }
}

// MARK: - What rules see of a request

extension MessageHead {
  var methodName: UnsafeRawBufferPointer {
    if method == .other { return bytes(methodBytes) }
    let name = method.name
    return UnsafeRawBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount)
  }

  /// The host that is asked for, without port and without the dot at the end of a full name.
  var hostName: UnsafeRawBufferPointer {
    let authority = bytes(authority)
    var end = authority.count
    var i = end
    while i > 0 {
      i &-= 1
      let byte = authority[i]
      if byte == UInt8(ascii: ":") {
        end = i
        break
      }
      // The colons of an IPv6 address stand inside brackets.
      if byte == UInt8(ascii: "]") { break }
    }
    if end > 1, authority[end &- 1] == UInt8(ascii: ".") { end &-= 1 }
    return authority.slice(0, end)
  }

  /// Whether a value of a field called `name`, in lower case, satisfies `matches`.
  func hasField(_ name: UnsafeRawBufferPointer, where matches: (UnsafeRawBufferPointer) -> Bool) -> Bool {
    for field in fields where !field.isRemoved && bytes(field.name).equalsIgnoringCase(name) {
      if matches(bytes(field.value)) { return true }
    }
    return false
  }
}
