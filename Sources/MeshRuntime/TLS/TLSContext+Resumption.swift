internal import COpenSSL
package import MeshCore

// Resumption: a server hands out tickets and keeps nothing, a client keeps the tickets it was given.
//
// Only with a fresh key exchange (psk_dhe_ke), never with early data. A ticket resumes within one hour, before either
// certificate ends, under the same trust (anchors and revocations) and the same server certificate, and with a ticket key that has been
// rotated out at most once. What fails one of these goes on as a full handshake.
extension TLSContext {
  /// Seconds; also how often ticket keys are to be rotated.
  package static let sessionLifetime = 3600
  /// Sessions a client remembers, all peers together.
  package static let maximumSessions = 1024
  /// Tickets kept for one peer. A ticket is used once (RFC 8446, appendix C.4), and connections that open together need
  /// one each.
  static let maximumSessionsPerPeer = 4

  package struct SessionKey: Hashable {
    package var address: SocketAddress
    /// Of a workload of the mesh.
    package var identity: SPIFFEID?
    /// A session belongs to the name that it was begun with (RFC 8446, section 4.6.1).
    package var serverName: String?

    package init(address: SocketAddress, identity: SPIFFEID?, serverName: String? = nil) {
      self.address = address
      self.identity = identity
      self.serverName = serverName
    }
  }

  // MARK: - Server

  /// Seals new tickets with `key`; the key before it still opens what it sealed.
  package func rotateTicketKey(to key: TLSTicketKey) {
    guard let ticketKeys else { return }
    key.secret.withBytes { apus_ticket_keys_rotate(ticketKeys, $0.baseAddress) }
  }

  /// How long a session with this peer may be resumed, in seconds; 0 when one of the two certificates has ended.
  func lifetime(peer certificate: OpaquePointer?) -> Int {
    let now = WallClock.now / 1000
    let peerEnd = certificate.map { apus_asn1_time(X509_get0_notAfter($0)) } ?? .max
    let end = min(certificateEnd, peerEnd)
    return end > now ? min(Self.sessionLifetime, Int(end - now)) : 0
  }

  // MARK: - Client

  /// The number of sessions that could be resumed.
  package var rememberedSessions: Int { sessionCount }

  /// The newest session with the peer, which is the caller's from here on.
  func takeSession(for key: SessionKey) -> OpaquePointer? {
    guard let session = sessions[key]?.popLast() else { return nil }
    sessionCount -= 1
    if sessions[key]?.isEmpty == true { sessions[key] = nil }
    // An ended certificate would fail the handshake after it was resumed.
    guard lifetime(peer: SSL_SESSION_get0_peer(session)) > 0 else {
      SSL_SESSION_free(session)
      forgetSessions(for: key)
      return nil
    }
    return session
  }

  /// Takes over the caller's reference.
  package func remember(_ session: OpaquePointer, for key: SessionKey) {
    if let kept = sessions[key], kept.count >= Self.maximumSessionsPerPeer {
      SSL_SESSION_free(kept[0])
      sessions[key]?.removeFirst()
      sessionCount -= 1
    } else if sessionCount >= Self.maximumSessions, let victim = sessions.keys.first {
      forgetSessions(for: victim)
    }
    sessions[key, default: []].append(session)
    sessionCount += 1
  }

  func forgetSessions(for key: SessionKey) {
    guard let kept = sessions.removeValue(forKey: key) else { return }
    sessionCount -= kept.count
    for session in kept { SSL_SESSION_free(session) }
  }

  package func forgetSessions() {
    for key in Array(sessions.keys) { forgetSessions(for: key) }
  }
}

// MARK: - OpenSSL's callbacks

func rememberSession(_ ssl: OpaquePointer?, _ resumable: OpaquePointer?) -> Int32 {
  guard let ssl, let resumable, let session = TLSSession.of(ssl), let key = session.sessionKey,
    SSL_SESSION_is_resumable(resumable) == 1,
    // Begun under other trust: OpenSSL would refuse it, and so should we.
    session.trust === session.context.trust
  else { return 0 }
  session.context.remember(resumable, for: key)
  return 1
}

/// Before a ticket is sealed. The time goes into the ticket and, as a hint, to the client.
func limitTicketLifetime(_ ssl: OpaquePointer?, _ argument: UnsafeMutableRawPointer?) -> Int32 {
  guard let ssl, let session = TLSSession.of(ssl), let resumable = SSL_get_session(ssl) else { return 0 }
  let lifetime = session.context.lifetime(peer: SSL_SESSION_get0_peer(resumable))
  // Zero would mean "unspecified" to TLS 1.2; `mayResume` refuses the ticket of an ended certificate at any rate.
  SSL_SESSION_set_timeout(resumable, max(1, lifetime))
  return 1
}

/// After a ticket was opened, or could not be.
func judgeTicket(
  _ ssl: OpaquePointer?, _ resumable: OpaquePointer?, _ keyName: UnsafePointer<UInt8>?, _ keyNameLength: Int,
  _ status: SSL_TICKET_STATUS, _ argument: UnsafeMutableRawPointer?
) -> SSL_TICKET_RETURN {
  guard status == SSL_TICKET_SUCCESS || status == SSL_TICKET_SUCCESS_RENEW, let ssl, let resumable,
    let session = TLSSession.of(ssl), session.mayResume(resumable)
  else { return SSL_TICKET_RETURN_IGNORE_RENEW }
  // A ticket is used once: the client gets a new one for the one it used.
  return SSL_TICKET_RETURN_USE_RENEW
}
