internal import ArgumentParser
internal import Foundation
internal import MeshAPI
internal import MeshControl
internal import MeshCore

struct CheckCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check",
    abstract: "Check the mesh, and say how to mend what is wrong.",
    discussion: """
      ✔ is good, ‼ needs attention soon, ✘ is broken. Warnings do not change the exit code.

      EXAMPLES
        apus check
        apus check -o json

      EXIT CODES
        0   no check failed
        1   a check failed (✘), the control plane's absence included
        64  wrong arguments
      """)

  @OptionGroup var output: OutputOptions
  @OptionGroup var state: StateOptions

  func run() async throws {
    let directory = try state.directory()
    var probes = CheckProbes(
      stateDirectoryMode: Self.mode(directory.path), keyMode: Self.keyMode(directory.authority))
    var items = CheckList.files(directory, probes)
    do {
      var status = try await AdminClient(directory: directory).status()
      await status.askProxiesForCertificates()
      probes.meshPorts = await Self.meshPorts(status.workloads)
      probes.plaintext = await PlaintextReport.fetchAll(status.workloads)
      probes.keySets = await KeySetReport.fetchAll(status.workloads)
      items += CheckList.mesh(status, probes, now: Int64(Date().timeIntervalSince1970))
    } catch let failure as CLIFailure {
      items += CheckList.unreachable(failure)
    }
    try output.print(items) { CheckList.render(items, color: Terminal.hasColor) }
    if items.contains(where: { $0.result == .error }) { Foundation.exit(ExitCodes.failure) }
  }

  private static func meshPorts(_ workloads: [Apus_V1_WorkloadStatus]) async -> [String: Bool] {
    await withTaskGroup(of: (String, Bool).self) { group in
      for workload in workloads {
        guard let address = SocketAddress(workload.address, defaultPort: RunPlan.meshPort) else { continue }
        group.addTask { (workload.name, await HTTPFetch.accepts(address)) }
      }
      return await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
    }
  }

  /// What is allowed with any key of the authority; nil when it has none.
  private static func keyMode(_ directory: String) -> UInt16? {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
    let modes = names.filter { $0.hasSuffix(".key.pem") }.compactMap { mode(directory + "/" + $0) }
    return modes.isEmpty ? nil : modes.reduce(0, |)
  }

  private static func mode(_ path: String) -> UInt16? {
    let attributes = try? FileManager.default.attributesOfItem(atPath: path)
    return (attributes?[.posixPermissions] as? NSNumber)?.uint16Value
  }
}
