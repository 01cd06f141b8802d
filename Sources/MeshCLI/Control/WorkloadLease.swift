internal import GRPCCore
internal import Glibc
internal import MeshAPI
package import MeshCore
internal import SwiftProtobuf
internal import Synchronization

/// Keeps one workload registered for as long as it lives: one `Admin.Register` stream with heartbeats, and after a loss a
/// new one under the same name, address and token, with jittered backoff. The stream's end releases the lease.
package final class WorkloadLease: Sendable {
  package enum Event: Sendable {
    case granted(Grant)
    /// The controller understood and said no; asking again would not help.
    case refused(String)
    case lost(String)
  }

  package static let firstDelay: TimeSpan = .milliseconds(100)
  package static let maximumDelay: TimeSpan = .seconds(5)

  private struct Pulse: Sendable {
    var ready = false
    var draining = false
  }

  private struct State {
    /// What an earlier stream was given, and with what the next one claims it back.
    var grant: Grant?
    var hadGrant = false
    var pulse = Pulse()
    var wake: AsyncStream<Void>.Continuation?
  }

  private let path: RegistrationPath
  private let options: RunOptions
  private let state = Mutex(State())
  private let report: @Sendable (Event) -> Void

  package init(path: RegistrationPath, options: RunOptions, report: @escaping @Sendable (Event) -> Void) {
    self.path = path
    self.options = options
    self.report = report
  }

  /// Tells the controller at once, and again with every heartbeat.
  package func pulse(ready: Bool, draining: Bool) {
    let wake = state.withLock { state in
      state.pulse = Pulse(ready: ready, draining: draining)
      return state.wake
    }
    wake?.yield()
  }

  /// Runs until cancelled or refused.
  package func run() async {
    var random = SystemRandomNumberGenerator()
    var delay = Self.firstDelay
    while !Task.isCancelled {
      do {
        try await session()
        report(.lost("the stream ended"))
      } catch is CancellationError {
        return
      } catch let error as RPCError where Self.isRefusal(error) {
        report(.refused(error.message))
        return
      } catch let error as RPCError {
        report(.lost("\(path.place): \(AdminClient.reason(error))"))
      } catch {
        report(.lost("\(path.place): \(error)"))
      }
      let hadGrant = state.withLock { state in
        defer { state.hadGrant = false }
        return state.hadGrant
      }
      if hadGrant { delay = Self.firstDelay }
      // Jitter: many workloads that lost the same controller come back spread out.
      let wait = Int64.random(in: delay.nanoseconds / 2...delay.nanoseconds, using: &random)
      try? await Task.sleep(nanoseconds: UInt64(wait))
      delay = min(TimeSpan(nanoseconds: delay.nanoseconds * 2), Self.maximumDelay)
    }
  }

  private static func isRefusal(_ error: RPCError) -> Bool {
    switch error.code {
    case .invalidArgument, .permissionDenied, .alreadyExists, .failedPrecondition, .unimplemented, .notFound: true
    default: false
    }
  }

  // MARK: - One stream

  private func session() async throws {
    try path.check()
    let (beats, wake) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
    defer { wake.finish() }
    try await path.register { writer in
      try await writer.write(.with { $0.register = self.registration() })
      for await _ in beats { try await writer.write(.with { $0.heartbeat = self.heartbeat() }) }
    } onResponse: { response in
      try await self.receive(response, wake: wake)
    }
  }

  /// Heartbeats start with the first one, at a third of the lease.
  private func receive(
    _ response: StreamingClientResponse<Apus_V1_RegisterResponse>, wake: AsyncStream<Void>.Continuation
  ) async throws {
    var isFirst = true
    try await withThrowingTaskGroup(of: Void.self) { group in
      defer {
        group.cancelAll()
        state.withLock { $0.wake = nil }
        wake.finish()
      }
      for try await message in response.messages {
        if isFirst {
          isFirst = false
          state.withLock { state in
            state.grant = Self.grant(message)
            state.hadGrant = true
            state.wake = wake
          }
          let period = max(1, Double(message.leaseSeconds) / 3)
          group.addTask {
            while !Task.isCancelled {
              wake.yield()
              try await Task.sleep(for: .seconds(period))
            }
          }
        }
        report(.granted(Self.grant(message)))
      }
    }
  }

  private func registration() -> Apus_V1_WorkloadRegistration {
    let grant = state.withLock { $0.grant }
    return .with {
      $0.service = options.service
      $0.namespace = options.namespace
      $0.serviceAccount = options.serviceAccount
      $0.ports = options.ports.map(UInt32.init)
      $0.labels = options.labels
      $0.processID = Int64(getpid())
      if let grant {
        $0.name = grant.workload
        $0.address = grant.address
        $0.joinToken = grant.token
      } else if let evidence = path.evidence {
        $0.evidence = evidence
      }
    }
  }

  private func heartbeat() -> Apus_V1_Heartbeat {
    let pulse = state.withLock { $0.pulse }
    return .with {
      $0.ready = pulse.ready
      $0.draining = pulse.draining
    }
  }

  private static func grant(_ message: Apus_V1_RegisterResponse) -> Grant {
    Grant(
      workload: message.workload, address: message.address, token: message.joinToken, controller: message.controller,
      trustAnchors: message.trustAnchorsPem, identity: message.identity)
  }
}
