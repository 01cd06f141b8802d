import MeshPolicy

extension Exchange {
  /// What a verified token of the request says; nil: it has none.
  var verifiedClaims: ClaimSet? { nil }

  /// Asks the provider of a `custom` policy, and waits. False: there is no such provider, and the call is refused.
  func asks(provider: String) -> Bool { false }
}
