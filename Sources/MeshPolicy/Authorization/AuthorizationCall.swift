package import MeshCore
package import MeshHTTP

/// Who calls, as the connection proves it: made once for a connection, kept with it.
package final class CallerFacts: Sendable {
  /// Nil: nothing is proven, the caller speaks plaintext.
  package let identity: SPIFFEID?
  /// Of the connection's other end.
  package let address: SocketAddress?
  let principal: [UInt8]
  let namespace: [UInt8]
  let account: [UInt8]
  let trustDomain: [UInt8]

  package init(identity: SPIFFEID?, address: SocketAddress?) {
    self.identity = identity
    self.address = address
    principal = identity.map { Array($0.description.utf8) } ?? []
    namespace = identity.map { Array($0.namespace.utf8) } ?? []
    account = identity.map { Array("\($0.namespace)/\($0.serviceAccount)".utf8) } ?? []
    trustDomain = identity.map { Array($0.trustDomain.utf8) } ?? []
  }
}

/// What a decision is made about.
package struct AuthorizationCall {
  package var caller: CallerFacts
  /// Nil: a byte stream, of which nothing is known. Its path must be canonical (`CanonicalPath`) where `Authorizer.readsPaths`.
  package var request: MessageHead?
  /// Of the request's token; nil: it has none, or none that was verified.
  package var claims: ClaimSet?

  package init(caller: CallerFacts, request: MessageHead?, claims: ClaimSet? = nil) {
    self.caller = caller
    self.request = request
    self.claims = claims
  }
}

/// What becomes of a call, and by whom.
package struct AuthorizationDecision: Hashable, Sendable {
  package enum Verdict: Hashable, Sendable {
    case allow, deny
    /// The policy's provider decides. When it allows, `Authorizer.decide(_:after:)` goes on.
    case ask
  }

  package enum Cause: Hashable, Sendable {
    /// The policy of `policy` has a rule that matches.
    case rule
    /// The port has `allow` policies, and none of them matches.
    case nothingAllows
    /// No policy speaks of the call.
    case mode
    /// The policy of `policy` has a mistake, and there is no version before.
    case broken
  }

  package var verdict: Verdict
  package var cause: Cause
  /// Index in `Authorization.policies`; of `Cause.rule` and `.broken` alone.
  package var policy: Int?

  package init(verdict: Verdict, cause: Cause, policy: Int? = nil) {
    self.verdict = verdict
    self.cause = cause
    self.policy = policy
  }
}
