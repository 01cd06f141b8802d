internal import ArgumentParser
internal import Foundation
internal import MeshAPI
internal import MeshCore
internal import SwiftProtobuf

/// Whom a revocation is about.
struct RevokedNames: ParsableArguments {
  @Option(help: "NAMESPACE/SERVICE-ACCOUNT, or a SPIFFE id (repeat for more).")
  var identity: [String] = []
  @Option(help: "Serial number of a certificate, in hexadecimal (repeat for more).")
  var serial: [String] = []

  func identities(trustDomain: String) throws -> [String] {
    try identity.map { text in
      if text.hasPrefix("spiffe://") { return text }
      let parts = text.split(separator: "/", omittingEmptySubsequences: false)
      guard parts.count == 2, !parts[0].isEmpty, !parts[1].isEmpty else {
        throw ValidationError("--identity \"\(text)\" is neither NAMESPACE/SERVICE-ACCOUNT nor a SPIFFE id")
      }
      return SPIFFEID(trustDomain: trustDomain, namespace: String(parts[0]), serviceAccount: String(parts[1]))
        .description
    }
  }

  /// Has the controller do what `change` says of them, and shows how its authority stands then.
  func apply(
    _ state: StateOptions, _ output: OutputOptions, _ change: ([String], inout Apus_V1_AuthorityRequest) -> Void
  ) async throws {
    let client = AdminClient(directory: try state.directory())
    var request = Apus_V1_AuthorityRequest()
    change(try identities(trustDomain: try await client.status().trustDomain), &request)
    let report = AuthorityReport(try await client.authority(request))
    try output.print(report) { report.render() }
  }
}

struct IdentityRevokeCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "revoke",
    abstract: "Refuse an identity or a certificate in the whole mesh, within seconds.",
    discussion: """
      Proxies refuse new connections of the peer and end those that are open. An identity also gets no new certificate. A serial
      number stays revoked until its certificate has ended.

      EXAMPLES
        apus identity revoke --identity shop/web
        apus identity revoke --serial 4f0a...      as apus identity list has it
        apus identity revoke --crl lists.pem       a revocation list of your own authority

      \(ExitCodes.help)
      """)

  @OptionGroup var names: RevokedNames
  @Option(help: ArgumentHelp("A certificate revocation list in PEM (repeat for more).", valueName: "file"))
  var crl: [String] = []
  @OptionGroup var output: OutputOptions
  @OptionGroup var state: StateOptions

  func validate() throws {
    guard !names.identity.isEmpty || !names.serial.isEmpty || !crl.isEmpty else {
      throw ValidationError("say what: --identity NAMESPACE/ACCOUNT, --serial NUMBER or --crl FILE")
    }
  }

  func run() async throws {
    let lists = try crl.map(PEMFile.read)
    try await names.apply(state, output) { identities, request in
      request.revoke.identities = identities
      request.revoke.serials = names.serial
      request.revoke.crls = lists
    }
  }
}

struct IdentityRestoreCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "restore",
    abstract: "Take revocations back.",
    discussion: """
      EXAMPLES
        apus identity restore --identity shop/web
        apus identity restore --all-crls

      \(ExitCodes.help)
      """)

  @OptionGroup var names: RevokedNames
  @Flag(name: .customLong("all-crls"), help: "Forget the revocation lists that were given.")
  var allLists = false
  @OptionGroup var output: OutputOptions
  @OptionGroup var state: StateOptions

  func validate() throws {
    guard !names.identity.isEmpty || !names.serial.isEmpty || allLists else {
      throw ValidationError("say what: --identity NAMESPACE/ACCOUNT, --serial NUMBER or --all-crls")
    }
  }

  func run() async throws {
    try await names.apply(state, output) { identities, request in
      request.restore.identities = identities
      request.restore.serials = names.serial
      request.restore.allCrls = allLists
    }
  }
}
