internal import COpenSSL
internal import Glibc
import MeshCore

// Judging the peer's certificate, and finding the one name for what went wrong.
extension TLSSession {
  // MARK: - Certificates

  /// Called by OpenSSL for each certificate of the chain, from the anchor down, once it has checked it.
  func verify(isGood: Bool, store: OpaquePointer) -> Bool {
    if judge(isGood: isGood, store: store) { return true }
    if let leaf = X509_STORE_CTX_get0_cert(store) { verifyFailure?.1 += Self.claim(of: leaf) }
    return false
  }

  /// What a refused certificate says of itself, for the log: unproven, and short whatever it holds.
  private static func claim(of leaf: OpaquePointer) -> String {
    let identity = PeerIdentity.read(leaf).identity.map { "claims \($0), " } ?? ""
    return " (\(identity)serial number \(SerialNumber(leaf).description.prefix(64)))"
  }

  private func judge(isGood: Bool, store: OpaquePointer) -> Bool {
    guard isGood else {
      let code = X509_STORE_CTX_get_error(store)
      verifyFailure = (Self.failure(ofVerifyError: code), Self.text(ofVerifyError: code))
      return false
    }
    guard let certificate = X509_STORE_CTX_get_current_cert(store) else { return false }
    if let failure = checkValidity(certificate) {
      verifyFailure = failure
      X509_STORE_CTX_set_error(
        store, failure.0 == .expired ? X509_V_ERR_CERT_HAS_EXPIRED : X509_V_ERR_CERT_NOT_YET_VALID)
      return false
    }
    if let failure = context.trust?.revocation(of: certificate) {
      verifyFailure = failure
      X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_REVOKED)
      return false
    }
    guard X509_STORE_CTX_get_error_depth(store) == 0 else { return true }
    if let failure = checkIdentity(certificate) {
      verifyFailure = failure
      X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION)
      return false
    }
    return true
  }

  /// Once the handshake is done: what the peer did in it, and what has become of trust since it began.
  func judgeConduct() -> (TLSFailure, String)? {
    if !isClient, SSL_get_early_data_status(ssl) == SSL_EARLY_DATA_REJECTED {
      return (.earlyData, "the peer sent early data, which no ticket of ours allows")
    }
    guard let now = context.trust, now !== trust else { return nil }
    switch judge(by: now) {
    case nil: trust = now
    case .refused(let failure, let detail): return (failure, detail)
    case .unproven: return (.unknownAuthority, "trust was replaced during the handshake; a new one will tell")
    }
    return nil
  }

  /// A resumed session brings no chain; its certificate was verified when the session began, under the same anchors
  /// (session id context), and is judged again for identity and time. A server has done so before it took the ticket
  /// (`mayResume`); doing it here too keeps the rule in one place for both roles.
  func verifyResumedPeer(isResumed: Bool) -> (TLSFailure, String)? {
    guard isClient || context.configuration.requiresClientCertificate else { return nil }
    guard let certificate = SSL_get0_peer_certificate(ssl) else {
      return (.noCertificate, "the peer sent no certificate")
    }
    guard isResumed else { return nil }
    return checkValidity(certificate) ?? context.trust?.revocation(of: certificate) ?? checkIdentity(certificate)
  }

  /// Whether a session out of a ticket may go on without a full handshake. If not, nothing is lost: the peer shows its
  /// certificate as if it had no ticket.
  func mayResume(_ resumable: OpaquePointer) -> Bool {
    let peer = SSL_SESSION_get0_peer(resumable)
    guard context.lifetime(peer: peer) > 0 else { return false }
    guard context.configuration.requiresClientCertificate else { return true }
    guard let certificate = peer else { return false }
    return checkValidity(certificate) == nil && context.trust?.revocation(of: certificate) == nil
      && checkIdentity(certificate) == nil
  }

  private func checkValidity(_ certificate: OpaquePointer) -> (TLSFailure, String)? {
    let now = WallClock.now / 1000
    let skew = context.configuration.clockSkew.nanoseconds / 1_000_000_000
    let begin = apus_asn1_time(X509_get0_notBefore(certificate))
    let end = apus_asn1_time(X509_get0_notAfter(certificate))
    guard begin != .min, end != .min else { return (.protocolError, "the certificate's validity cannot be read") }
    if now - skew > end {
      return (.expired, "the certificate ended \(now - end) s ago; is it renewed, and are both clocks right?")
    }
    if now + skew < begin {
      return (.notYetValid, "the certificate begins in \(begin - now) s; are both clocks right?")
    }
    return nil
  }

  private func checkIdentity(_ certificate: OpaquePointer) -> (TLSFailure, String)? {
    guard context.configuration.requiresWorkloadIdentity else { return isClient ? checkNames(certificate) : nil }
    guard apus_x509_is_svid_leaf(certificate) == 1 else {
      return (.wrongUsage, "it is an authority's certificate, or its key usage is not that of a workload's")
    }
    guard apus_x509_has_strong_key(certificate) == 1 else {
      return (.weakKey, "its key is none of ECDSA on a NIST curve, Ed25519, and RSA of 2,048 bits or more")
    }
    switch PeerIdentity.read(certificate) {
    case .malformed(let detail): return (.malformedIdentity, detail)
    case .valid(let identity):
      peerIdentity = identity
      if let domain = context.configuration.trustDomain, identity.trustDomain != domain {
        return (.wrongTrustDomain, "\(identity) is not of \(domain)")
      }
      if let failure = context.trust?.denial(of: identity) { return failure }
      guard let expectedIdentity, expectedIdentity != identity else { return nil }
      return (.identityMismatch, "expected \(expectedIdentity), the peer is \(identity)")
    }
  }

  /// A client that expects nothing trusts nobody.
  private func checkNames(_ certificate: OpaquePointer) -> (TLSFailure, String)? {
    let (hosts, uris) = (expectedNames?.hosts ?? [], expectedNames?.uris ?? [])
    for host in hosts {
      let isAddress = SocketAddress(host, defaultPort: 0) != nil
      let has =
        isAddress
        ? apus_x509_has_address(certificate, host) : apus_x509_has_host(certificate, host, host.utf8.count)
      if has == 1 { return nil }
    }
    for uri in uris where apus_x509_has_uri(certificate, uri, uri.utf8.count) == 1 { return nil }
    let names = withUnsafeTemporaryAllocation(byteCount: 512, alignment: 1) { room in
      let length = apus_x509_names(certificate, room.bindMemory(to: CChar.self).baseAddress, 512)
      return String(decoding: room[..<Int(length)], as: UTF8.self)
    }
    let expected = (hosts + uris).joined(separator: " or ")
    return (.nameMismatch, "expected \(expected), the certificate is for \(names.isEmpty ? "no name" : names)")
  }

  private static func failure(ofVerifyError code: Int32) -> TLSFailure {
    switch code {
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY,
      X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT,
      X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, X509_V_ERR_CERT_SIGNATURE_FAILURE, X509_V_ERR_CERT_UNTRUSTED,
      X509_V_ERR_AKID_SKID_MISMATCH, X509_V_ERR_CERT_CHAIN_TOO_LONG:
      return .unknownAuthority
    case X509_V_ERR_INVALID_PURPOSE, X509_V_ERR_INVALID_CA, X509_V_ERR_KEYUSAGE_NO_CERTSIGN,
      X509_V_ERR_KEYUSAGE_NO_DIGITAL_SIGNATURE, X509_V_ERR_PATH_LENGTH_EXCEEDED:
      return .wrongUsage
    case X509_V_ERR_EE_KEY_TOO_SMALL, X509_V_ERR_CA_KEY_TOO_SMALL, X509_V_ERR_CA_MD_TOO_WEAK,
      X509_V_ERR_EC_KEY_EXPLICIT_PARAMS:
      return .weakKey
    case X509_V_ERR_PERMITTED_VIOLATION, X509_V_ERR_EXCLUDED_VIOLATION, X509_V_ERR_SUBTREE_MINMAX,
      X509_V_ERR_UNSUPPORTED_CONSTRAINT_TYPE, X509_V_ERR_UNSUPPORTED_CONSTRAINT_SYNTAX,
      X509_V_ERR_UNSUPPORTED_NAME_SYNTAX:
      return .nameConstraint
    default: return .protocolError
    }
  }

  private static func text(ofVerifyError code: Int32) -> String {
    X509_verify_cert_error_string(Int(code)).map { String(cString: $0) } ?? "certificate error \(code)"
  }

  // MARK: - Errors

  func handshakeFailure() -> HandshakeOutcome {
    defer { ERR_clear_error() }
    if let verifyFailure { return .failed(verifyFailure.0, verifyFailure.1) }
    let code = ERR_peek_last_error()
    let reason = apus_err_reason(code)
    if state.pointee.error != 0 {
      return .failed(.protocolError, "the connection broke: \(RuntimeError.text(state.pointee.error))")
    }
    if code == 0 || reason == SSL_R_UNEXPECTED_EOF_WHILE_READING {
      return .failed(.protocolError, "the peer closed the connection during the handshake")
    }
    switch reason {
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
      return .failed(.noCertificate, "the peer sent no certificate; is it a mesh proxy with an issued identity?")
    case SSL_R_NO_APPLICATION_PROTOCOL:
      return .failed(.noCommonProtocol, "the peer offers none of \(context.configuration.protocols)")
    case SSL_R_UNSUPPORTED_PROTOCOL, SSL_R_VERSION_TOO_LOW, SSL_R_INAPPROPRIATE_FALLBACK:
      return .failed(.unsupportedVersion, "the peer speaks no version of TLS that is taken here")
    case SSL_R_EE_KEY_TOO_SMALL, SSL_R_CA_KEY_TOO_SMALL, SSL_R_CA_MD_TOO_WEAK, SSL_R_DH_KEY_TOO_SMALL:
      return .failed(.weakKey, Self.text(ofError: code))
    case SSL_R_HTTP_REQUEST:
      return .failed(.protocolError, "the peer speaks plain HTTP on a TLS port")
    default:
      return Self.alert(reason).map { .failed(.refusedByPeer, $0) }
        ?? .failed(.protocolError, Self.text(ofError: code))
    }
  }

  func dataFailure() -> CloseReason {
    defer { ERR_clear_error() }
    if state.pointee.error != 0 { return .established(state.pointee.error) }
    let code = ERR_peek_last_error()
    let reason = apus_err_reason(code)
    // End of file without close_notify may be a truncation attack (RFC 8446, section 6.1): never a clean end.
    if code == 0 || reason == SSL_R_UNEXPECTED_EOF_WHILE_READING { return .peerReset }
    if let alert = Self.alert(reason) { return .tls(.refusedByPeer, detail: alert) }
    return .tls(.protocolError, detail: Self.text(ofError: code))
  }

  /// OpenSSL reports a received alert as reason 1000 plus its number.
  private static func alert(_ reason: Int32) -> String? {
    guard (1000..<1256).contains(reason) else { return nil }
    let name = SSL_alert_desc_string_long(reason - 1000).map { String(cString: $0) } ?? "alert \(reason - 1000)"
    return "the peer answered with the alert \"\(name)\"; its log says why it refused our certificate or settings"
  }

  private static func text(ofError code: UInt) -> String {
    ERR_reason_error_string(code).map { String(cString: $0) } ?? "error \(code)"
  }
}
