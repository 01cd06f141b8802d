internal import ArgumentParser
internal import Foundation
internal import MeshAPI
internal import MeshCore

struct WhyCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "why",
    abstract: "Say what would become of a request, stage by stage, and why.",
    discussion: """
      Takes the configuration that the control plane holds for the caller's proxy and decides with the proxy's own
      functions: service, rule, filters, backends, endpoints. Sends no request. Endpoints that the caller's proxy has
      ejected are marked; everything else is the same for every proxy of the caller's namespace.

      EXAMPLES
        apus why --from web --to http://orders.shop/api/list
        apus why --from web --to orders.shop:8080/ -H 'x-version: two' --method POST
        apus why --from web.shop --to orders/shop.v1.Orders/Create --grpc
        apus why --from web --to http://orders.shop/ -o json

      EXIT CODES
        0   every such request would be delivered, or answered by a redirect
        1   it would fail, or a share of such requests; or there is no such caller
        64  wrong arguments
        69  the control plane does not answer
      """)

  @Option(help: ArgumentHelp("Who asks: a workload, or a service for one of its workloads.", valueName: "caller"))
  var from: String

  @Option(help: ArgumentHelp("What is asked for, as the caller would write it.", valueName: "url"))
  var to: String

  @Option(name: [.customShort("H"), .customLong("header")], help: "A header field, NAME: VALUE; may be repeated.")
  var headers: [String] = []

  @Option(help: "Default: GET, and POST for gRPC.")
  var method: String?

  @Flag(name: .customLong("grpc"), help: "A gRPC call: the path is /SERVICE/METHOD.")
  var isGRPC = false

  @Option(name: .shortAndLong, help: "Namespace of the caller, if several have one of that name.")
  var namespace: String?

  @OptionGroup var output: OutputOptions
  @OptionGroup var state: StateOptions

  func validate() throws {
    _ = try request()
  }

  private func request() throws -> WhyRequest {
    do throws(FlagFailure) {
      return try WhyRequest(url: to, method: method, headers: headers, isGRPC: isGRPC)
    } catch {
      throw ValidationError(error.description)
    }
  }

  func run() async throws {
    let request = try request()
    let client = AdminClient(directory: try state.directory())
    let status = try await client.status()
    let caller = try WhyAnswer.Caller.find(from, namespace: namespace, in: status.workloads)
    let (hosts, egress) = try await client.outside(namespace: caller.namespace, workload: caller.workload)
    let key = WhyReasoning.servicePort(request, namespace: caller.namespace, hosts: hosts)
    var view = try await client.view(of: key.map { [$0] } ?? [], namespace: caller.namespace, none: key == nil)
    (view.hosts, view.egress) = (hosts, egress)
    let balancers = caller.connected ? await BalancerStates.fetch(from: caller.address) : nil
    _ = view.resolveNames(balancers.map { [$0] } ?? [], host: request.serverName)
    let routes = try await client.routes(Apus_V1_RoutesRequest())
    let answer = WhyReasoning.answer(
      request, caller: caller, view: view, sources: routes.sources,
      states: balancers?.byAddress ?? [:],
      knownServices: status.services.flatMap { service in
        service.ports.map { "\(service.name).\(service.namespace):\($0)" }
      }, problems: status.errors, now: Int64(Date().timeIntervalSince1970 * 1000))
    try output.print(answer) { WhyText.render(answer, color: Terminal.hasColor) }
    if !answer.delivered { Foundation.exit(ExitCodes.failure) }
  }
}

extension Apus_V1_RoutesResponse {
  /// File and line by the names of rules without their numbers: `httproute/shop/orders`.
  var sources: [String: String] {
    Dictionary(
      routes.map { ("\($0.kind.lowercased())/\($0.namespace)/\($0.name)", "\($0.file):\($0.line)") },
      uniquingKeysWith: { first, _ in first })
  }
}
