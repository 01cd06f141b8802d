/// Why a request was refused for its token. The names are those of metrics and logs.
package enum TokenRefusal: UInt8, Error, Hashable, Sendable, CaseIterable {
  /// One is required, and there is none.
  case absent
  /// In two places, or twice in one.
  case several
  case tooLarge
  /// Not three parts of base64url with JSON in them.
  case malformed
  /// `none`, HMAC, or not known.
  case algorithm
  /// What the header asks for is not understood: `crit`, or another `typ`.
  case header
  /// No rule has the token's issuer.
  case issuer
  case audience
  case expired
  case notYetValid
  /// A claim that must be there is not, or is not what it must be, or there are too many.
  case claims
  /// The issuer's set has no key of that `kid` and algorithm.
  case unknownKey
  case signature
  /// The issuer's keys could never be read.
  case keysUnavailable
  /// The bytes of a tunnel have no token.
  case tunnel

  /// The label of metrics and the word of logs.
  package var label: StaticString {
    switch self {
    case .absent: "absent"
    case .several: "several"
    case .tooLarge: "too_large"
    case .malformed: "malformed"
    case .algorithm: "algorithm"
    case .header: "header"
    case .issuer: "issuer"
    case .audience: "audience"
    case .expired: "expired"
    case .notYetValid: "not_yet_valid"
    case .claims: "claims"
    case .unknownKey: "unknown_key"
    case .signature: "signature"
    case .keysUnavailable: "keys_unavailable"
    case .tunnel: "tunnel"
    }
  }

  /// For whoever asked. Says what to mend and nothing of keys.
  package var text: StaticString {
    switch self {
    case .absent: "a token is required"
    case .several: "the request has more than one token"
    case .tooLarge: "the token is too large"
    case .malformed: "the token is malformed"
    case .algorithm: "the token's algorithm is not accepted"
    case .header: "the token's header asks for what is not supported"
    case .issuer: "the token's issuer is not accepted"
    case .audience: "the token is for another audience"
    case .expired: "the token has expired"
    case .notYetValid: "the token is not valid yet"
    case .claims: "the token's claims are incomplete or malformed"
    case .unknownKey: "the token's key is not known"
    case .signature: "the token's signature is not valid"
    case .keysUnavailable: "the keys to verify the token with are not available"
    case .tunnel: "requests need tokens here, and a tunnel has none"
    }
  }
}
