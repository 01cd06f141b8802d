/// How a token is signed (RFC 7518 and RFC 8037). What is not here is refused: `none` above all, and every HMAC, whose key would be a
/// public one when a forger chooses it.
package enum TokenAlgorithm: String, Hashable, Sendable, CaseIterable {
  case rs256 = "RS256"
  case ps256 = "PS256"
  case es256 = "ES256"
  case edDSA = "EdDSA"

  /// Nil for any other. `Ed25519` is what RFC 9864 calls EdDSA on that curve.
  package init?(_ name: [UInt8]) {
    if name == Array("Ed25519".utf8) {
      self = .edDSA
    } else {
      self.init(rawValue: String(decoding: name, as: UTF8.self))
    }
  }

  package var keyKind: TokenKey.Kind {
    switch self {
    case .rs256, .ps256: .rsa
    case .es256: .p256
    case .edDSA: .ed25519
    }
  }
}

/// A public key of a key set (RFC 7517). A key verifies what its kind can and its `alg` allows: the token has no say.
package struct TokenKey: Hashable, Sendable {
  package enum Kind: Hashable, Sendable { case rsa, p256, ed25519 }

  package var kind: Kind
  /// RSA: modulus and exponent. P-256: x and y, of 32 bytes each. Ed25519: x, and nothing.
  package var first: [UInt8]
  package var second: [UInt8]
  /// Nil: the set does not name it.
  package var id: [UInt8]?
  /// Nil: any of its kind.
  package var algorithm: TokenAlgorithm?

  package init(kind: Kind, first: [UInt8], second: [UInt8] = [], id: [UInt8]? = nil, algorithm: TokenAlgorithm? = nil) {
    self.kind = kind
    self.first = first
    self.second = second
    self.id = id
    self.algorithm = algorithm
  }

  package func verifies(_ algorithm: TokenAlgorithm) -> Bool {
    kind == algorithm.keyKind && (self.algorithm == nil || self.algorithm == algorithm)
  }
}
