internal import ArgumentParser
internal import Foundation
internal import MeshAPI

struct IdentityCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "identity",
    abstract:
      "Print the certificates of workloads, look after the authority that issues them, make tokens to join with.",
    discussion: """
      Without a subcommand: apus identity show.

      EXAMPLES
        apus identity status                          the authority, and what is revoked
        apus identity rotate --issuer                 a new issuer, while traffic goes on
        apus identity revoke --identity shop/web      refuse a workload's certificates within seconds
        apus identity token create --service web      let a program of another account join once
      """,
    subcommands: [
      IdentityShowCommand.self, IdentityStatusCommand.self, IdentityRotateCommand.self, IdentityListCommand.self,
      IdentityRevokeCommand.self, IdentityRestoreCommand.self, IdentityRequestCommand.self, IdentityTokenCommand.self,
    ],
    // An argument of this command itself would swallow the names of its subcommands.
    defaultSubcommand: IdentityShowCommand.self)
}

struct IdentityShowCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "show",
    abstract: "Print the certificates of workloads and how long they are valid.",
    discussion: """
      Asks the workload's proxy for what it uses now. Without a name, all workloads are shown.

      EXAMPLES
        apus identity
        apus identity web-k3x9p
        apus identity web-k3x9p --pem | openssl x509 -noout -text
        apus identity -o json

      \(ExitCodes.help)
      """)

  @Argument(help: "A workload, or a service for all of its workloads. Default: all.")
  var workload: String?

  @Flag(help: "Print the certificate chain as PEM only.")
  var pem = false

  @OptionGroup var output: OutputOptions
  @OptionGroup var state: StateOptions

  struct Entry: Encodable {
    var workload: String
    var report: CertificateReport?
    var error: String?
  }

  func run() async throws {
    let status = try await AdminClient(directory: state.directory()).status()
    let chosen = status.workloads.filter { workload == nil || $0.name == workload || $0.service == workload }
      .sorted { $0.name < $1.name }
    guard !chosen.isEmpty else {
      throw CLIFailure(
        workload.map { "no workload or service \($0) is registered" } ?? "no workloads are registered",
        fix: "see what is there: apus status")
    }
    var entries: [Entry] = []
    for workload in chosen { entries.append(await Self.ask(workload)) }
    if pem {
      for entry in entries { Terminal.print(entry.report?.pem ?? "") }
    } else {
      let now = Int64(Date().timeIntervalSince1970)
      try output.print(entries) {
        entries.map { entry in
          entry.report?.render(workload: entry.workload, now: now, pem: false)
            ?? "workload  \(entry.workload)\nerror     \(entry.error ?? "no answer")\n"
        }.joined(separator: "\n")
      }
    }
    if entries.contains(where: { $0.report == nil }) { Foundation.exit(ExitCodes.failure) }
  }

  private static func ask(_ workload: Apus_V1_WorkloadStatus) async -> Entry {
    do {
      return Entry(workload: workload.name, report: try await CertificateReport.fetch(from: workload.address))
    } catch {
      return Entry(workload: workload.name, error: "\(error)")
    }
  }
}
