internal import ArgumentParser
internal import Foundation
internal import MeshAPI
internal import SwiftProtobuf

/// `apus identity status`: what `AuthorityReport` says, which after `rotate` and `revoke` is also how to see that every proxy has followed.
struct IdentityStatusCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "status",
    abstract: "Show the certificate authority, a rotation under way, and what is revoked.",
    discussion: """
      EXAMPLES
        apus identity status
        apus identity status -o json

      \(ExitCodes.help)
      """)

  @OptionGroup var output: OutputOptions
  @OptionGroup var state: StateOptions

  func run() async throws {
    let client = AdminClient(directory: try state.directory())
    let report = AuthorityReport(try await client.authority(Apus_V1_AuthorityRequest()))
    try output.print(report) { report.render() }
  }
}

struct IdentityRequestCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "csr",
    abstract: "Print a certificate signing request for an issuer that another authority is to sign.",
    discussion: """
      The key is made in the state directory and never leaves it; asking again gives a request for the same key. Have the request
      signed as an authority (CA:TRUE, pathlen 0), then: apus identity rotate --certificate CHAIN.pem

      EXAMPLES
        apus identity csr > issuer.csr

      \(ExitCodes.help)
      """)

  @OptionGroup var state: StateOptions

  func run() async throws {
    let client = AdminClient(directory: try state.directory())
    Terminal.print(try await client.authority(.with { $0.signingRequest = true }).signingRequestPem)
  }
}
