package import MeshCore
package import MeshHTTP

/// The sessions of one rule, ready for use: finds a request's token, and says what its client is told. Pure; the time of day comes in.
package struct SessionPlan: Sendable {
  package let policy: SessionPolicy
  /// Of the cookie or the field.
  private let name: [UInt8]

  package init(_ policy: SessionPolicy) {
    self.policy = policy
    switch policy.carrier {
    case .cookie(let cookie): name = Array(cookie.name.utf8)
    case .header(let field): name = Array(field.utf8)
    }
  }

  // MARK: - Requests

  /// The first token of the request that is one and whose session lasts. Times in seconds since 1970. Allocates nothing.
  package func find(in head: MessageHead, now: UInt32) -> SessionToken? {
    name.withUnsafeBytes { name in
      for field in head.fields where !field.isRemoved {
        let value = head.bytes(field.value)
        switch policy.carrier {
        case .header:
          guard head.bytes(field.name).equalsIgnoringCase(name) else { continue }
          if let token = token(value, now: now) { return token }
        case .cookie:
          guard field.token == .cookie else { continue }
          // Of one name there may be several, for different paths, and not all of them are ours.
          var found: SessionToken?
          CookieList.forEach(value) { cookie, value in
            if found == nil, cookie.equals(name) { found = token(value, now: now) }
          }
          if let found { return found }
        }
      }
      return nil
    }
  }

  private func token(_ text: UnsafeRawBufferPointer, now: UInt32) -> SessionToken? {
    guard let token = SessionToken(text, policy.key), lasts(token, now: now) else { return nil }
    return token
  }

  /// Clocks differ between proxies: a time that is still to come counts as the present.
  private func lasts(_ token: SessionToken, now: UInt32) -> Bool {
    func isOver(_ limit: TimeSpan?, since start: UInt32) -> Bool {
      guard let limit, now > start else { return false }
      return Int64(now - start) * 1_000_000_000 >= limit.nanoseconds
    }
    return !isOver(policy.absoluteTimeout, since: token.began) && !isOver(policy.idleTimeout, since: token.used)
  }

  package func tag(of address: SocketAddress, in backend: ServicePort) -> UInt64 {
    SessionToken.tag(of: address, in: backend, policy.key)
  }

  // MARK: - Answers

  /// The token that the client of an answer is told; nil when it has the right one already. `known` is what its request
  /// brought, and still stands for the endpoint that answered.
  package func next(after known: SessionToken?, endpoint: @autoclosure () -> UInt64, now: UInt32) -> SessionToken? {
    guard var token = known else { return SessionToken(began: now, used: now, endpoint: endpoint()) }
    // Without an idle time-out nobody asks when it was used.
    guard policy.idleTimeout != nil, now > token.used else { return nil }
    token.used = now
    return token
  }

  /// Tells the client. `isTLS`: its connection is encrypted.
  package func write(_ token: SessionToken, to head: MessageHead, isTLS: Bool, now: UInt32) {
    let text = token.text(policy.key)
    switch policy.carrier {
    case .header(let field):
      // What the application calls so is not the session's.
      name.withUnsafeBytes { head.remove(named: $0) }
      head.append(name: field, value: text)
    case .cookie(let cookie):
      var value = "\(cookie.name)=\(text)"
      if cookie.isPermanent, let limit = policy.absoluteTimeout {
        let age = now > token.began ? Int64(now - token.began) : 0
        value += "; Max-Age=\(max(1, limit.nanoseconds / 1_000_000_000 - age))"
      }
      value += "; Path=\(cookie.path); HttpOnly; SameSite=Strict"
      head.append(name: "set-cookie", value: isTLS ? value + "; Secure" : value)
    }
  }
}
