import MeshCore
import NIOSSL

/// A signer behind HTTP/1.1 over TLS: one request over a connection of its own. Redirects are not followed, since the token would go along.
package struct HTTPSigner: CertificateSigner {
  let options: SignerOptions

  package init(_ options: SignerOptions) { self.options = options }

  package var name: String { options.url.description }

  package func sign(_ order: SigningOrder) async throws -> String {
    let token = try options.tokenFile.map(SignerFiles.token)
    let exchange = SignerExchange(
      url: options.url, message: options.dialect.message(order, token: token), tls: try tls(),
      timeout: .seconds(Int64(options.timeoutSeconds)))
    let answer = try await exchange.perform()
    guard (200...201).contains(answer.status) else { throw refusal(answer, token) }
    return try options.dialect.chain(answer.body)
  }

  private func tls() throws(SignerError) -> NIOSSLContext? {
    guard options.url.isEncrypted else { return nil }
    var configuration = TLSConfiguration.makeClientConfiguration()
    configuration.minimumTLSVersion = .tlsv12
    configuration.applicationProtocols = ["http/1.1"]
    if let file = options.authorityFile {
      let content = try SignerFiles.pem(file, "--signer-ca")
      guard let authorities = try? NIOSSLCertificate.fromPEMBytes(content), !authorities.isEmpty else {
        throw SignerError(.configuration, "\(file) (--signer-ca) does not hold certificates in PEM")
      }
      configuration.trustRoots = .certificates(authorities)
    }
    do {
      return try NIOSSLContext(configuration: configuration)
    } catch {
      throw SignerError(.configuration, "TLS to the signer cannot be set up: \(error)")
    }
  }

  /// What an answer that is no chain means, and what to do.
  private func refusal(_ answer: SignerExchange.Answer, _ token: String?) -> SignerError {
    var words = options.dialect.complaint(answer.body)
    // A signer that repeats what it was sent does not bring it into our log.
    if let token {
      words = words.split(separator: token, omittingEmptySubsequences: false).joined(separator: "[token]")
    }
    let said = SignerText.printable(words, limit: SignerLimits.complaintBytes)
    let tail = said.isEmpty ? "" : "; it says: \(said)"
    switch answer.status {
    case 300..<400:
      return SignerError(
        .refused,
        "the signer answers with a redirect (\(answer.status)), which is not followed: give --signer the last address\(tail)"
      )
    case 401, 403:
      let advice = options.tokenFile.map { "renew \($0)" } ?? "give --signer-token-file"
      return SignerError(.refused, "the signer does not accept our credentials (\(answer.status)): \(advice)\(tail)")
    case 404, 405:
      return SignerError(.refused, "the signer has nothing at \(options.url) (\(answer.status)): check --signer\(tail)")
    case 429, 500...:
      return SignerError(
        .unavailable, "the signer cannot sign now (\(answer.status))\(tail)", retryAfter: answer.retryAfter)
    default:
      return SignerError(.refused, "the signer refuses the request (\(answer.status))\(tail)")
    }
  }
}
