import MeshCore
import MeshIdentity
import NIOCore
import NIOSSL
import Synchronization

#if canImport(FoundationEssentials)
package import FoundationEssentials
#else
package import Foundation
#endif

/// The controller's own certificate, and the TLS 1.3 handler that every accepted connection starts with. A renewal is
/// taken up by the next connection; open ones go on. It is of the issuer in force, as workloads' are: who has changed the
/// authority calls `renew`.
package final class ServerTLS: Sendable {
  static let lifetime: TimeInterval = 24 * 3600

  private let authority: AuthorityHolder
  private let identity: SPIFFEID
  private let context: Mutex<NIOSSLContext>

  package init(authority: AuthorityHolder, now: Date) throws {
    self.authority = authority
    identity = SPIFFEID(
      trustDomain: authority.current.trustDomain, namespace: "apus-system", serviceAccount: "apus-controller")
    context = Mutex(try Self.makeContext(authority.current, identity, now: now))
  }

  package func renew(now: Date) throws {
    let fresh = try Self.makeContext(authority.current, identity, now: now)
    context.withLock { $0 = fresh }
  }

  func handler() -> NIOSSLServerHandler { NIOSSLServerHandler(context: context.withLock { $0 }) }

  private static func makeContext(
    _ authority: CertificateAuthority, _ identity: SPIFFEID, now: Date
  ) throws -> NIOSSLContext {
    let (certificate, keyPEM) = try authority.issueServer(
      identity: identity, dnsNames: [CertificateAuthority.controllerName], lifetime: lifetime, now: now)
    var configuration = TLSConfiguration.makeServerConfiguration(
      certificateChain: try NIOSSLCertificate.fromPEMBytes(Array(certificate.chainPEM.utf8)).map { .certificate($0) },
      privateKey: .privateKey(try NIOSSLPrivateKey(bytes: Array(keyPEM.utf8), format: .pem)))
    configuration.minimumTLSVersion = .tlsv13
    configuration.applicationProtocols = ["h2"]
    return try NIOSSLContext(configuration: configuration)
  }
}
