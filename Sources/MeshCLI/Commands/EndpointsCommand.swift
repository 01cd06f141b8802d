internal import ArgumentParser
internal import MeshCore

struct EndpointsCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "endpoints",
    abstract: "Show what stands behind services: addresses, workloads, readiness, identities.",
    discussion: """
      Proxies send requests to those that are ready. Which of them a proxy has ejected is known to that proxy only: see
      `apus why --from CALLER`. Without an identity an endpoint is outside the mesh, and spoken to
      in plaintext or by TLS, whose server then proves the name that is shown.

      EXAMPLES
        apus endpoints
        apus endpoints orders -n shop
        apus endpoints orders.shop:80 -o json

      \(ExitCodes.help)
      """)

  @Argument(help: "A service, with its namespace and port or without. Default: all.")
  var service: String?

  @Option(name: .shortAndLong, help: "Show only this namespace.")
  var namespace: String?

  @OptionGroup var output: OutputOptions
  @OptionGroup var state: StateOptions

  func run() async throws {
    let client = AdminClient(directory: try state.directory())
    let ports = try ServiceSelection(service, namespace: namespace).ports(in: try await client.status())
    let view = try await client.view(of: ports, namespace: "", none: ports.isEmpty)
    let report = EndpointsReport(view, of: Set(ports))
    try output.print(report) { report.render() }
  }
}
