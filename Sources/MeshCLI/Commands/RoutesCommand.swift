internal import ArgumentParser
internal import MeshAPI
internal import MeshCore

struct RoutesCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "routes",
    abstract: "Show the rules of services in the order in which proxies try them.",
    discussion: """
      The first rule that matches decides; its backends stand with their shares. What the rules come from, routes and
      splits, is merged already. `apus get httproute` shows the routes themselves, `apus why` one request's way.

      EXAMPLES
        apus routes
        apus routes orders -n shop
        apus routes orders.shop:80
        apus routes orders --for billing     as clients in the namespace billing see it
        apus routes -o json

      \(ExitCodes.help)
      """)

  @Argument(help: "A service, with its namespace and port or without. Default: all.")
  var service: String?

  @Option(name: .shortAndLong, help: "Show only this namespace.")
  var namespace: String?

  @Option(
    name: .customLong("for"),
    help: ArgumentHelp("Namespace of the clients. Default: any without routes of its own.", valueName: "namespace"))
  var clients: String?

  @OptionGroup var output: OutputOptions
  @OptionGroup var state: StateOptions

  func run() async throws {
    let client = AdminClient(directory: try state.directory())
    let ports = try ServiceSelection(service, namespace: namespace).ports(in: try await client.status())
    let view = try await client.view(of: ports, namespace: clients ?? "", none: ports.isEmpty)
    let report = RulesReport(view, sources: try await client.routes(Apus_V1_RoutesRequest()).sources)
    try output.print(report) { report.render() }
  }
}

/// Services that a command was asked for: `orders`, `orders.shop`, `orders.shop:80`.
struct ServiceSelection {
  let text: String?
  let namespace: String?

  init(_ text: String?, namespace: String?) {
    self.text = text
    self.namespace = namespace
  }

  /// Ordered; an error when a service was named that is not there.
  func ports(in status: Apus_V1_StatusResponse) throws -> [ServicePort] {
    let all = status.services.flatMap { service in
      service.ports.map {
        ServicePort(service: ServiceName(name: service.name, namespace: service.namespace), port: UInt16(clamping: $0))
      }
    }
    let found = all.filter(matches).sorted()
    guard found.isEmpty, let text else { return found }
    throw CLIFailure("there is no service \(text)", fix: "list them all: apus routes")
  }

  private func matches(_ port: ServicePort) -> Bool {
    if let namespace, port.service.namespace != namespace { return false }
    guard let text else { return true }
    return [port.service.name, port.service.description, port.description, "\(port.service.name):\(port.port)"]
      .contains(text)
  }
}
