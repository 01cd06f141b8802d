internal import ArgumentParser
internal import MeshAPI

struct VersionCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "version",
    abstract: "Print the versions of this tool and of the running control plane.",
    discussion: """
      EXAMPLES
        apus version
        apus version -o json

      The exit code is 0 whether or not a control plane is running.
      """)

  @OptionGroup var state: StateOptions
  @OptionGroup var output: OutputOptions

  struct Versions: Encodable {
    var client: String
    var controller: String?
    var proxies: [String: Int]
  }

  func run() async throws {
    var versions = Versions(client: ApusTool.version, controller: nil, proxies: [:])
    if let status = try? await AdminClient(directory: state.directory()).status() {
      versions.controller = status.version
      for workload in status.workloads where !workload.proxyVersion.isEmpty {
        versions.proxies[workload.proxyVersion, default: 0] += 1
      }
    }
    try output.print(versions) {
      var text = "client: \(versions.client)\ncontroller: \(versions.controller ?? "not running")\n"
      for (version, count) in versions.proxies.sorted(by: { $0.key < $1.key }) {
        text += "proxies: \(version) (\(count))\n"
      }
      return text
    }
  }
}
