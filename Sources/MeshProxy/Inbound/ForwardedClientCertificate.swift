import MeshCore
import MeshHTTP
import MeshRuntime

/// What the application is told of the proxy that calls it: the value of `x-forwarded-client-cert`, in Envoy's form
/// (By, Hash, Subject, URI). Made once for a connection, so that a request costs one copy of its bytes.
///
/// Confined to one worker loop.
final class ForwardedClientCertificate {
  private let value: [UInt8]

  /// Nil for a connection that is not from a proxy of the mesh.
  init?(_ connection: Connection, _ worker: ProxyWorker) {
    guard let tls = connection.tls, let peer = tls.peerIdentity, let own = worker.identity?.identity,
      let certificate = tls.peerCertificate
    else { return nil }
    value = Array(Self.text(by: own, certificate, peer).utf8)
  }

  static func text(by own: SPIFFEID, _ certificate: PeerCertificate, _ peer: SPIFFEID) -> String {
    "By=\(own);Hash=\(certificate.sha256);Subject=\"\(escaped(certificate.subject))\";URI=\(peer)"
  }

  func append(to head: MessageHead) { value.withUnsafeBytes { head.append(.xForwardedClientCert, $0) } }

  /// Inside quotes; what no field may hold is left out.
  private static func escaped(_ subject: String) -> String {
    var text = ""
    for byte in subject.utf8 where byte >= 0x20 && byte < 0x7F {
      if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") { text += "\\" }
      text.unicodeScalars.append(Unicode.Scalar(byte))
    }
    return text
  }
}

extension Exchange {
  /// Tells the application who calls, by what the mesh has proved. What came under that name is gone already.
  func tellClientCertificate() {
    guard !isTunnel, case .http2(let connection, _) = downstream else { return }
    connection.clientCertificate?.append(to: request)
  }
}
