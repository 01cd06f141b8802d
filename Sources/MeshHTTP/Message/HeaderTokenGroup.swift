/// Tokens that stand next to each other in `HeaderToken`, so that one comparison finds them all.
package struct HeaderTokenGroup: Sendable {
  private let first: UInt8
  private let last: UInt8

  private init(_ first: HeaderToken, _ last: HeaderToken) {
    self.first = first.rawValue
    self.last = last.rawValue
  }

  /// What proxies of the mesh tell each other, and what they tell applications: believed from nobody else.
  package static var mesh: HeaderTokenGroup { HeaderTokenGroup(.xForwardedClientCert, .xApusUpgrade) }
  /// What an application asks its own proxy for, for one request.
  package static var overrides: HeaderTokenGroup { HeaderTokenGroup(.xApusTimeout, .xApusRetries) }

  @inline(__always)
  package func contains(_ token: HeaderToken) -> Bool { token.rawValue >= first && token.rawValue <= last }
}
