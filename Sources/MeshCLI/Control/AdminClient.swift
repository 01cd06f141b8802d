internal import GRPCCore
internal import GRPCNIOTransportHTTP2Posix
package import MeshAPI
internal import MeshControlAPI
package import MeshCore
package import MeshPolicy
internal import SwiftProtobuf

/// Calls of the control plane's Admin service over its Unix socket. Holds no connection between calls.
package struct AdminClient: Sendable {
  package var directory: StateDirectory

  package init(directory: StateDirectory) { self.directory = directory }

  package func status() async throws -> Apus_V1_StatusResponse {
    try await call { try await $0.status(Apus_V1_StatusRequest(), options: $1) }
  }

  package func routes(_ request: Apus_V1_RoutesRequest) async throws -> Apus_V1_RoutesResponse {
    try await call { try await $0.routes(request, options: $1) }
  }

  package func analyze() async throws -> Apus_V1_AnalyzeResponse {
    try await call { try await $0.analyze(Apus_V1_AnalyzeRequest(), options: $1) }
  }

  /// What proxies of workloads in `namespace` have for some services; for all when none is named, unless `none`.
  package func view(of services: [ServicePort], namespace: String, none: Bool = false) async throws -> MeshView {
    if none { return MeshView() }
    return try await view(services.map { Apus_V1_ResourceName(.service($0)) }, namespace: namespace)
  }

  /// The hosts outside the mesh that clients of the namespace reach as services of it.
  package func hosts(namespace: String) async throws -> ExternalHosts {
    try await view([Apus_V1_ResourceName(.hosts)], namespace: namespace).hosts
  }

  /// Those, and where a workload's requests may go.
  package func outside(namespace: String, workload: String) async throws -> (ExternalHosts, EgressPolicy) {
    let view = try await view([Apus_V1_ResourceName(.hosts)], namespace: namespace, workload: workload)
    return (view.hosts, view.egress)
  }

  private func view(
    _ names: [Apus_V1_ResourceName], namespace: String, workload: String = ""
  ) async throws -> MeshView {
    let request = Apus_V1_ConfigRequest.with {
      $0.namespace = namespace
      $0.names = names
      $0.workload = workload
    }
    let parts = try await call { client, options in
      try await client.config(request, options: options) { response in
        try await response.messages.reduce(into: [Apus_V1_ConfigResponse]()) { $0.append($1) }
      }
    }
    do throws(ConversionError) {
      return try MeshView(parts)
    } catch {
      throw CLIFailure(
        "the control plane sent what a proxy would refuse: \(error)", fix: "compare versions: apus version")
    }
  }

  package func faults(_ request: Apus_V1_FaultsRequest) async throws -> Apus_V1_FaultsResponse {
    try await call { try await $0.faults(request, options: $1) }
  }

  package func rollouts(_ request: Apus_V1_RolloutsRequest) async throws -> Apus_V1_RolloutsResponse {
    try await call { try await $0.rollouts(request, options: $1) }
  }

  package func authority(_ request: Apus_V1_AuthorityRequest) async throws -> Apus_V1_AuthorityResponse {
    // A rotation may have to wait for a signer outside (SignerLimits.timeout).
    let patience: Duration = if case .rotate? = request.action { .seconds(70) } else { .seconds(5) }
    return try await call(patience) { try await $0.authority(request, options: $1) }
  }

  package func issued(_ request: Apus_V1_IssuedRequest) async throws -> Apus_V1_IssuedResponse {
    try await call { try await $0.issued(request, options: $1) }
  }

  package func joinTokens(_ request: Apus_V1_JoinTokensRequest) async throws -> Apus_V1_JoinTokensResponse {
    try await call { try await $0.joinTokens(request, options: $1) }
  }

  private func call<Answer: Sendable>(
    _ patience: Duration = .seconds(5),
    _ body: @Sendable (Apus_V1_Admin.Client<HTTP2ClientTransport.Posix>, CallOptions) async throws -> Answer
  ) async throws -> Answer {
    try directory.checkSocketPath()
    do {
      return try await withGRPCClient(transport: Self.transport(directory)) { client in
        var options = CallOptions.defaults
        options.timeout = patience
        return try await body(Apus_V1_Admin.Client(wrapping: client), options)
      }
    } catch let error as RPCError {
      // It has answered, and why it does not is all that people need.
      if error.code == .failedPrecondition { throw CLIFailure(error.message) }
      throw Self.unreachable(directory, error)
    }
  }

  static func transport(_ directory: StateDirectory) throws -> HTTP2ClientTransport.Posix {
    try .http2NIOPosix(target: .unixDomainSocket(path: directory.socket), transportSecurity: .plaintext)
  }

  static func unreachable(_ directory: StateDirectory, _ error: RPCError) -> CLIFailure {
    CLIFailure(
      "the control plane does not answer on \(directory.socket): \(reason(error))",
      fix: "start it with: apus up -f DIR   (another state directory? pass --state-dir or set APUS_STATE_DIR)",
      exitCode: ExitCodes.unreachable)
  }

  /// One short clause; gRPC's own text names the code, which is all people need when the socket is not there.
  static func reason(_ error: RPCError) -> String {
    error.message.isEmpty ? "\(error.code)" : "\(error.message) (\(error.code))"
  }
}
