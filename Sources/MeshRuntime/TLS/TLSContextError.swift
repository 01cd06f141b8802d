internal import COpenSSL

/// Why a TLS context, key or certificate could not be made. The text tells an operator what to check.
package enum TLSContextError: Error, Hashable, Sendable, CustomStringConvertible {
  case unreadableKey(String)
  case unreadableCertificate(String)
  case noTrustAnchors
  case unreadableRevocationList(String)
  case keyDoesNotMatchCertificate
  case missingCertificate
  case invalidProtocolList
  case outOfMemory(String)

  package var description: String {
    switch self {
    case .unreadableKey(let detail):
      "the private key cannot be read (\(detail)); it must be an unencrypted PKCS#8 key, PEM or DER"
    case .unreadableCertificate(let detail):
      "a certificate cannot be read (\(detail)); check for a cut-off or mixed-up PEM file"
    case .noTrustAnchors:
      "there is no trust anchor; check that the trust anchor file holds at least one PEM certificate"
    case .unreadableRevocationList(let detail):
      "a certificate revocation list cannot be used (\(detail)); it must be a full list of one issuer, PEM"
    case .keyDoesNotMatchCertificate:
      "the private key does not belong to the first certificate of the chain; was only one of the two renewed?"
    case .missingCertificate:
      "a server needs a key and a certificate chain; has the workload's certificate been issued yet?"
    case .invalidProtocolList:
      "ALPN names must have 1 to 255 bytes"
    case .outOfMemory(let call):
      "OpenSSL failed in \(call)"
    }
  }
}

/// The calling thread's error queue of OpenSSL.
enum OpenSSLErrors {
  /// The last error as text; empties the queue.
  static func take() -> String {
    let code = ERR_peek_last_error()
    ERR_clear_error()
    guard code != 0 else { return "no detail" }
    if let reason = ERR_reason_error_string(code) { return String(cString: reason) }
    return "error \(code)"
  }
}
