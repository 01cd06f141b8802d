internal import ArgumentParser
internal import MeshAPI
internal import MeshCore

/// `apus authz`: who may call a service, as the controller has told the proxies of its endpoints, not as the manifests read.
struct AuthzCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "authz",
    abstract: "Show who may call a service, for what, and which policy says so.",
    discussion: """
      AuthorizationPolicies and SMI's TrafficTargets, as the proxies of the service's endpoints have them: what a custom policy asks, what is
      denied, what is allowed, and what happens to everything else. What would become of one call tells apus why --from A --to B.

      EXAMPLES
        apus authz orders.shop
        apus authz orders -n shop -o json

      \(ExitCodes.help)
      """)

  @Argument(help: "A service, with its namespace and port or without.")
  var service: String

  @Option(name: .shortAndLong, help: "Namespace of the service, if several have one of that name.")
  var namespace: String?

  @OptionGroup var output: OutputOptions
  @OptionGroup var state: StateOptions

  func run() async throws {
    let client = AdminClient(directory: try state.directory())
    let ports = try ServiceSelection(service, namespace: namespace).ports(in: try await client.status())
    let view = try await client.view(of: ports, namespace: "")
    let report = AuthzReport(view, of: ports)
    try output.print(report) { report.render() }
  }
}
