/// Why a TLS session could not be made or went wrong: one value per metric label (`reason`).
package enum TLSFailure: String, Hashable, Sendable, CaseIterable, CustomStringConvertible {
  /// The peer's certificate, or one above it, is past its end by more than the allowed clock skew.
  case expired
  /// The peer's certificate, or one above it, begins later than the allowed clock skew.
  case notYetValid = "not_yet_valid"
  /// The chain does not end in a trust anchor.
  case unknownAuthority = "unknown_authority"
  /// A good certificate of another workload than the one called.
  case identityMismatch = "identity_mismatch"
  /// A good certificate of a server outside the mesh, for other names than the one called.
  case nameMismatch = "name_mismatch"
  /// A good certificate of another trust domain.
  case wrongTrustDomain = "wrong_trust_domain"
  /// The certificate, or its issuer's, is on a revocation list or among the denied serial numbers.
  case revoked
  /// The identity is denied.
  case identityDenied = "identity_denied"
  /// A key that is too short or of a kind that is not taken, or a signature with a broken digest.
  case weakKey = "weak_key"
  /// An authority signed a name that it may not sign.
  case nameConstraint = "name_constraint"
  /// The peer sent no certificate.
  case noCertificate = "no_certificate"
  /// Not exactly one URI among the alternative names, or not the SPIFFE form of this mesh.
  case malformedIdentity = "malformed_identity"
  /// The certificate is not meant for this use (key usage, extended key usage, CA flag).
  case wrongUsage = "wrong_usage"
  /// No protocol in common (ALPN).
  case noCommonProtocol = "no_common_protocol"
  /// The peer speaks no version of TLS that is taken here, or was made to believe that we do not speak a better one.
  case unsupportedVersion = "unsupported_version"
  /// The peer sent early data (0-RTT), which could be a replay and which nobody was invited to send.
  case earlyData = "early_data"
  /// The peer asked to renegotiate, which TLS 1.3 has not and TLS 1.2 should not have.
  case renegotiation
  /// As many handshakes wait as may (`HandshakeGate`).
  case tooManyHandshakes = "too_many_handshakes"
  /// The peer refused us with an alert; the detail names it.
  case refusedByPeer = "refused_by_peer"
  /// Anything else in the protocol: not TLS at all, another version, a broken record.
  case protocolError = "protocol_error"
  case handshakeTimeout = "handshake_timeout"

  package var description: String { rawValue }
}
