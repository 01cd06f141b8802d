import ArgumentParser
import Foundation
import Logging
import MeshControl
import MeshCore

@main
struct ControllerCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "apus-controller",
    abstract: "The control plane of a mesh on one machine: configuration and certificates for its proxies.",
    discussion:
      "`apus up -f DIR` starts it. State: --state-dir, $APUS_STATE_DIR, $XDG_STATE_HOME/apus, ~/.local/state/apus.")

  @Option(help: "Directory of YAML manifests; watched.") var manifests: String
  @Option(help: "Where keys and registrations are kept.") var stateDir: String?
  @Option(help: "Address for proxies.") var listen = "127.66.0.1:15010"
  @Option(help: "Trust domain of every identity.") var trustDomain = SPIFFEID.defaultTrustDomain
  @Option(help: "trace, debug, info, notice, warning, error or critical.") var logLevel = "info"
  @OptionGroup(title: "Issuers from outside") var signer: SignerFlags
  @Flag(help: "A crash may leave a core file, with the authority's keys in it.") var allowCoreDumps = false
  @Option(help: ArgumentHelp("Seconds that workload certificates live.", visibility: .hidden))
  var certificateLifetime = 86_400.0
  @Option(help: ArgumentHelp("Seconds that a generated issuer lives.", visibility: .hidden))
  var issuerLifetime = 365 * 86_400.0
  @Option(help: ArgumentHelp("Seconds that a generated root lives.", visibility: .hidden))
  var rootLifetime = 3650 * 86_400.0

  func run() async throws {
    guard let address = SocketAddress(listen), address.isIPv4, address.port > 0 else {
      throw ValidationError("--listen \(listen): IPV4:PORT is needed")
    }
    guard let level = Logger.Level(rawValue: logLevel) else { throw ValidationError("--log-level \(logLevel)") }
    var log = Logger(label: "apus-controller", factory: StreamLogHandler.standardError(label:))
    log.logLevel = level
    if !allowCoreDumps, !CoreDumps.forbid() { log.warning("core dumps of keys cannot be forbidden") }
    var options = ControlPlane.Options(manifestDirectory: manifests, stateDirectory: try stateDirectory())
    options.listenAddress = address
    options.trustDomain = trustDomain
    options.certificateLifetime = certificateLifetime
    options.issuerLifetime = issuerLifetime
    options.rootLifetime = rootLifetime
    options.signer = try signer.options()
    do {
      try await ControlPlane(options: options, log: log).run()
    } catch {
      FileHandle.standardError.write(Data("apus-controller: \(error)\n".utf8))
      throw ExitCode.failure
    }
  }

  private func stateDirectory() throws -> String {
    let environment = ProcessInfo.processInfo.environment.filter { !$0.value.isEmpty }
    if let path = stateDir ?? environment["APUS_STATE_DIR"] { return path }
    if let base = environment["XDG_STATE_HOME"], base.hasPrefix("/") { return base + "/apus" }
    if let home = environment["HOME"] { return home + "/.local/state/apus" }
    throw ValidationError("HOME is not set; pass --state-dir")
  }
}
