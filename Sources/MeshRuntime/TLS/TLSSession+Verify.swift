internal import COpenSSL
internal import Glibc
import MeshCore

// Judging the peer's certificate, and finding the one name for what went wrong.
extension TLSSession {
  // MARK: - Certificates

  /// Called by OpenSSL for each certificate of the chain, from the anchor down, once it has checked it.
  func verify(isGood: Bool, store: OpaquePointer) -> Bool {
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
    guard X509_STORE_CTX_get_error_depth(store) == 0 else { return true }
    if let failure = checkIdentity(certificate) {
      verifyFailure = failure
      X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION)
      return false
    }
    return true
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
    return checkValidity(certificate) ?? checkIdentity(certificate)
  }

  /// Whether a session out of a ticket may go on without a full handshake. If not, nothing is lost: the peer shows its
  /// certificate as if it had no ticket.
  func mayResume(_ resumable: OpaquePointer) -> Bool {
    let peer = SSL_SESSION_get0_peer(resumable)
    guard context.lifetime(peer: peer) > 0 else { return false }
    guard context.configuration.requiresClientCertificate else { return true }
    guard let certificate = peer else { return false }
    return checkValidity(certificate) == nil && checkIdentity(certificate) == nil
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
    switch PeerIdentity.read(certificate) {
    case .malformed(let detail): return (.malformedIdentity, detail)
    case .valid(let identity):
      peerIdentity = identity
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
