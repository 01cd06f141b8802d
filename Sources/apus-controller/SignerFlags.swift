import ArgumentParser
import MeshControl
import MeshCore
import MeshResources

/// Who signs the mesh's issuers, when it is not the mesh itself (docs/guide/bring-your-own-ca.md).
struct SignerFlags: ParsableArguments {
  @Option(
    name: .customLong("signer"),
    help: ArgumentHelp(
      "Have the mesh's issuers signed there, and renewed in time.",
      discussion: "https, or http to this machine. Without it the mesh signs its own issuers.", valueName: "url"))
  var url: String?
  @Option(
    name: .customLong("signer-dialect"), help: "pem: PKCS #10 goes, a PEM chain comes; vault: Vault's PKI engine.")
  var dialect: String?
  @Option(
    name: .customLong("signer-token-file"),
    help: ArgumentHelp("The token for it; read again for each request.", valueName: "file"))
  var tokenFile: String?
  @Option(
    name: .customLong("signer-ca"),
    help: ArgumentHelp("Who signs its own TLS certificate, PEM. Default: the system's authorities.", valueName: "file"))
  var authorityFile: String?
  @Option(
    name: .customLong("signer-root"),
    help: ArgumentHelp(
      "Roots that its chains may lead to, PEM. Default: only roots that the mesh trusts already.", valueName: "file"))
  var rootFile: String?
  @Option(name: .customLong("signer-lifetime"), help: "How long issuers are asked to live: 2160h (the default), 90m.")
  var lifetime: String?
  @Option(name: .customLong("signer-timeout"), help: "How long it may take to answer: 10s (the default), 1s to 60s.")
  var timeout: String?

  func validate() throws {
    let others = [dialect, tokenFile, authorityFile, rootFile, lifetime, timeout].compactMap { $0 }
    guard url != nil || others.isEmpty else { throw ValidationError("--signer-... needs --signer URL") }
    _ = try options()
  }

  func options() throws -> SignerOptions? {
    guard let url else { return nil }
    var options: SignerOptions
    switch SignerURL.parse(url) {
    case .success(let parsed): options = SignerOptions(url: parsed)
    case .failure(let error): throw ValidationError("--signer: \(error)")
    }
    if let dialect {
      guard let known = SignerDialect(rawValue: dialect) else {
        throw ValidationError("--signer-dialect \"\(dialect)\" is neither pem nor vault")
      }
      options.dialect = known
    }
    options.tokenFile = tokenFile
    options.authorityFile = authorityFile
    options.rootFile = rootFile
    if let lifetime { options.lifetimeSeconds = try seconds(lifetime, "--signer-lifetime", SignerLimits.lifetime) }
    if let timeout { options.timeoutSeconds = try seconds(timeout, "--signer-timeout", SignerLimits.timeout) }
    return options
  }

  private func seconds(_ text: String, _ flag: String, _ allowed: ClosedRange<Int>) throws -> Int {
    guard let span = GatewayDuration.parse(text), allowed.contains(Int(span.inSeconds)) else {
      throw ValidationError(
        "\(flag) \"\(text)\" is not a length of time from \(allowed.lowerBound)s to \(allowed.upperBound)s; write 10s, 90m or 2160h"
      )
    }
    return Int(span.inSeconds)
  }
}
