internal import COpenSSL
internal import Glibc

// Trust that changes while the proxy runs. Contexts stay, and with them pools and the connections in them: what an added anchor
// changes is only whom the next handshake believes.
extension TLSContext {
  /// Believes `next` from the next handshake on. Sessions of before do not resume: their peers show their chain again.
  package func replaceTrust(_ next: PeerTrust) {
    guard let trust, trust !== next else { return }
    guard (try? install(next)) != nil else { return }
    setSessionScope()
    forgetSessions()
  }

  func install(_ trust: PeerTrust) throws(TLSContextError) {
    guard let store = X509_STORE_new() else { throw .outOfMemory("X509_STORE_new") }
    for anchor in trust.anchors where X509_STORE_add_cert(store, anchor) != 1 {
      X509_STORE_free(store)
      throw .outOfMemory("X509_STORE_add_cert")
    }
    Self.setFlags(of: store)
    // The context owns it; verification is done when the call that does it returns, so none can be under way in the old one.
    SSL_CTX_set_cert_store(raw, store)
    self.trust = trust
  }

  /// Validity is judged by our verifier, which allows for clock skew. An intermediate may be an anchor.
  static func setFlags(of store: OpaquePointer?) {
    X509_STORE_set_flags(store, UInt(X509_V_FLAG_NO_CHECK_TIME) | UInt(X509_V_FLAG_PARTIAL_CHAIN))
  }

  /// A session resumes under the same trust and the same certificate only: with others, peers show their chain again.
  func setSessionScope() {
    let scope = (trust?.digest ?? []) + configuration.chainPEM
    var digest = [UInt8](repeating: 0, count: 32)
    SHA256(scope, scope.count, &digest)
    SSL_CTX_set_session_id_context(raw, digest, 32)
  }

  /// Renegotiation is refused by OpenSSL with a warning, after which the client may go on. We end the connection.
  func watchConduct() {
    guard configuration.role == .server, configuration.minimumVersion == .tls12 else { return }
    SSL_CTX_set_info_callback(raw) { ssl, type, value in
      guard apus_is_renegotiation_refusal(type, value) == 1, let ssl, let session = TLSSession.of(ssl) else { return }
      session.wasAskedToRenegotiate = true
    }
  }
}

// MARK: - Live sessions

/// What a live session's peer is worth under trust that was replaced since its handshake.
package enum PeerVerdict: Sendable {
  /// Not believed any more.
  case refused(TLSFailure, String)
  /// Nothing speaks against it, but what proved it is gone: its anchor was removed, or it resumed an earlier session, whose chain nobody keeps. A
  /// new handshake will tell.
  case unproven
}

extension TLSSession {
  /// Nil when the peer is believed under `next` as it was before.
  func judge(by next: PeerTrust) -> PeerVerdict? {
    guard let trust, trust !== next, let leaf = SSL_get0_peer_certificate(ssl) else { return nil }
    if let identity = peerIdentity, let failure = next.denial(of: identity) { return .refused(failure.0, failure.1) }
    guard let chain = SSL_get0_verified_chain(ssl), apus_chain_count(chain) > 0 else {
      if let failure = next.revocation(of: leaf) { return .refused(failure.0, failure.1) }
      return next.coversChains(of: trust) ? nil : .unproven
    }
    let count = apus_chain_count(chain)
    for index in 0..<count {
      guard let certificate = apus_chain_at(chain, index) else { continue }
      if let failure = next.revocation(of: certificate) { return .refused(failure.0, failure.1) }
    }
    guard let top = apus_chain_at(chain, count - 1) else { return nil }
    return next.holds(anchor: top) ? nil : .unproven
  }
}

extension Worker {
  /// Has every connection that believes workloads' identities believe `trust`, and calls `report` for those whose peers are not
  /// proven under it. One that is let live after `.unproven` is reported again by the next call.
  package func judgePeers(by trust: PeerTrust, _ report: (Connection, PeerVerdict) -> Void) {
    var judged: [(Connection, PeerVerdict)] = []
    forEachConnection { connection in
      guard let session = connection.session, session.context.configuration.requiresWorkloadIdentity else { return }
      session.context.replaceTrust(trust)
      guard session.isEstablished else { return }
      switch session.judge(by: trust) {
      case nil: session.trust = trust
      case let verdict?: judged.append((connection, verdict))
      }
    }
    for (connection, verdict) in judged { report(connection, verdict) }
  }
}
