package import GRPCCore
package import Logging
package import MeshAPI
import MeshControlAPI
import MeshCore
import Synchronization

/// The Discovery service: one task reads a proxy's requests, one writes deltas whenever the hub or a request wakes it.
package struct DiscoveryService: Apus_V1_Discovery.ServiceProtocol {
  private let hub: DiscoveryHub
  private let registry: WorkloadRegistry
  private let log: Logger

  package init(hub: DiscoveryHub, registry: WorkloadRegistry, log: Logger) {
    self.hub = hub
    self.registry = registry
    self.log = log
  }

  package func stream(
    request: StreamingServerRequest<Apus_V1_DiscoveryRequest>, context: ServerContext
  ) async throws -> StreamingServerResponse<Apus_V1_DiscoveryResponse> {
    let caller = try await registry.caller(of: request.metadata)
    return StreamingServerResponse { writer in
      try await serve(caller, request.messages, writer)
      return [:]
    }
  }

  private func serve(
    _ caller: AuthenticatedWorkload, _ requests: RPCAsyncSequence<Apus_V1_DiscoveryRequest, any Error>,
    _ writer: RPCWriter<Apus_V1_DiscoveryResponse>
  ) async throws {
    let (id, wakes) = await hub.open(workload: caller.name)
    let session = SharedSession(
      DiscoverySession(workload: caller.name, namespace: caller.identity.namespace))
    log.info("proxy connected", metadata: ["workload": "\(caller.name)"])
    let result = await Result {
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { try await read(requests, session, id) }
        group.addTask { try await write(wakes, session, id, caller, writer) }
        // Whichever ends first ends the stream.
        defer { group.cancelAll() }
        try await group.next()
      }
    }
    await hub.close(id, workload: caller.name)
    log.info("proxy disconnected", metadata: ["workload": "\(caller.name)"])
    try result.get()
  }

  private func read(
    _ requests: RPCAsyncSequence<Apus_V1_DiscoveryRequest, any Error>, _ session: SharedSession,
    _ id: DiscoveryHub.StreamID
  ) async throws {
    for try await request in requests {
      do throws(DiscoverySession.Violation) {
        let due = try session.receive(request)
        await hub.record(session.value, of: id)
        if due { await hub.wake(id) }
      } catch {
        if case .anotherWorkload = error { throw RPCError(code: .permissionDenied, message: error.description) }
        throw RPCError(code: .invalidArgument, message: error.description)
      }
      if case .reject = request.kind {
        log.warning(
          "proxy rejected configuration",
          metadata: ["workload": "\(session.value.workload)", "reason": "\(session.value.rejection)"])
      }
    }
  }

  private func write(
    _ wakes: AsyncStream<Void>, _ session: SharedSession, _ id: DiscoveryHub.StreamID,
    _ caller: AuthenticatedWorkload, _ writer: RPCWriter<Apus_V1_DiscoveryResponse>
  ) async throws {
    for await _ in wakes {
      // A token is good only while its lease lives; a taken-over lease keeps its token.
      guard await registry.authenticate(caller.token)?.name == caller.name else {
        throw RPCError(code: .unauthenticated, message: AuthenticatedWorkload.unknownTokenMessage)
      }
      for message in session.delta(to: await hub.snapshot) { try await writer.write(message) }
      await hub.record(session.value, of: id)
    }
  }
}

/// A session that its stream's two tasks share. The lock is held for the pure steps only.
private final class SharedSession: Sendable {
  private let state: Mutex<DiscoverySession>

  init(_ session: DiscoverySession) { state = Mutex(session) }

  var value: DiscoverySession { state.withLock { $0 } }

  func receive(_ request: Apus_V1_DiscoveryRequest) throws(DiscoverySession.Violation) -> Bool {
    try state.withLock { session throws(DiscoverySession.Violation) in try session.receive(request) }
  }

  func delta(to snapshot: DistributionSnapshot) -> [Apus_V1_DiscoveryResponse] {
    state.withLock { $0.delta(to: snapshot) }
  }
}

extension Result where Failure == any Error {
  fileprivate init(_ body: () async throws -> Success) async {
    do {
      self = .success(try await body())
    } catch {
      self = .failure(error)
    }
  }
}
