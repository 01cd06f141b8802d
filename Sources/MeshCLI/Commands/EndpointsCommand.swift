internal import ArgumentParser
internal import MeshAPI
internal import MeshCore
internal import MeshPolicy

struct EndpointsCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "endpoints",
    abstract: "Show what stands behind services: addresses, workloads, readiness, zones, labels, identities.",
    discussion: """
      Proxies send requests to those that are ready. Which of them a proxy has ejected is known to that proxy only: see
      `apus why --from CALLER`. Addresses of hosts that the DNS knows are those that proxies found: that of --from, else up to
      \(maximumProxies). Without an identity an endpoint is outside the mesh, and spoken to
      in plaintext or by TLS, whose server then proves the name that is shown.

      Where a policy prefers zones, --from tells whose: the caller's zone decides which endpoints come first and what part of the
      requests each gets.

      EXAMPLES
        apus endpoints
        apus endpoints orders.shop --from web
        apus endpoints orders -n shop
        apus endpoints orders.shop:80 -o json

      \(ExitCodes.help)
      """)

  /// That are asked what they found by the DNS.
  private static let maximumProxies = 16

  @Argument(help: "A service, with its namespace and port or without. Default: all.")
  var service: String?

  @Option(name: .shortAndLong, help: "Show only this namespace.")
  var namespace: String?

  @Option(help: ArgumentHelp("Show priorities and shares as this workload's proxy has them.", valueName: "caller"))
  var from: String?

  @OptionGroup var output: OutputOptions
  @OptionGroup var state: StateOptions

  func run() async throws {
    let client = AdminClient(directory: try state.directory())
    let status = try await client.status()
    let ports = try ServiceSelection(service, namespace: namespace).ports(in: status)
    let caller = try from.map { try WhyAnswer.Caller.find($0, namespace: nil, in: status.workloads) }
    var view = try await client.view(of: ports, namespace: "", none: ports.isEmpty)
    var states: [String: String] = [:]
    if view.endpoints.values.contains(where: { $0.names != nil }) {
      let proxies = caller.map { [$0.address] } ?? status.workloads.filter(\.connected).map(\.address)
      states = view.resolveNames(await Self.ask(Array(proxies.prefix(Self.maximumProxies))))
    }
    let clients = EndpointClients(home: caller?.locality ?? Locality(), states: states)
    let report = EndpointsReport(view, of: Set(ports), for: clients)
    try output.print(report) { report.render() }
  }

  private static func ask(_ proxies: [String]) async -> [BalancerStates] {
    await withTaskGroup(of: BalancerStates?.self) { group in
      for address in proxies { group.addTask { await BalancerStates.fetch(from: address) } }
      return await group.reduce(into: []) { all, one in if let one { all.append(one) } }
    }
  }
}
