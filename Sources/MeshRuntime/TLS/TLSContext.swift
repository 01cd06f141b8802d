internal import COpenSSL
internal import Glibc
package import MeshCore

/// What a TLS context is made from; Sendable, so that one value serves every worker.
package struct TLSConfiguration: Sendable {
  package enum Role: Sendable { case client, server }
  /// The oldest version spoken; 1.3 is always offered.
  package enum Version: Sendable { case tls12, tls13 }

  package var role: Role
  /// A server needs key and chain; a client without them cannot answer a request for its certificate.
  package var key: WorkloadKey?
  /// Own certificate first, then intermediates.
  package var chainPEM: [UInt8]
  package var trustAnchorsPEM: [UInt8]
  /// In the place of `trustAnchorsPEM`: parsed already, and with what is revoked.
  package var trust: PeerTrust?
  /// Of workload identities; nil for any that an anchor vouches for.
  package var trustDomain: String?
  /// ALPN names in order of preference. A server with a list refuses clients that share none; so does a client.
  package var protocols: [String]
  package var ticketKey: TLSTicketKey?
  /// A server asks for a client certificate and refuses a client without one.
  package var requiresClientCertificate = true
  /// The peer's certificate must name one workload of a mesh. Else a client goes by `ServerNames`, and to a server any
  /// certificate below an anchor will do.
  package var requiresWorkloadIdentity = true
  /// Of a client: the authorities that the machine trusts (OpenSSL's default paths, or `SSL_CERT_FILE` and `SSL_CERT_DIR`) in the
  /// place of `trustAnchorsPEM`.
  package var trustsSystem = false
  /// A peer that takes no part in ALPN is refused.
  package var requiresProtocol = true
  package var minimumVersion = Version.tls13
  /// How far two machines' clocks may differ when validity is judged.
  package var clockSkew = TimeSpan.seconds(20)

  package init(
    role: Role, key: WorkloadKey?, chainPEM: [UInt8] = [], trustAnchorsPEM: [UInt8], protocols: [String] = [],
    ticketKey: TLSTicketKey? = nil
  ) {
    self.role = role
    self.key = key
    self.chainPEM = chainPEM
    self.trustAnchorsPEM = trustAnchorsPEM
    self.protocols = protocols
    self.ticketKey = ticketKey
  }
}

/// TLS settings shared by the sessions of one worker and role, and a client's sessions to resume.
///
/// Confined to the loop that uses it. To renew a certificate, make a new context and use it for new connections;
/// those alive keep the old. Trust is replaced in place (TLSContext+Trust.swift). No early data. Resumption and its limits:
/// TLSContext+Resumption.swift.
package final class TLSContext {
  package let configuration: TLSConfiguration
  let raw: OpaquePointer
  /// ALPN wire form: each name behind its length.
  let protocolList: [UInt8]
  /// A client's sessions to resume, at most `maximumSessions`.
  package internal(set) var sessions: [SessionKey: [OpaquePointer]] = [:]
  var sessionCount = 0
  /// A server's; freed after `raw`.
  private(set) var ticketKeys: UnsafeMutablePointer<apus_ticket_keys>?
  /// Nil when no peer shows a certificate, or the machine's authorities count.
  package internal(set) var trust: PeerTrust?
  /// End of the own certificate's validity, seconds since 1970.
  private(set) var certificateEnd = Int64.max

  package init(_ configuration: TLSConfiguration) throws(TLSContextError) {
    guard configuration.role == .client || configuration.key != nil && !configuration.chainPEM.isEmpty else {
      throw .missingCertificate
    }
    var list: [UInt8] = []
    for name in configuration.protocols {
      guard (1...255).contains(name.utf8.count) else { throw .invalidProtocolList }
      list.append(UInt8(name.utf8.count))
      list += name.utf8
    }
    guard let raw = SSL_CTX_new(configuration.role == .client ? TLS_client_method() : TLS_server_method()) else {
      throw .outOfMemory("SSL_CTX_new")
    }
    self.configuration = configuration
    self.raw = raw
    protocolList = list
    try configureProtocol()
    try configureTrust()
    try configureCertificate()
    try configureSessions()
    watchConduct()
    configureNegotiation()
    ERR_clear_error()
  }

  deinit {
    forgetSessions()
    SSL_CTX_free(raw)
    apus_ticket_keys_free(ticketKeys)
  }

  // MARK: - Set-up

  private func configureProtocol() throws(TLSContextError) {
    let versions =
      switch configuration.minimumVersion {
      case .tls12: apus_ssl_ctx_tls12_and_above(raw)
      case .tls13: apus_ssl_ctx_tls13_only(raw)
      }
    let isPublicClient = configuration.role == .client && !configuration.requiresWorkloadIdentity
    let groups = (isPublicClient ? TLSLibrary.publicGroups : TLSLibrary.groups).joined(separator: ":")
    guard versions == 1, apus_ssl_ctx_set_groups(raw, groups) == 1 else {
      throw .outOfMemory("SSL_CTX_set_min_proto_version")
    }
    apus_ssl_ctx_set_modes(raw)
    SSL_CTX_set_default_read_buffer_len(raw, 32 * 1024)
  }

  private func configureTrust() throws(TLSContextError) {
    guard configuration.role == .client || configuration.requiresClientCertificate else {
      return SSL_CTX_set_verify(raw, SSL_VERIFY_NONE, nil)
    }
    if configuration.trustsSystem {
      // Authorities are read from the directory as handshakes name them.
      guard SSL_CTX_set_default_verify_paths(raw) == 1 else { throw .outOfMemory("SSL_CTX_set_default_verify_paths") }
      Self.setFlags(of: SSL_CTX_get_cert_store(raw))
    } else if let trust = configuration.trust {
      try install(trust)
    } else {
      try install(PeerTrust(anchorsPEM: configuration.trustAnchorsPEM))
    }
    // A client ignores the second flag.
    SSL_CTX_set_verify(raw, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, verifyPeer)
    SSL_CTX_set_verify_depth(raw, 4)
  }

  private func configureCertificate() throws(TLSContextError) {
    guard let key = configuration.key, !configuration.chainPEM.isEmpty else { return }
    let chain = try X509List(pem: configuration.chainPEM)
    guard let leaf = chain.items.first else { throw .unreadableCertificate("no certificate in the chain") }
    certificateEnd = apus_asn1_time(X509_get0_notAfter(leaf))
    guard SSL_CTX_use_certificate(raw, leaf) == 1 else { throw .unreadableCertificate(OpenSSLErrors.take()) }
    for intermediate in chain.items.dropFirst() { _ = apus_ssl_ctx_add_chain(raw, intermediate) }
    let context = raw
    let used = key.withKey { SSL_CTX_use_PrivateKey(context, $0) == 1 && SSL_CTX_check_private_key(context) == 1 }
    guard used == true else {
      ERR_clear_error()
      throw .keyDoesNotMatchCertificate
    }
  }

  private func configureSessions() throws(TLSContextError) {
    setSessionScope()
    SSL_CTX_set_timeout(raw, Self.sessionLifetime)
    switch configuration.role {
    case .client:
      apus_ssl_ctx_client_sessions(raw)
      SSL_CTX_sess_set_new_cb(raw, rememberSession)
    case .server:
      // Tickets only: sessions of TLS 1.2 clients without tickets would fill our memory.
      apus_ssl_ctx_no_sessions(raw)
      guard let key = configuration.ticketKey else {
        SSL_CTX_set_num_tickets(raw, 0)
        return
      }
      SSL_CTX_set_num_tickets(raw, 1)
      SSL_CTX_set_session_ticket_cb(raw, limitTicketLifetime, judgeTicket, nil)
      let context = raw
      ticketKeys = key.secret.withBytes { apus_ticket_keys_new(context, $0.baseAddress) }
      guard ticketKeys != nil else { throw .outOfMemory("SSL_CTX_set_tlsext_ticket_key_evp_cb") }
    }
  }

  private func configureNegotiation() {
    guard !protocolList.isEmpty else { return }
    switch configuration.role {
    case .client: SSL_CTX_set_alpn_protos(raw, protocolList, UInt32(protocolList.count))
    // The context outlives its sessions: each session holds it.
    case .server: SSL_CTX_set_alpn_select_cb(raw, selectProtocol, nil)
    }
  }
}

// MARK: - OpenSSL's callbacks

private func verifyPeer(_ isGood: Int32, _ store: OpaquePointer?) -> Int32 {
  guard let store, let raw = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()),
    let session = TLSSession.of(OpaquePointer(raw))
  else { return 0 }
  return session.verify(isGood: isGood == 1, store: store) ? 1 : 0
}

private func selectProtocol(
  _ ssl: OpaquePointer?, _ out: UnsafeMutablePointer<UnsafePointer<UInt8>?>?, _ length: UnsafeMutablePointer<UInt8>?,
  _ offered: UnsafePointer<UInt8>?, _ offeredLength: UInt32, _ argument: UnsafeMutableRawPointer?
) -> Int32 {
  guard let ssl, let session = TLSSession.of(ssl), let out, let length, let offered else {
    return SSL_TLSEXT_ERR_ALERT_FATAL
  }
  let ours = session.context.protocolList
  return ours.withUnsafeBufferPointer { list in
    var chosen: UnsafeMutablePointer<UInt8>?
    let result = SSL_select_next_proto(
      &chosen, length, list.baseAddress, UInt32(list.count), offered, offeredLength)
    guard result == OPENSSL_NPN_NEGOTIATED, let chosen else { return SSL_TLSEXT_ERR_ALERT_FATAL }
    // `chosen` points into our list; give OpenSSL the same bytes inside the client's, which outlive this call.
    return pointIntoOffer(out, name: chosen, length: length.pointee, offered, Int(offeredLength))
  }
}

private func pointIntoOffer(
  _ out: UnsafeMutablePointer<UnsafePointer<UInt8>?>, name: UnsafePointer<UInt8>, length: UInt8,
  _ offered: UnsafePointer<UInt8>, _ offeredLength: Int
) -> Int32 {
  var at = 0
  while at < offeredLength {
    let size = Int(offered[at])
    if size == Int(length), at + 1 + size <= offeredLength, memcmp(offered + at + 1, name, size) == 0 {
      out.pointee = offered + at + 1
      return SSL_TLSEXT_ERR_OK
    }
    at += 1 + size
  }
  return SSL_TLSEXT_ERR_ALERT_FATAL
}
