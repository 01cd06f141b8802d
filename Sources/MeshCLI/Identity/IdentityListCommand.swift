internal import ArgumentParser
internal import Foundation
internal import MeshAPI
internal import SwiftProtobuf

/// `apus identity list`: the controller cuts its log to `--limit`; with `--valid` that happens here, among those that have not ended.
struct IdentityListCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list",
    abstract: "List the certificates that were issued, the newest first.",
    discussion: """
      From the log of issued certificates, which keeps the newest ones, some 20,000 and more.

      EXAMPLES
        apus identity list
        apus identity list web               part of an identity, a workload's name or a serial number
        apus identity list --valid -o json   only those that have not ended

      \(ExitCodes.help)
      """)

  @Argument(help: "Part of an identity, a workload's name or a serial number.")
  var match: String?
  @Flag(help: "Only certificates that have not ended.")
  var valid = false
  @Option(help: "How many at most; 0 for all.")
  var limit: UInt32 = 100
  @OptionGroup var output: OutputOptions
  @OptionGroup var state: StateOptions

  struct Entry: Encodable {
    var serial: String
    var identity: String
    var requester: String
    var signer: String
    var issuedAt: Int64
    var notAfter: Int64
    var revoked: Bool
  }

  func run() async throws {
    let client = AdminClient(directory: try state.directory())
    let response = try await client.issued(
      .with {
        $0.match = match ?? ""
        $0.limit = valid ? 0 : limit
      })
    let now = Int64(Date().timeIntervalSince1970)
    var entries = response.certificates.filter { !valid || $0.notAfter > now }.map {
      Entry(
        serial: $0.serial, identity: $0.identity, requester: $0.requester, signer: $0.signer, issuedAt: $0.issuedAt,
        notAfter: $0.notAfter, revoked: $0.revoked)
    }
    if limit > 0 { entries = Array(entries.prefix(Int(limit))) }
    try output.print(entries) { Self.render(entries, now: now) }
  }

  private static func render(_ entries: [Entry], now: Int64) -> String {
    var table = TextTable(["SERIAL", "IDENTITY", "WORKLOAD", "ISSUER", "ISSUED", "LEFT"].map { TextTable.Column($0) })
    for entry in entries {
      let left = entry.notAfter > now ? Format.duration(seconds: entry.notAfter - now) : "ended"
      table.add(
        entry.serial, entry.identity, entry.requester, String(entry.signer.prefix(8)),
        Format.utc(seconds: entry.issuedAt), entry.revoked ? "revoked" : left)
    }
    return entries.isEmpty ? "no certificate was issued\n" : table.render()
  }
}
