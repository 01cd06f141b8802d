internal import GRPCCore
internal import GRPCNIOTransportHTTP2Posix
internal import MeshAPI
internal import MeshControlAPI
internal import MeshCore
internal import SwiftProtobuf

/// How a workload's registration reaches the controller: by the control socket, which is the owner's alone, or by the TLS port with a join
/// token.
package enum RegistrationPath: Sendable {
  case socket(StateDirectory)
  case joining(JoinFile)

  /// In messages about the connection.
  var place: String {
    switch self {
    case .socket(let directory): directory.socket
    case .joining(let file): file.controller
    }
  }

  func check() throws {
    if case .socket(let directory) = self { try directory.checkSocketPath() }
  }

  /// Of a first registration; later ones are proved by what the first was given.
  var evidence: Apus_V1_Evidence? {
    guard case .joining(let file) = self else { return nil }
    return .with { $0.joinToken = file.token }
  }

  /// One `Register` stream, from the first message to its end.
  func register(
    _ writing: @escaping @Sendable (RPCWriter<Apus_V1_RegisterRequest>) async throws -> Void,
    onResponse reading: @escaping @Sendable (StreamingClientResponse<Apus_V1_RegisterResponse>) async throws -> Void
  ) async throws {
    try await withGRPCClient(transport: transport()) { client in
      switch self {
      case .socket:
        try await Apus_V1_Admin.Client(wrapping: client).register(requestProducer: writing, onResponse: reading)
      case .joining:
        try await Apus_V1_Join.Client(wrapping: client).register(requestProducer: writing, onResponse: reading)
      }
    }
  }

  private func transport() throws -> HTTP2ClientTransport.Posix {
    switch self {
    case .socket(let directory): return try AdminClient.transport(directory)
    case .joining(let file):
      guard let address = file.address else { throw CLIFailure("\"\(file.controller)\" is no IP:PORT") }
      // Every workload has a certificate of the same authority; only the controller's has this DNS name. Whoever binds the address of
      // a controller that is away must not be given the token.
      var config = HTTP2ClientTransport.Posix.Config.defaults
      config.http2.authority = Self.controllerName
      return try .http2NIOPosix(
        target: .ipv4(address: address.host, port: Int(address.port)),
        transportSecurity: .tls { tls in
          tls.trustRoots = .certificates([.bytes(Array(file.trustAnchorsPEM.utf8), format: .pem)])
          tls.serverCertificateVerification = .fullVerification
        }, config: config)
    }
  }

  /// The DNS name in the controller's certificate.
  static let controllerName = "apus-controller.apus-system"
}
