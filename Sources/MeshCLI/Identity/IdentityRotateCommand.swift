internal import ArgumentParser
internal import Foundation
internal import MeshAPI
internal import MeshCore
internal import SwiftProtobuf

struct IdentityRotateCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "rotate",
    abstract: "Replace the issuer or the root while traffic goes on, and show how far it is.",
    discussion: """
      A root goes in three steps: every workload trusts the new one beside the old; every workload gets a certificate of the new
      one; the old one is dropped. A step is made once every workload's proxy has confirmed the one before, so no request fails by
      it; it survives the end of the controller. Without --no-wait the command shows the progress and ends with the rotation; to end
      the command does not end the rotation (docs/guide/rotate-root.md). A controller with --signer has its issuers signed there
      (docs/guide/bring-your-own-ca.md); a root then comes with the signer's chain.

      EXAMPLES
        apus identity rotate --issuer
        apus identity rotate --root
        apus identity rotate --root --pause      stop before each step; go on with --continue
        apus identity rotate --certificate issuer-chain.pem --key issuer.key.pem
        apus identity rotate --abort             back to the old one, by the same safe way

      EXIT CODES
        0   done, or begun with --no-wait
        1   refused
        2   not done within --timeout; it goes on
        64  wrong arguments
        69  the control plane does not answer
      """)

  @Flag(help: "Make a new root, and an issuer below it.")
  var root = false
  @Flag(help: "Make a new issuer below the root, or have the controller's signer sign one.")
  var issuer = false
  @Option(
    help: ArgumentHelp(
      "Use this issuer: PEM, the issuer first, then what leads to its root.",
      discussion:
        "If the root is not one that the mesh trusts, it must be in the file, and the rotation is one of the root.",
      valueName: "file"))
  var certificate: String?
  @Option(
    help: ArgumentHelp("Its private key. Default: the key of the request of apus identity csr.", valueName: "file"))
  var key: String?
  @Flag(name: .customLong("continue"), help: "Make the next step of a rotation that was begun with --pause.")
  var goOn = false
  @Flag(help: "Turn the rotation under way back.")
  var abort = false
  @Flag(help: "Stop before each step until --continue.")
  var pause = false
  @Flag(help: "With --continue: leave workloads behind whose proxies are not connected.")
  var force = false
  @Flag(inversion: .prefixedNo, help: "Show the progress until it is done.")
  var wait = true
  @Option(help: "How long to wait: 30s, 10m, 2h.")
  var timeout = "1h"
  @OptionGroup var output: OutputOptions
  @OptionGroup var state: StateOptions

  static let notInTime: Int32 = 2

  func validate() throws {
    let wishes = [root, issuer, certificate != nil, goOn, abort].count { $0 }
    guard wishes == 1 else {
      throw ValidationError("say one of --issuer, --root, --certificate FILE, --continue, --abort")
    }
    guard key == nil || certificate != nil else { throw ValidationError("--key needs --certificate") }
    guard !force || goOn else { throw ValidationError("--force needs --continue") }
    guard WaitTime.parse(timeout) != nil else {
      throw ValidationError("--timeout \"\(timeout)\" is not a length of time from 1s to 24h; write 30s, 10m or 2h")
    }
  }

  func run() async throws {
    let client = AdminClient(directory: try state.directory())
    var report = AuthorityReport(try await client.authority(try request()))
    guard wait, !pause else { return try show(report) }
    let end = ContinuousClock.now.advanced(by: .seconds(WaitTime.parse(timeout) ?? 3600))
    var told = ""
    while let rotation = report.rotation, !rotation.paused {
      let text = report.render(rotation)
      if output.format == .table, text != told { Terminal.print(text) }
      told = text
      guard ContinuousClock.now < end else {
        Terminal.say("not done within \(timeout); it goes on: apus identity status")
        Foundation.exit(Self.notInTime)
      }
      try await Task.sleep(for: .milliseconds(250))
      report = try await look(client, until: end) ?? report
    }
    try show(report)
  }

  /// The controller may be away for a while; its next one goes on.
  private func look(_ client: AdminClient, until end: ContinuousClock.Instant) async throws -> AuthorityReport? {
    do {
      return AuthorityReport(try await client.authority(Apus_V1_AuthorityRequest()))
    } catch let failure as CLIFailure where failure.exitCode == ExitCodes.unreachable && ContinuousClock.now < end {
      return nil
    }
  }

  private func show(_ report: AuthorityReport) throws {
    try output.print(report) { report.render() }
  }

  private func request() throws -> Apus_V1_AuthorityRequest {
    if abort { return .with { $0.abort = true } }
    if goOn { return .with { $0.release = .with { $0.force = force } } }
    let chain = try certificate.map(PEMFile.read)
    let keyPEM = try key.map(PEMFile.read)
    return .with {
      $0.rotate = .with {
        $0.root = root
        $0.pause = pause
        $0.certificateChainPem = chain ?? ""
        $0.keyPem = keyPEM ?? ""
      }
    }
  }
}

enum PEMFile {
  static func read(_ path: String) throws -> String {
    guard let data = FileManager.default.contents(atPath: path) else {
      throw CLIFailure("cannot read \(path)", fix: "is it there, and yours to read? ls -l \(path)")
    }
    guard data.count <= 4 << 20, let text = String(data: data, encoding: .utf8), text.contains("-----BEGIN ") else {
      throw CLIFailure("\(path) is not PEM", fix: "convert it: openssl x509 -inform der -in \(path)")
    }
    return text
  }
}
