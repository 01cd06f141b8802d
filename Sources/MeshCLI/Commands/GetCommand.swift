internal import ArgumentParser
internal import Foundation
internal import MeshAPI
internal import SwiftProtobuf

struct GetCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "get",
    abstract: "Show routes and policies and their status, as a cluster would write it.",
    discussion: """
      ACCEPTED says whether the parents take the route, or the policy is in force for its targets; RESOLVED-REFS whether
      every backend, or target, exists. The texts below the table say what is wrong and how to mend it; -o yaml has every
      condition.

      EXAMPLES
        apus get httproute
        apus get httproute orders -n shop -o yaml
        apus get grpcroute -o json
        apus get trafficpolicy
        apus get faultinjection
        apus get externalservice
        apus get workload -o yaml
        apus get authorizationpolicy
        apus get meshtls
        apus get traffictarget orders-read -o yaml

      \(ExitCodes.help)
      """)

  enum Kind: String, ExpressibleByArgument, CaseIterable, Sendable {
    case httproute, grpcroute, tlsroute, tcproute, udproute, trafficsplit, httproutegroup, trafficpolicy,
      faultinjection, backendtlspolicy, requestauthentication, externalservice, workload, authorizationpolicy,
      externalauthorizer, traffictarget, identitybinding, meshtls, meshconfig

    init?(argument: String) {
      let word = argument.lowercased()
      let plurals = Self.allCases.map { ($0.plural, $0) }
      guard let kind = Self(rawValue: word) ?? plurals.first(where: { $0.0 == word })?.1 else { return nil }
      self = kind
    }

    private var plural: String { rawValue.hasSuffix("y") ? "\(rawValue.dropLast())ies" : "\(rawValue)s" }

    /// What the table lists.
    var noun: String {
      switch self {
      case .httproute, .grpcroute, .tlsroute, .tcproute, .udproute: "routes"
      case .trafficsplit: "splits"
      case .httproutegroup: "route groups"
      case .trafficpolicy, .backendtlspolicy, .requestauthentication, .authorizationpolicy, .meshtls, .meshconfig:
        "policies"
      case .externalservice: "external services"
      case .faultinjection: "fault injections"
      case .workload: "workloads"
      case .externalauthorizer: "external authorizers"
      case .traffictarget: "traffic targets"
      case .identitybinding: "identity bindings"
      }
    }

    var name: String {
      switch self {
      case .httproute: "HTTPRoute"
      case .grpcroute: "GRPCRoute"
      case .tlsroute: "TLSRoute"
      case .tcproute: "TCPRoute"
      case .udproute: "UDPRoute"
      case .trafficsplit: "TrafficSplit"
      case .httproutegroup: "HTTPRouteGroup"
      case .trafficpolicy: "TrafficPolicy"
      case .faultinjection: "FaultInjection"
      case .backendtlspolicy: "BackendTLSPolicy"
      case .requestauthentication: "RequestAuthentication"
      case .externalservice: "ExternalService"
      case .workload: "Workload"
      case .authorizationpolicy: "AuthorizationPolicy"
      case .meshtls: "MeshTLS"
      case .meshconfig: "MeshConfig"
      case .externalauthorizer: "ExternalAuthorizer"
      case .traffictarget: "TrafficTarget"
      case .identitybinding: "IdentityBinding"
      }
    }
  }

  enum Format: String, ExpressibleByArgument, CaseIterable, Sendable {
    case table, yaml, json
  }

  @Argument(
    help:
      """
      httproute, grpcroute, tlsroute, tcproute, udproute, trafficsplit, httproutegroup, traffictarget, identitybinding, \
      trafficpolicy, faultinjection, backendtlspolicy, externalservice, workload, authorizationpolicy, externalauthorizer, \
      requestauthentication, meshtls or meshconfig.
      """
  )
  var kind: Kind

  @Argument(help: "One of them. Default: all.")
  var name: String?

  @Option(name: .shortAndLong, help: "Default: all namespaces.")
  var namespace: String?

  @Option(name: [.customShort("o"), .customLong("output")], help: "How to print: table, yaml or json.")
  var format = Format.table

  @OptionGroup var state: StateOptions

  func run() async throws {
    let request = Apus_V1_RoutesRequest.with {
      $0.kind = kind.name
      $0.name = name ?? ""
      $0.namespace = namespace ?? ""
    }
    let report = RouteReport(try await AdminClient(directory: state.directory()).routes(request))
    if let name, report.items.isEmpty {
      let place = namespace.map { " in the namespace \($0)" } ?? ""
      throw CLIFailure("there is no \(kind.name) \(name)\(place)", fix: "list them all: apus get \(kind.rawValue)")
    }
    switch format {
    case .table: Terminal.print(report.table(of: kind.noun))
    case .json: Terminal.print(try JSONText.of(report.document(ofOne: name != nil)))
    case .yaml: Terminal.print(YAMLText.of(report.document(ofOne: name != nil)))
    }
  }
}
