import MeshCore
import MeshHTTP
import MeshPolicy
import MeshRuntime
import MeshTelemetry

/// What the requests for one port of the workload must prove by tokens. Confined to one worker loop.
///
/// A token that was verified before costs a hash of its bytes, a comparison and a look at the time, and allocates nothing.
final class TokenGate {
  private struct Rule {
    let issuer: TokenIssuer
    let keys: WorkerKeys
    /// In the gate's places.
    let places: Set<Int>
  }

  private unowned(unsafe) let worker: ProxyWorker
  private let isRequired: Bool
  private let rules: [Rule]
  private let places: TokenPlaces
  /// Fields that only this proxy writes.
  private let ownFields: [[UInt8]]
  private let id: UInt64
  private var nextLog = Instant(nanoseconds: 0)

  /// Nil without a policy, so that whoever has none pays for one look.
  init?(_ policy: TokenPolicy?, worker: ProxyWorker) {
    guard let policy else { return nil }
    self.worker = worker
    isRequired = policy.isRequired
    var locations: [TokenLocation] = []
    for location in policy.issuers.flatMap(\.locations) where !locations.contains(location) {
      locations.append(location)
    }
    // A policy without a rule accepts no token: there is no place where one would be looked for.
    places = TokenPlaces(locations)
    rules = policy.issuers.map { issuer in
      Rule(
        issuer: issuer, keys: worker.tokens.keys(of: issuer.keys),
        places: Set(issuer.locations.compactMap(locations.firstIndex(of:))))
    }
    let own = policy.issuers.flatMap(\.claimHeaders).map(\.header) + policy.issuers.compactMap(\.payloadHeader)
    ownFields = Set(own).sorted().map { Array($0.utf8) }
    id = worker.tokens.nextGate()
  }

  /// True: the exchange was answered.
  func refuses(_ exchange: Exchange) -> Bool {
    let head = exchange.request
    removeOwnFields(head)
    do throws(TokenRefusal) {
      // Whatever is inside of a tunnel, a request without a token or a field that only this proxy writes, nobody would look at it.
      if exchange.isTunnel { throw .tunnel }
      guard let found = try places.find(in: head) else {
        if isRequired { throw .absent }
        count(exchange, "none")
        return false
      }
      accept(try verify(found, exchange), found, exchange)
      return false
    } catch {
      refuse(exchange, error)
      return true
    }
  }

  // MARK: - Verifying

  private func verify(_ found: TokenPlaces.Found, _ exchange: Exchange) throws(TokenRefusal) -> VerifiedToken {
    let now = WallClock.now / 1_000
    let cache = worker.tokens.cache
    let hash = cache.hash(found.token)
    let verifier = id &<< 32 ^ worker.tokens.version
    if let known = cache.find(found.token, hash: hash, verifier: verifier),
      rules[known.rule].places.contains(found.index)
    {
      do throws(TokenRefusal) { try known.claims.checkTime(now) } catch {
        cache.remove(known)
        throw error
      }
      count(exchange, "cached")
      return known
    }
    let token = try UnverifiedToken(found.token)
    var refusal = TokenRefusal.issuer
    for (index, rule) in rules.enumerated() {
      guard rule.places.contains(found.index), token.issuer.elementsEqual(rule.issuer.issuer.utf8) else { continue }
      do throws(TokenRefusal) {
        let claims = try verify(token, found.token, rule, now: now)
        let verified = VerifiedToken(
          found.token, hash: hash, verifier: verifier, claims: claims, rule: index, headers: rule.issuer.claimHeaders,
          payloadHeader: rule.issuer.payloadHeader)
        cache.insert(verified)
        count(exchange, "valid")
        return verified
      } catch {
        // Of several rules of one issuer the first says why.
        if refusal == .issuer { refusal = error }
      }
    }
    throw refusal
  }

  private func verify(
    _ token: UnverifiedToken, _ text: UnsafeRawBufferPointer, _ rule: Rule, now: Int64
  ) throws(TokenRefusal) -> TokenClaims {
    guard let set = rule.keys.set else { throw .keysUnavailable }
    let candidates = set.candidates(token.algorithm, id: token.keyID)
    if candidates.isEmpty {
      if rule.keys.shouldTell(now: worker.loop.now) { worker.tokens.refresh(rule.keys.source) }
      throw .unknownKey
    }
    guard rule.keys.verifies(token, text, candidates) else { throw .signature }
    return try TokenClaims(token, rule.issuer, now: now)
  }

  // MARK: - The request that goes on

  private func accept(_ token: VerifiedToken, _ found: TokenPlaces.Found, _ exchange: Exchange) {
    exchange.token = token
    if !rules[token.rule].issuer.forwardsToken { places.remove(found.index, from: exchange.request) }
    token.write(to: exchange.request)
  }

  /// Of the head, and of trailers, which some applications add to it. One that takes `X_User` for `X-User`, as those behind CGI do, must
  /// not be told by anybody else either.
  func removeOwnFields(_ head: MessageHead) {
    if ownFields.isEmpty { return }
    for (index, field) in head.fields.enumerated() where !field.isRemoved {
      let name = head.bytes(field.name)
      if ownFields.contains(where: { Self.isSame(name, $0) }) { head.removeField(at: index) }
    }
  }

  private static func isSame(_ name: UnsafeRawBufferPointer, _ own: [UInt8]) -> Bool {
    guard name.count == own.count else { return false }
    for i in own.indices where fold(name[i]) != fold(own[i]) { return false }
    return true
  }

  private static func fold(_ byte: UInt8) -> UInt8 {
    byte == UInt8(ascii: "_") ? UInt8(ascii: "-") : byte.asciiLowercased
  }

  // MARK: - The request that does not

  private func refuse(_ exchange: Exchange, _ refusal: TokenRefusal) {
    count(exchange, refusal.label)
    exchange.refusedToken = refusal
    if worker.loop.now >= nextLog {
      nextLog = worker.loop.now + .seconds(1)
      let peer = exchange.downstream.peerAddress?.description ?? "an unknown address"
      let service = exchange.inboundPort?.config.service.description ?? ""
      worker.log?.warning("token refused (\(refusal.label)): \(refusal.text); a request for \(service) from \(peer)")
    }
    exchange.fail(.token(refusal))
  }

  private func count(_ exchange: Exchange, _ result: StaticString) {
    guard let port = exchange.inboundPort else { return }
    worker.metrics.countToken(service: port.serviceLabel, namespace: port.namespaceLabel, result: result)
  }
}

extension Exchange {
  /// What the request's token says; nil without one.
  var verifiedClaims: ClaimSet? { token?.claims.set }
}

// MARK: - The answer

extension ProxyError {
  /// 401, as RFC 6750, section 3.1 has it. Two tokens are a malformed request, and keys that cannot be had are not the client's fault.
  static func token(_ refusal: TokenRefusal) -> ProxyError {
    let status: UInt16 =
      switch refusal {
      case .several: 400
      case .tunnel: 403
      case .keysUnavailable: 503
      default: 401
      }
    var error = ProxyError(
      status: status, flag: .unauthorized, origin: refusal == .keysUnavailable ? .internal : .downstream, retry: .no,
      reason: refusal.text)
    error.chosenGRPCStatus = refusal == .keysUnavailable ? .unavailable : .unauthenticated
    error.tokenRefusal = refusal
    return error
  }
}

extension TokenRefusal {
  /// `WWW-Authenticate` (RFC 6750, section 3). Who has sent no token is told nothing but to send one.
  func write(to head: MessageHead, for exchange: Exchange) {
    guard self != .keysUnavailable, self != .tunnel else { return }
    let realm =
      exchange.inboundPort.map { "\($0.config.service.service.name).\($0.config.service.service.namespace)" } ?? ""
    var value = "Bearer realm=\"\(realm)\""
    if self != .absent {
      let code = self == .several ? "invalid_request" : "invalid_token"
      value += ", error=\"\(code)\", error_description=\"\(text)\""
    }
    value.withUTF8 { head.append(.wwwAuthenticate, UnsafeRawBufferPointer($0)) }
  }
}
