import GRPCCore
package import MeshCore

/// The caller of a Discovery or Identity call, by the join token in `authorization: Bearer TOKEN`.
package struct AuthenticatedWorkload: Sendable {
  package var name: String
  package var identity: SPIFFEID
  package var token: WorkloadToken

  static let unknownTokenMessage =
    "the join token is unknown or its workload has left; is its `apus run` still running, and with this controller?"
}

extension WorkloadRegistry {
  func caller(of metadata: Metadata) throws(RPCError) -> AuthenticatedWorkload {
    let scheme = "Bearer "
    guard let field = metadata[stringValues: "authorization"].first(where: { _ in true }),
      field.count <= 512, field.prefix(scheme.count).lowercased() == scheme.lowercased()
    else {
      metrics.count(.callRefusals, "no_token")
      throw RPCError(
        code: .unauthenticated,
        message: "a join token is needed: `authorization: Bearer TOKEN`, as `apus run` passes it")
    }
    let token = WorkloadToken(text: String(field.dropFirst(scheme.count)))
    guard let lease = authenticate(token) else {
      metrics.count(.callRefusals, "unknown_token")
      throw RPCError(code: .unauthenticated, message: AuthenticatedWorkload.unknownTokenMessage)
    }
    return AuthenticatedWorkload(name: lease.name, identity: lease.identity, token: token)
  }
}
