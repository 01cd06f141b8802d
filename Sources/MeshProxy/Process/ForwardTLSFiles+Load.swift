import MeshCore
import MeshRuntime

/// A file of the command line that cannot be used.
struct ForwardTLSError: Error, CustomStringConvertible {
  var description: String
}

extension ForwardTLSFiles {
  /// Reads the files; nil when forward listeners stay in plaintext. One value serves every worker, so that a session
  /// resumes on any of them.
  func load() throws(ForwardTLSError) -> TLSConfiguration? {
    guard isEnabled else { return nil }
    let chain = try Self.read(certificate, "--forward-tls-certificate")
    guard let secret = SecretBytes(file: key) else {
      throw ForwardTLSError(description: "--forward-tls-key: cannot read \(key)")
    }
    let authorities = clientCA.isEmpty ? [] : try Self.read(clientCA, "--forward-tls-client-ca")
    do throws(TLSContextError) {
      var configuration = TLSConfiguration(
        role: .server, key: try WorkloadKey(secret), chainPEM: chain, trustAnchorsPEM: authorities,
        protocols: ["h2", "http/1.1"], ticketKey: TLSTicketKey())
      configuration.minimumVersion = minimumVersion
      configuration.requiresClientCertificate = !clientCA.isEmpty
      configuration.requiresWorkloadIdentity = false
      configuration.requiresProtocol = false
      // What is wrong with the files is said now, not by the first connection.
      _ = try TLSContext(configuration)
      return configuration
    } catch {
      throw ForwardTLSError(description: "TLS of the forward listeners: \(error)")
    }
  }

  private static func read(_ path: String, _ flag: String) throws(ForwardTLSError) -> [UInt8] {
    guard let text = FileText.read(path) else { throw ForwardTLSError(description: "\(flag): cannot read \(path)") }
    return Array(text.utf8)
  }
}
