package import MeshCore

/// A rule whose clients keep the endpoint that answered them first (GEP-1619). Nil in a rule: every request is balanced anew.
package struct SessionPolicy: Hashable, Sendable {
  /// Where clients bring the session's token, and get it.
  package enum Carrier: Hashable, Sendable {
    case cookie(Cookie)
    /// A field of this name, in lower case, of requests and answers.
    case header(String)
  }

  package struct Cookie: Hashable, Sendable {
    package var name: String
    package var path: String
    /// The client keeps it beyond its own session, for as long as the session may last.
    package var isPermanent: Bool

    package init(name: String, path: String = "/", isPermanent: Bool = false) {
      self.name = name
      self.path = path
      self.isPermanent = isPermanent
    }
  }

  package var carrier: Carrier
  /// A session ends so long after it began. Whole seconds; nil: never.
  package var absoluteTimeout: TimeSpan?
  /// A session ends so long after its latest request. Whole seconds; nil: never.
  package var idleTimeout: TimeSpan?
  /// Seals the tokens: the rule's own, and the same in every proxy of the mesh.
  package var key: SipKey

  package init(
    _ carrier: Carrier, absoluteTimeout: TimeSpan? = nil, idleTimeout: TimeSpan? = nil, key: SipKey
  ) {
    self.carrier = carrier
    self.absoluteTimeout = absoluteTimeout
    self.idleTimeout = idleTimeout
    self.key = key
  }
}
