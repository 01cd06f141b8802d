import MeshCore
import MeshPolicy

/// What a stranger sends as a token, and what a server of keys says, is understood in one way or not at all.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzToken(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  guard count <= 65_536 else { return 0 }
  let input = UnsafeRawBufferPointer(start: start, count: count)
  if let token = try? UnverifiedToken(input) {
    precondition(count <= TokenLimits.tokenBytes, "a token past the limit is taken apart")
    precondition(input[token.signedCount] == UInt8(ascii: "."), "the signature is over something else")
    let rule = TokenIssuer(
      policy: "a/b", issuer: String(decoding: token.issuer, as: UTF8.self), keys: .inline(""))
    if let claims = try? TokenClaims(token, rule, now: 1_700_000_000) {
      precondition(claims.set.count <= ClaimLimits.values && claims.expires > 1_700_000_000, "a claim past its limit")
    }
  }
  _ = try? TokenKeySet(input)
  if let bytes = Base64URL.decode(input) {
    precondition(bytes.count == count / 4 * 3 + [0, 0, 1, 2][count % 4], "text of another length")
  }
  return 0
}
