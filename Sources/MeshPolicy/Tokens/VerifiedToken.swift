package import MeshCore
package import MeshHTTP

/// A token whose signature and claims are good, as a worker remembers it. Immutable; confined to one worker loop.
package final class VerifiedToken {
  /// A field that the application gets.
  package struct Header {
    package var name: [UInt8]
    package var value: [UInt8]
  }

  fileprivate let text: [UInt8]
  fileprivate let hash: UInt64
  /// What it was verified with: other keys or another rule know nothing of it.
  fileprivate let verifier: UInt64
  package let claims: TokenClaims
  /// Which rule of the policy accepted it.
  package let rule: Int
  package let headers: [Header]
  /// The field for the payload; empty: none.
  private let payloadName: [UInt8]
  /// Where the payload stands in `text`.
  private let payload: Range<Int>

  /// `text` is a token that was verified: two dots stand in it.
  package init(
    _ text: UnsafeRawBufferPointer, hash: UInt64, verifier: UInt64, claims: TokenClaims, rule: Int,
    headers: [TokenIssuer.ClaimHeader], payloadHeader: String? = nil
  ) {
    self.text = Array(text)
    self.hash = hash
    self.verifier = verifier
    self.claims = claims
    self.rule = rule
    self.headers = headers.compactMap { header in
      claims.set.fieldValue(of: header.claim).map { Header(name: Array(header.header.utf8), value: $0) }
    }
    payloadName = payloadHeader.map { Array($0.utf8) } ?? []
    let start = text.firstIndex(of: UInt8(ascii: ".")).map { $0 + 1 } ?? 0
    payload = start..<(text[start...].firstIndex(of: UInt8(ascii: ".")) ?? start)
  }

  /// Tells the application what the token says, in the fields that its rule names. Allocates nothing.
  package func write(to head: MessageHead) {
    for header in headers {
      header.name.withUnsafeBytes { name in header.value.withUnsafeBytes { head.append(name: name, value: $0) } }
    }
    if payloadName.isEmpty { return }
    payloadName.withUnsafeBytes { name in
      text.withUnsafeBytes { head.append(name: name, value: $0.slice(payload.lowerBound, payload.count)) }
    }
  }
}

extension ClaimSet {
  /// The values of a claim as one field's value, with commas between. Nil for none, and for what would say something else there: a
  /// value with a control character, or a comma in one of several.
  fileprivate func fieldValue(of claim: String) -> [UInt8]? {
    var value: [UInt8] = []
    var count = 0
    var isGood = true
    Array(claim.utf8).withUnsafeBytes { name in
      _ = hasValue(of: name) { one in
        if count > 0 { value.append(UInt8(ascii: ",")) }
        count += 1
        value += one
        isGood = isGood && one.allSatisfy { $0 >= 0x20 && $0 != 0x7F }
        return false
      }
    }
    if count > 1, value.count(where: { $0 == UInt8(ascii: ",") }) != count - 1 { isGood = false }
    guard count > 0, isGood, value.count <= TokenLimits.textBytes else { return nil }
    if value.first == 0x20 || value.last == 0x20 { return nil }
    return value
  }
}

/// The tokens that a worker has verified lately, so that the next request with one costs a hash and a comparison.
///
/// A token is found by all of its bytes, never by a hash alone. Its place is that of a keyed hash, so that nobody can crowd others out on purpose but by
/// having many good tokens. Limits: `TokenLimits.rememberedTokens` and `.rememberedBytes`; four places for each hash, of which the one
/// that was not used for longest is given up. A hit allocates nothing. Confined to one worker loop.
package final class TokenCache {
  private static let ways = 4

  private struct Place {
    var token: VerifiedToken?
    var lastUse: UInt64 = 0
  }

  private var places: [Place]
  private let sets: Int
  private let maximumBytes: Int
  private let key: SipKey
  private var clock: UInt64 = 0
  package private(set) var heldBytes = 0
  package private(set) var count = 0

  package init(
    _ random: inout SeededRandom, tokens: Int = TokenLimits.rememberedTokens, bytes: Int = TokenLimits.rememberedBytes
  ) {
    key = SipKey(random.next(), random.next())
    sets = max(1, tokens / Self.ways)
    maximumBytes = bytes
    places = Array(repeating: Place(), count: sets * Self.ways)
  }

  package func hash(_ token: UnsafeRawBufferPointer) -> UInt64 { key.hash(token) }

  package func find(_ text: UnsafeRawBufferPointer, hash: UInt64, verifier: UInt64) -> VerifiedToken? {
    for index in range(hash) {
      guard let token = places[index].token, token.hash == hash, token.verifier == verifier,
        token.text.withUnsafeBytes({ $0.equals(text) })
      else { continue }
      clock &+= 1
      places[index].lastUse = clock
      return token
    }
    return nil
  }

  package func insert(_ token: VerifiedToken) {
    guard token.text.count <= maximumBytes else { return }
    let set = range(token.hash)
    let place = set.first { places[$0].token == nil } ?? set.min { places[$0].lastUse < places[$1].lastUse }!
    forget(place)
    if heldBytes + token.text.count > maximumBytes { removeAll() }
    clock &+= 1
    places[place] = Place(token: token, lastUse: clock)
    heldBytes += token.text.count
    count += 1
  }

  /// A token that has ended, say.
  package func remove(_ token: VerifiedToken) {
    for index in range(token.hash) where places[index].token === token { forget(index) }
  }

  /// Full of bytes: beginning anew is rare, and needs no order of all tokens.
  private func removeAll() {
    for index in places.indices { forget(index) }
  }

  private func forget(_ index: Int) {
    guard let old = places[index].token else { return }
    heldBytes -= old.text.count
    count -= 1
    places[index] = Place()
  }

  private func range(_ hash: UInt64) -> Range<Int> {
    let start = Int(hash % UInt64(sets)) * Self.ways
    return start..<(start + Self.ways)
  }
}
