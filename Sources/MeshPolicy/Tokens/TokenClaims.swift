import MeshCore

/// What a rule asks of a token's claims, and what comes of them. Pure: the time comes in.
package struct TokenClaims: Hashable, Sendable {
  package let set: ClaimSet
  /// Unix seconds between which the token is good, the clocks' difference allowed for.
  package let notBefore: Int64
  package let expires: Int64

  /// Of a token whose signature is good. `now` in Unix seconds.
  package init(_ token: UnverifiedToken, _ rule: TokenIssuer, now: Int64) throws(TokenRefusal) {
    let payload = token.payload
    guard token.issuer.elementsEqual(rule.issuer.utf8) else { throw .issuer }
    let skew = rule.clockSkew.nanoseconds / 1_000_000_000
    // A token without an end would be good for ever once it is lost.
    guard let end = payload["exp"]?.seconds else { throw .claims }
    expires = Int64(end.rounded(.down)) + skew
    var start = Int64.min
    for name in ["nbf", "iat"] as [StaticString] {
      guard let value = payload[name] else { continue }
      guard let time = value.seconds else { throw .claims }
      start = max(start, Int64(time.rounded(.down)) - skew)
    }
    notBefore = start
    try Self.checkAudience(payload["aud"], rule.audiences)
    if let subject = payload["sub"], subject.bytes == nil { throw .claims }
    guard let set = ClaimSet(payload) else { throw .claims }
    self.set = set
    try checkTime(now)
  }

  /// Again at each use of a token that was verified before.
  package func checkTime(_ now: Int64) throws(TokenRefusal) {
    if now >= expires { throw .expired }
    if now < notBefore { throw .notYetValid }
  }

  /// A text, or a list of texts (RFC 7519, section 4.1.3).
  private static func checkAudience(_ value: JSONValue?, _ accepted: [String]) throws(TokenRefusal) {
    var audiences: [[UInt8]] = []
    switch value {
    case nil: break
    case .string(let one): audiences = [one]
    case .array(let list):
      for element in list {
        guard let one = element.bytes else { throw .claims }
        audiences.append(one)
      }
    default: throw .claims
    }
    if accepted.isEmpty { return }
    guard accepted.contains(where: { name in audiences.contains { $0.elementsEqual(name.utf8) } }) else {
      throw .audience
    }
  }
}

extension ClaimSet {
  /// Texts of these names are words with spaces between (RFC 8693, section 4.2, and what is usual).
  private static let wordLists = ["scope", "permission"].map { Array($0.utf8) }

  /// Of a token's payload; nil when it has too many claims, or two of one name.
  package init?(_ payload: JSONValue) {
    self.init()
    guard case .object(let members) = payload else { return nil }
    for member in members where !add(member.value, member.name, depth: 1) { return nil }
  }

  private mutating func add(_ value: JSONValue, _ name: [UInt8], depth: Int) -> Bool {
    switch value {
    case .null: return true
    case .object(let members):
      guard depth < ClaimLimits.depth else { return false }
      return members.allSatisfy { add($0.value, name + [UInt8(ascii: ".")] + $0.name, depth: depth + 1) }
    case .array(let elements): return add(elements.compactMap(\.scalarText), of: name)
    case .string(let text) where Self.wordLists.contains(name):
      return add(text.split(separator: UInt8(ascii: " ")).map { Array($0) }, of: name)
    case .bool, .number, .string: return add([value.scalarText ?? []], of: name)
    }
  }

  private mutating func add(_ values: [[UInt8]], of name: [UInt8]) -> Bool {
    values.isEmpty || append(name, values: values)
  }
}

extension JSONValue {
  /// Nil for null, objects and lists.
  fileprivate var scalarText: [UInt8]? {
    switch self {
    case .string(let text), .number(let text): text
    case .bool(let bool): Array((bool ? "true" : "false").utf8)
    case .null, .array, .object: nil
    }
  }
}
