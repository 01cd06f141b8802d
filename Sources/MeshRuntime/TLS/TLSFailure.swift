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
  /// The peer sent no certificate.
  case noCertificate = "no_certificate"
  /// Not exactly one URI among the alternative names, or not the SPIFFE form of this mesh.
  case malformedIdentity = "malformed_identity"
  /// The certificate is not meant for this use (key usage, extended key usage, CA flag).
  case wrongUsage = "wrong_usage"
  /// No protocol in common (ALPN).
  case noCommonProtocol = "no_common_protocol"
  /// The peer refused us with an alert; the detail names it.
  case refusedByPeer = "refused_by_peer"
  /// Anything else in the protocol: not TLS at all, another version, a broken record.
  case protocolError = "protocol_error"
  case handshakeTimeout = "handshake_timeout"

  package var description: String { rawValue }
}
