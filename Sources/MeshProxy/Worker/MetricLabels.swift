import MeshCore
import MeshRuntime
import MeshTelemetry

extension TLSFailure {
  /// The metric label `reason`.
  var label: StaticString {
    switch self {
    case .expired: "expired"
    case .notYetValid: "not_yet_valid"
    case .unknownAuthority: "unknown_authority"
    case .identityMismatch: "identity_mismatch"
    case .nameMismatch: "name_mismatch"
    case .wrongTrustDomain: "wrong_trust_domain"
    case .revoked: "revoked"
    case .identityDenied: "identity_denied"
    case .weakKey: "weak_key"
    case .nameConstraint: "name_constraint"
    case .unsupportedVersion: "unsupported_version"
    case .earlyData: "early_data"
    case .renegotiation: "renegotiation"
    case .tooManyHandshakes: "too_many_handshakes"
    case .noCertificate: "no_certificate"
    case .malformedIdentity: "malformed_identity"
    case .wrongUsage: "wrong_usage"
    case .noCommonProtocol: "no_common_protocol"
    case .refusedByPeer: "refused_by_peer"
    case .protocolError: "protocol_error"
    case .handshakeTimeout: "handshake_timeout"
    }
  }
}

extension ResponseFlag {
  /// Reads the short code that a peer proxy sent.
  init?(_ code: UnsafeRawBufferPointer) {
    guard let flag = ResponseFlag.allCases.first(where: { code.equals($0.code) }) else { return nil }
    self = flag
  }
}
