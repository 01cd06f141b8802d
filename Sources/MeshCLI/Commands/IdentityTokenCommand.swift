internal import ArgumentParser
internal import Foundation
internal import MeshAPI
internal import MeshControl
internal import MeshCore
internal import MeshIdentity
internal import SwiftProtobuf

/// `apus identity token`: how programs of other accounts get into the mesh.
struct IdentityTokenCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "token",
    abstract: "Make, list and revoke join tokens, for programs of other accounts of this machine.",
    discussion: """
      The control socket is its owner's alone. A program of another account joins with a token, which says who the program will be:
      namespace, service account, service and labels. The controller keeps only a hash of it.

      EXAMPLES
        apus identity token create --service web --out web.join      one use within an hour
        apus identity token create --service web --any-uses --ttl 30d --out web.join
        apus run --service web --join-token-file web.join --port 8080 -- ./web
        apus identity token list
        apus identity token revoke k7w2bxqd --workloads

      \(ExitCodes.help)
      """,
    subcommands: [Create.self, List.self, Revoke.self], defaultSubcommand: List.self)

  struct Create: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Make a token. It is printed this once.",
      discussion: """
        Prints a small JSON file that is a secret: the token, the controller's address and the mesh's trust anchors. With --out it is
        written for its owner's eyes only.
        """)

    @Option(help: "The service that its workloads will be of.")
    var service: String

    @Option(name: [.customShort("n"), .long], help: "Namespace of the service.")
    var namespace = "default"

    @Option(help: "Service account, the identity of its workloads. Default: the service's name.")
    var serviceAccount: String?

    @Option(
      name: .customLong("label"),
      help: ArgumentHelp("A label of its workloads (repeat for more).", valueName: "key=value"))
    var labels: [String] = []

    @Option(help: "How long it can be used, as 90s, 10m, 1h or 30d; at most 90d.")
    var ttl = "1h"

    @Option(help: "How often it can be used.")
    var uses: Int?

    @Flag(help: "It can be used as often as wanted until it expires: for programs that are restarted.")
    var anyUses = false

    @Option(help: "Write it to this new file, mode 600, instead of printing it.")
    var out: String?

    @OptionGroup var state: StateOptions

    func validate() throws {
      guard !anyUses || uses == nil else { throw ValidationError("--uses and --any-uses exclude each other") }
      guard uses.map({ (1...JoinTokenOrder.maximumUses).contains($0) }) ?? true else {
        throw ValidationError("--uses takes 1 to \(JoinTokenOrder.maximumUses)")
      }
      _ = try order()
    }

    func run() async throws {
      let order = try order()
      let answer = try await AdminClient(directory: state.directory()).joinTokens(.with { $0.create = order })
      let file = JoinFile(
        token: answer.secret, controller: answer.controller, trustDomain: answer.trustDomain,
        trustAnchorsPEM: answer.trustAnchorsPem)
      let id = answer.tokens.first?.id ?? ""
      guard let out else { return Terminal.print(try file.text()) }
      guard !FileManager.default.fileExists(atPath: out) else {
        _ = try? await AdminClient(directory: state.directory()).joinTokens(.with { $0.revoke.id = id })
        throw CLIFailure("\(out) exists; the new token was revoked", fix: "choose another --out")
      }
      do {
        try AtomicFile.write(file.text(), to: out, mode: 0o600)
      } catch {
        _ = try? await AdminClient(directory: state.directory()).joinTokens(.with { $0.revoke.id = id })
        throw CLIFailure("\(error); the new token was revoked")
      }
      Terminal.say("join token \(id) is in \(out)")
    }

    private func order() throws -> Apus_V1_JoinTokenOrder {
      guard let seconds = TimeText.seconds(ttl), (1...JoinTokenOrder.maximumLifetime).contains(seconds) else {
        throw ValidationError("--ttl \"\(ttl)\" is not a time of 1s to 90d, as 90s, 10m, 1h or 30d")
      }
      var order = Apus_V1_JoinTokenOrder()
      order.namespace = namespace
      order.serviceAccount = serviceAccount ?? service
      order.service = service
      order.ttlSeconds = seconds
      order.uses = anyUses ? 0 : UInt32(uses ?? 1)
      for text in labels {
        do throws(FlagFailure) {
          let label = try LabelFlag.parse(text)
          order.labels[label.key] = label.value
        } catch {
          throw ValidationError("--label: \(error)")
        }
      }
      return order
    }
  }

  struct List: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Show every token that the controller remembers, without secrets.")
    @OptionGroup var output: OutputOptions
    @OptionGroup var state: StateOptions

    func run() async throws {
      let answer = try await AdminClient(directory: state.directory()).joinTokens(Apus_V1_JoinTokensRequest())
      let rows = answer.tokens.map(JoinTokenRow.init)
      let now = Int64(Date().timeIntervalSince1970)
      try output.print(rows) { JoinTokenRow.table(rows, now: now) }
    }
  }

  struct Revoke: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "End a token. Workloads that joined by it stay, unless --workloads.")
    @Argument(help: "Its id, as apus identity token list shows it.")
    var id: String
    @Flag(help: "End the workloads that joined by it, too: no configuration and no certificates from now on.")
    var workloads = false
    @OptionGroup var state: StateOptions

    func run() async throws {
      let answer = try await AdminClient(directory: state.directory()).joinTokens(
        .with {
          $0.revoke.id = id
          $0.revoke.workloads = workloads
        })
      let living = answer.tokens.first?.workloads.count ?? 0
      let rest =
        workloads
        ? "\(answer.ended) workloads ended; their certificates stay valid until they expire"
        : "\(living) workloads that joined by it go on"
      Terminal.print("join token \(id) is revoked; \(rest)")
    }
  }
}
