internal import GRPCCore
internal import GRPCNIOTransportHTTP2Posix
package import MeshAPI
internal import MeshControlAPI

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

  private func call<Answer: Sendable>(
    _ body: @Sendable (Apus_V1_Admin.Client<HTTP2ClientTransport.Posix>, CallOptions) async throws -> Answer
  ) async throws -> Answer {
    try directory.checkSocketPath()
    do {
      return try await withGRPCClient(transport: Self.transport(directory)) { client in
        var options = CallOptions.defaults
        options.timeout = .seconds(5)
        return try await body(Apus_V1_Admin.Client(wrapping: client), options)
      }
    } catch let error as RPCError {
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
