package import MeshCore

/// What the requests that come for a port must prove of who sent them (kind `RequestAuthentication`).
///
/// A request with a token is refused unless one of the issuers' rules accepts it. Without a token it passes, as nobody's, unless one is
/// required.
package struct TokenPolicy: Hashable, Sendable {
  package var issuers: [TokenIssuer]
  package var isRequired: Bool

  package init(issuers: [TokenIssuer], isRequired: Bool = false) {
    self.issuers = issuers
    self.isRequired = isRequired
  }
}

/// One entry of `jwtRules`: whose tokens, for whom, and where in a request.
package struct TokenIssuer: Hashable, Sendable {
  /// A claim that the application gets in a field of the request.
  package struct ClaimHeader: Hashable, Sendable {
    /// In lower case.
    package var header: String
    package var claim: String

    package init(header: String, claim: String) {
      self.header = header
      self.claim = claim
    }
  }

  /// The RequestAuthentication, as `shop/users`.
  package var policy: String
  /// The claim `iss`, byte for byte.
  package var issuer: String
  /// One of them must be in the claim `aud`. Empty: whatever it says.
  package var audiences: [String]
  package var keys: TokenKeySource
  package var locations: [TokenLocation]
  /// The application gets the token, too; else it is taken out of the request.
  package var forwardsToken: Bool
  package var claimHeaders: [ClaimHeader]
  /// The field that the application gets the payload in, as it stands in the token (base64url). In lower case.
  package var payloadHeader: String?
  /// How far the issuer's clock and ours may differ.
  package var clockSkew: TimeSpan

  package init(
    policy: String, issuer: String, audiences: [String] = [], keys: TokenKeySource,
    locations: [TokenLocation] = [.authorization], forwardsToken: Bool = false, claimHeaders: [ClaimHeader] = [],
    payloadHeader: String? = nil, clockSkew: TimeSpan = .seconds(60)
  ) {
    self.policy = policy
    self.issuer = issuer
    self.audiences = audiences
    self.keys = keys
    self.locations = locations
    self.forwardsToken = forwardsToken
    self.claimHeaders = claimHeaders
    self.payloadHeader = payloadHeader
    self.clockSkew = clockSkew
  }
}

/// Where an issuer's keys are had from.
package enum TokenKeySource: Hashable, Sendable {
  /// The set itself.
  case inline(String)
  /// Absolute path on the proxy's machine.
  case file(String)
  /// `authorities` in PEM in the place of the machine's own; for https only.
  case url(String, authorities: String?)
}

/// A place of a request where a token may stand.
package enum TokenLocation: Hashable, Sendable {
  /// Name in lower case, and what stands before the token. In `authorization` that is a scheme, of whatever letter case.
  case header(name: String, prefix: String)
  /// Of the path's query.
  case parameter(String)
  case cookie(String)

  /// `Authorization: Bearer TOKEN` (RFC 6750, section 2.1).
  package static let authorization = TokenLocation.header(name: "authorization", prefix: "Bearer ")
}
