import MeshRuntime
import MeshTelemetry

extension ProxyError {
  /// TLS to a server outside the mesh failed. The proxy's log has the details; a client is told what to look at.
  static func tls(_ failure: TLSFailure) -> ProxyError {
    ProxyError(
      status: 503, flag: .upstreamConnectionFailure, origin: .upstream, retry: .notSent, reason: text(of: failure))
  }

  private static func text(of failure: TLSFailure) -> StaticString {
    switch failure {
    case .expired: "TLS failure: the server's certificate has expired"
    case .notYetValid: "TLS failure: the server's certificate is not valid yet; are both clocks right?"
    case .unknownAuthority: "TLS failure: the server's certificate is of an authority that is not trusted here"
    case .nameMismatch: "TLS failure: the server's certificate is for other names than the one expected"
    case .wrongUsage: "TLS failure: the server's certificate is not meant for servers"
    case .noCertificate: "TLS failure: the server sent no certificate"
    case .noCommonProtocol: "TLS failure: the server speaks no protocol that its port should speak (ALPN)"
    case .refusedByPeer:
      "TLS failure: the server refused the connection; does it ask for a client certificate, or for another one?"
    case .handshakeTimeout: "TLS failure: the server did not finish the handshake in time; does it speak TLS there?"
    case .protocolError: "TLS failure: the server does not speak TLS there, or not TLS 1.2 or later"
    case .unsupportedVersion: "TLS failure: the server speaks no TLS 1.2 or later"
    case .weakKey: "TLS failure: the server's certificate has a key or signature that is too weak"
    case .revoked: "TLS failure: the server's certificate is revoked"
    case .nameConstraint: "TLS failure: the server's authority may not sign the names in its certificate"
    case .earlyData, .renegotiation, .tooManyHandshakes: "TLS failure: the server did what servers do not do"
    case .identityMismatch, .malformedIdentity, .wrongTrustDomain, .identityDenied:
      "TLS failure: the server did not prove the identity it should have"
    }
  }
}
