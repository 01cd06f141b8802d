import MeshCore
package import MeshHTTP

/// The rules of one service port, compiled to bytes so that a match reads memory and allocates nothing.
///
/// Built once per snapshot and worker; confined to that worker. Rules are tried in the order given, which is the
/// order of precedence (Gateway API, HTTPRouteRule.matches). A pattern that does not compile never matches and is
/// listed in `invalidPatterns`: a rule that cannot be understood must not capture traffic.
package final class RouteTable {
  /// One alternative of one rule; all its conditions must hold.
  private struct Alternative {
    var rule: Int
    var path = PathCondition.any
    var pathText = TextRange(offset: 0, count: 0)
    var hasMethod = false
    var method = Method.get
    var methodText = TextRange(offset: 0, count: 0)
    var firstHeader = 0
    var headerCount = 0
    var firstParameter = 0
    var parameterCount = 0
  }

  private enum PathCondition {
    case any, never, exact, prefix
    case regex(Int)
  }

  private enum ValueCondition {
    case never, exact
    case regex(Int)
  }

  private struct HeaderCondition {
    var token: HeaderToken
    var name: TextRange
    var condition: ValueCondition
    var value = TextRange(offset: 0, count: 0)
  }

  private struct ParameterCondition {
    var name: TextRange
    var condition: ValueCondition
    var value = TextRange(offset: 0, count: 0)
  }

  private struct TextRange {
    var offset: Int
    var count: Int
  }

  package let ruleCount: Int
  package let invalidPatterns: [RegexError]

  private let alternatives: [Alternative]
  private let headers: [HeaderCondition]
  private let parameters: [ParameterCondition]
  private let regexes: [LinearRegex]
  private let text: [UInt8]
  /// Of tables with many alternatives.
  private let index: PathIndex?
  /// Some condition looks at the request target.
  private let anyTargetConditions: Bool

  package init(_ rules: [RouteRule]) {
    var compiler = Compiler()
    for (index, rule) in rules.enumerated() {
      if rule.matches.isEmpty, rule.serverNames.isEmpty { compiler.alternatives.append(Alternative(rule: index)) }
      for match in rule.matches { compiler.add(match, rule: index) }
    }
    ruleCount = rules.count
    invalidPatterns = compiler.invalidPatterns
    alternatives = compiler.alternatives
    headers = compiler.headers
    parameters = compiler.parameters
    regexes = compiler.regexes
    text = compiler.text
    index = PathIndex(compiler.alternatives.map(compiler.key(of:)))
    anyTargetConditions = compiler.anyTargetConditions
  }

  /// The index of the first rule that matches `head`, nil when none does.
  package func match(_ head: MessageHead) -> Int? {
    text.withUnsafeBytes { text in
      let target = anyTargetConditions ? head.target : MessageHead.Target()
      if let index {
        return index.first(target.path) { holds(alternatives[$0], target, head: head, text: text) }
          .map { alternatives[$0].rule }
      }
      for alternative in alternatives {
        if holds(alternative, target, head: head, text: text) { return alternative.rule }
      }
      return nil
    }
  }

  // MARK: - Matching

  @inline(__always)
  private func holds(
    _ alternative: Alternative, _ target: MessageHead.Target, head: MessageHead, text: UnsafeRawBufferPointer
  ) -> Bool {
    if alternative.hasMethod {
      guard head.method == alternative.method else { return false }
      if head.method == .other {
        let wanted = text.slice(alternative.methodText.offset, alternative.methodText.count)
        guard head.bytes(head.methodBytes).equals(wanted) else { return false }
      }
    }
    let wanted = text.slice(alternative.pathText.offset, alternative.pathText.count)
    switch alternative.path {
    case .any: break
    case .never: return false
    case .exact: guard target.path.equals(wanted) else { return false }
    case .prefix: guard target.path.hasElementPrefix(wanted) else { return false }
    case .regex(let index): guard regexes[index].matches(target.path) else { return false }
    }
    for i in 0..<alternative.headerCount
    where !holds(headers[alternative.firstHeader &+ i], head: head, text: text) { return false }
    for i in 0..<alternative.parameterCount
    where !holds(parameters[alternative.firstParameter &+ i], target.query, text: text) { return false }
    return true
  }

  private func holds(_ condition: HeaderCondition, head: MessageHead, text: UnsafeRawBufferPointer) -> Bool {
    let name = text.slice(condition.name.offset, condition.name.count)
    let wanted = text.slice(condition.value.offset, condition.value.count)
    return Self.withValue(condition.token, name, of: head) { holds(condition.condition, $0, wanted: wanted) }
  }

  private func holds(
    _ condition: ParameterCondition, _ query: UnsafeRawBufferPointer, text: UnsafeRawBufferPointer
  ) -> Bool {
    guard let value = query.firstParameter(named: text.slice(condition.name.offset, condition.name.count)) else {
      return false
    }
    return holds(condition.condition, value, wanted: text.slice(condition.value.offset, condition.value.count))
  }

  @inline(__always)
  private func holds(
    _ condition: ValueCondition, _ value: UnsafeRawBufferPointer, wanted: UnsafeRawBufferPointer
  ) -> Bool {
    switch condition {
    case .never: false
    case .exact: value.equals(wanted)
    case .regex(let index): regexes[index].matches(value)
    }
  }

  /// Calls `body` with the field's value; lines of the same name are joined with a comma (RFC 9110, section 5.3).
  private static func withValue(
    _ token: HeaderToken, _ name: UnsafeRawBufferPointer, of head: MessageHead, _ body: (UnsafeRawBufferPointer) -> Bool
  ) -> Bool {
    if token == .host && !head.authority.isEmpty { return body(head.bytes(head.authority)) }
    var lines = 0
    var total = 0
    var first = MessageHead.Slice.empty
    for field in head.fields where isField(field, token, name, head) {
      if lines == 0 { first = field.value }
      lines &+= 1
      total &+= Int(field.value.length) &+ 1
    }
    if lines == 0 { return false }
    if lines == 1 { return body(head.bytes(first)) }
    return withUnsafeTemporaryAllocation(byteCount: total, alignment: 1) { joined in
      var end = 0
      for field in head.fields where isField(field, token, name, head) {
        if end > 0 {
          joined[end] = UInt8(ascii: ",")
          end += 1
        }
        let value = head.bytes(field.value)
        UnsafeMutableRawBufferPointer(rebasing: joined[end...]).copyMemory(from: value)
        end += value.count
      }
      return body(UnsafeRawBufferPointer(rebasing: joined[..<end]))
    }
  }

  @inline(__always)
  private static func isField(
    _ field: MessageHead.Field, _ token: HeaderToken, _ name: UnsafeRawBufferPointer, _ head: MessageHead
  ) -> Bool {
    guard field.token == token, !field.isRemoved else { return false }
    return token != .other || head.bytes(field.name).equalsIgnoringCase(name)
  }

  // MARK: - Compiling

  /// Collects what the table then holds as constants.
  private struct Compiler {
    var alternatives: [Alternative] = []
    var headers: [HeaderCondition] = []
    var parameters: [ParameterCondition] = []
    var regexes: [LinearRegex] = []
    var text: [UInt8] = []
    var anyTargetConditions = false
    var invalidPatterns: [RegexError] = []

    mutating func add(_ match: RouteMatch, rule: Int) {
      var alternative = Alternative(rule: rule)
      switch match.path {
      case nil: break
      case .exact(let path):
        alternative.path = .exact
        alternative.pathText = add(path)
      case .prefix(let path):
        var trimmed = Substring(path)
        while trimmed.hasSuffix("/") { trimmed.removeLast() }
        // "/" matches every path, also the empty one of CONNECT and the asterisk of OPTIONS.
        alternative.path = trimmed.isEmpty ? .any : .prefix
        alternative.pathText = add(String(trimmed))
      case .regularExpression(let pattern):
        alternative.path = compile(pattern).map { .regex($0) } ?? .never
      }
      if case .any = alternative.path {} else { anyTargetConditions = true }
      if let method = match.method {
        alternative.hasMethod = true
        alternative.method = Array(method.utf8).withUnsafeBytes { Method($0) }
        alternative.methodText = add(method)
      }
      alternative.firstHeader = headers.count
      var seen: Set<String> = []
      for header in match.headers where seen.insert(header.name.lowercased()).inserted {
        headers.append(compile(header))
      }
      alternative.headerCount = headers.count - alternative.firstHeader
      alternative.firstParameter = parameters.count
      var seenParameters: Set<String> = []
      for parameter in match.queryParameters where seenParameters.insert(parameter.name).inserted {
        let (condition, value) = compile(parameter.value)
        parameters.append(ParameterCondition(name: add(parameter.name), condition: condition, value: value))
        anyTargetConditions = true
      }
      alternative.parameterCount = parameters.count - alternative.firstParameter
      alternatives.append(alternative)
    }

    private mutating func compile(_ header: HeaderMatch) -> HeaderCondition {
      let token = Array(header.name.utf8).withUnsafeBytes { HeaderToken.lookup($0) }
      let (condition, value) = compile(header.value)
      return HeaderCondition(token: token, name: add(header.name), condition: condition, value: value)
    }

    private mutating func compile(_ value: ValueMatch) -> (ValueCondition, TextRange) {
      let none = TextRange(offset: 0, count: 0)
      switch value {
      case .exact(let text): return (.exact, add(text))
      case .regularExpression(let pattern): return (compile(pattern).map { .regex($0) } ?? .never, none)
      }
    }

    private mutating func compile(_ pattern: String) -> Int? {
      do throws(RegexError) {
        regexes.append(try LinearRegex(pattern))
        return regexes.count - 1
      } catch {
        invalidPatterns.append(error)
        return nil
      }
    }

    func key(of alternative: Alternative) -> PathIndex.Key {
      let path = Array(text[alternative.pathText.offset...].prefix(alternative.pathText.count))
      return switch alternative.path {
      case .exact: .exact(path)
      case .prefix: .prefix(path)
      case .any, .never, .regex: .other
      }
    }

    private mutating func add(_ string: String) -> TextRange {
      let offset = text.count
      text.append(contentsOf: string.utf8)
      return TextRange(offset: offset, count: text.count - offset)
    }
  }
}
