package import GRPCCore
package import MeshAPI
import MeshControlAPI
import SwiftProtobuf

// MARK: - Join tokens

extension AdminService {
  package func joinTokens(
    request: Apus_V1_JoinTokensRequest, context: ServerContext
  ) async throws -> Apus_V1_JoinTokensResponse {
    do throws(RegistryError) {
      switch request.action {
      case .create(let order): return try await create(order)
      case .revoke(let revocation): return try await revoke(revocation)
      case nil: return await list()
      }
    } catch {
      // People mistype ids and names: the text says what to do, and the tool prints it alone.
      throw RPCError(code: .failedPrecondition, message: error.description)
    }
  }

  private func create(_ order: Apus_V1_JoinTokenOrder) async throws(RegistryError) -> Apus_V1_JoinTokensResponse {
    let token = try await joinTokens.create(
      JoinTokenOrder(
        namespace: order.namespace, serviceAccount: order.serviceAccount, service: order.service, labels: order.labels,
        lifetime: order.ttlSeconds, uses: order.uses == 0 ? nil : Int(order.uses)))
    var answer = await list()
    answer.tokens.removeAll { $0.id != token.id }
    answer.secret = token.text
    answer.controller = facts.controller
    answer.trustDomain = facts.trustDomain
    answer.trustAnchorsPem = facts.trustAnchorsPEM
    return answer
  }

  private func revoke(
    _ revocation: Apus_V1_JoinTokenRevocation
  ) async throws(RegistryError) -> Apus_V1_JoinTokensResponse {
    try await joinTokens.revoke(revocation.id)
    let ended = revocation.workloads ? try await registry.end(joinedBy: JoinTokenStore.source(of: revocation.id)) : 0
    var answer = await list()
    answer.tokens.removeAll { $0.id != revocation.id }
    answer.ended = UInt32(clamping: ended)
    return answer
  }

  private func list() async -> Apus_V1_JoinTokensResponse {
    var answer = Apus_V1_JoinTokensResponse()
    for (id, record, state) in await joinTokens.tokens {
      let living = await registry.living(joinedBy: JoinTokenStore.source(of: id))
      answer.tokens.append(
        .with {
          $0.id = id
          $0.namespace = record.namespace
          $0.serviceAccount = record.serviceAccount
          $0.service = record.service
          $0.labels = record.labels
          $0.state = state.rawValue
          $0.created = record.created
          $0.expires = record.expires
          $0.uses = UInt32(clamping: record.uses ?? 0)
          $0.used = UInt32(clamping: record.used)
          $0.lastUsed = record.lastUsed ?? 0
          $0.workloads = living
        })
    }
    return answer
  }
}
