import GRPCCore
import MeshAPI
import SwiftProtobuf

extension AdminService {
  /// Answers a registration and holds its lease while the stream is open.
  func hold(
    _ grant: WorkloadRegistry.Grant,
    _ requests: inout RPCAsyncSequence<Apus_V1_RegisterRequest, any Error>.AsyncIterator,
    _ response: RPCWriter<Apus_V1_RegisterResponse>
  ) async throws {
    let id = grant.lease.id
    do {
      try await response.write(answer(to: grant))
      while let message = try await requests.next() {
        guard case .heartbeat(let beat)? = message.kind else { continue }
        guard await registry.renew(id, ready: beat.ready, draining: beat.draining) else {
          throw RPCError(code: .aborted, message: "the lease has ended (late heartbeat, or taken over): register again")
        }
      }
    } catch {
      await registry.release(id)
      throw error
    }
    await registry.release(id)
  }
}
