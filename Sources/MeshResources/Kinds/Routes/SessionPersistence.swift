package import MeshCore

/// `sessionPersistence` of a rule, as its manifest has it (GEP-1619).
package struct SessionPersistence: Hashable, Sendable {
  package enum Carrier: Hashable, Sendable {
    case cookie(path: String, isPermanent: Bool)
    case header
  }

  package var carrier: Carrier
  /// Of the cookie or the header. Nil: one of the rule's own is made up.
  package var name: String?
  package var absoluteTimeout: TimeSpan?
  package var idleTimeout: TimeSpan?

  package init(
    _ carrier: Carrier = .cookie(path: "/", isPermanent: false), name: String? = nil, absoluteTimeout: TimeSpan? = nil,
    idleTimeout: TimeSpan? = nil
  ) {
    self.carrier = carrier
    self.name = name
    self.absoluteTimeout = absoluteTimeout
    self.idleTimeout = idleTimeout
  }
}
