import MeshCore
import MeshPolicy
import SwiftProtobuf

extension TokenPolicy {
  init(_ message: Apus_V1_TokenPolicy, limits: ConversionLimits) throws(ConversionError) {
    do throws(ConversionError) {
      try limits.check(message.issuers.count, atMost: limits.maximumPairs, "issuers")
      self.init(
        issuers: try convertEach(message.issuers, "issuers") { issuer throws(ConversionError) in
          try TokenIssuer(issuer, limits: limits)
        },
        isRequired: message.required)
    } catch {
      throw error.inside("tokens")
    }
  }
}

extension TokenIssuer {
  fileprivate init(_ message: Apus_V1_TokenIssuer, limits: ConversionLimits) throws(ConversionError) {
    try limits.check(message.policy, "policy")
    try limits.check(message.issuer, "issuer")
    for audience in message.audiences { try limits.check(audience, "audiences") }
    let lists = [message.audiences.count, message.locations.count, message.claimHeaders.count]
    for count in lists { try limits.check(count, atMost: limits.maximumPairs, "lists") }
    // Without one every token would pass by unseen.
    if message.hasPayloadHeader { try checkHeaderName(message.payloadHeader, limits: limits) }
    if message.locations.isEmpty { throw ConversionError(field: "locations", problem: "empty") }
    self.init(
      policy: message.policy, issuer: message.issuer, audiences: message.audiences,
      keys: try Self.keys(message, limits),
      locations: try convertEach(message.locations, "locations") { location throws(ConversionError) in
        try TokenLocation(location, limits: limits)
      },
      forwardsToken: message.forwardsToken,
      claimHeaders: try convertEach(message.claimHeaders, "claim_headers") { header throws(ConversionError) in
        try checkHeaderName(header.header, limits: limits)
        try limits.check(header.claim, "claim")
        return ClaimHeader(header: header.header, claim: header.claim)
      },
      payloadHeader: message.hasPayloadHeader ? message.payloadHeader : nil,
      clockSkew: try convertTimeSpan(message.clockSkewMs, "clock_skew_ms") ?? .zero)
  }

  private static func keys(
    _ message: Apus_V1_TokenIssuer, _ limits: ConversionLimits
  ) throws(ConversionError) -> TokenKeySource {
    switch message.keys {
    case .jwks(let text):
      guard text.utf8.count <= TokenLimits.keySetBytes else {
        throw ConversionError(field: "jwks", problem: "too long")
      }
      return .inline(text)
    case .jwksFile(let path):
      try limits.check(path, "jwks_file")
      return .file(path)
    case .jwksUri(let url):
      try limits.check(url, "jwks_uri")
      guard message.authoritiesPem.utf8.count <= limits.maximumAnchorsBytes, KeySetURL(url) != nil else {
        throw ConversionError(field: "jwks_uri", problem: "\"\(url.prefix(256))\" is no URL to fetch from")
      }
      return .url(url, authorities: message.authoritiesPem.isEmpty ? nil : message.authoritiesPem)
    case nil:
      throw ConversionError(field: "keys", problem: "none is set; is the controller newer than this proxy?")
    }
  }
}

extension TokenLocation {
  fileprivate init(_ message: Apus_V1_TokenLocation, limits: ConversionLimits) throws(ConversionError) {
    switch message.place {
    case .header(let header):
      try checkHeaderName(header.name, limits: limits)
      try limits.check(header.prefix, "prefix", allowEmpty: true)
      self = .header(name: header.name, prefix: header.prefix)
    case .parameter(let name):
      try limits.check(name, "parameter")
      self = .parameter(name)
    case .cookie(let name):
      try limits.check(name, "cookie")
      self = .cookie(name)
    case nil:
      throw ConversionError(field: "place", problem: "none is set; is the controller newer than this proxy?")
    }
  }
}

// MARK: - To the wire

extension Apus_V1_TokenPolicy {
  init(_ policy: TokenPolicy) {
    self.init()
    required = policy.isRequired
    issuers = policy.issuers.map(Apus_V1_TokenIssuer.init)
  }
}

extension Apus_V1_TokenIssuer {
  fileprivate init(_ issuer: TokenIssuer) {
    self.init()
    policy = issuer.policy
    self.issuer = issuer.issuer
    audiences = issuer.audiences
    switch issuer.keys {
    case .inline(let text): jwks = text
    case .file(let path): jwksFile = path
    case .url(let url, let authorities):
      jwksUri = url
      authoritiesPem = authorities ?? ""
    }
    locations = issuer.locations.map { location in
      .with {
        switch location {
        case .header(let name, let prefix):
          $0.header = .with {
            $0.name = name
            $0.prefix = prefix
          }
        case .parameter(let name): $0.parameter = name
        case .cookie(let name): $0.cookie = name
        }
      }
    }
    forwardsToken = issuer.forwardsToken
    claimHeaders = issuer.claimHeaders.map { header in
      .with {
        $0.header = header.header
        $0.claim = header.claim
      }
    }
    if let header = issuer.payloadHeader { payloadHeader = header }
    clockSkewMs = issuer.clockSkew.wireMilliseconds
  }
}
