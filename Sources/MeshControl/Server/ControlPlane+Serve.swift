import GRPCCore
import GRPCNIOTransportHTTP2Posix
import Glibc
import Logging
import MeshIdentity

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

extension ControlPlane {
  /// Everything that runs, assembled and listening.
  struct Parts: Sendable {
    let lock: StateLock
    let registry: WorkloadRegistry
    let hub: DiscoveryHub
    let state: MeshState
    let rollouts: RolloutController
    let rolloutClock: RolloutClock
    let tls: ServerTLS
    let rotation: RotationLoop
    let renewal: RenewalLoop
    let proxies: GRPCServer<HTTP2ServerTransport.Posix>
    let admin: GRPCServer<HTTP2ServerTransport.Posix>
    let adminPath: String
    let metricsSocket: Int32

    func cleanUp() {
      unlink(adminPath)
      lock.release()
    }
  }

  /// Time that calls in flight have to finish at shutdown.
  static let shutdownGrace: Duration = .milliseconds(500)

  func serve(_ parts: Parts, until stop: ShutdownSignals) async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { try await parts.proxies.serve() }
      group.addTask { try await parts.admin.serve() }
      group.addTask {
        try await MetricsServer(metrics: parts.registry.metrics).serve(socket: parts.metricsSocket)
      }
      group.addTask { await parts.state.run(ManifestDirectory(path: options.manifestDirectory)) }
      group.addTask {
        try await RolloutLoop(
          rollouts: parts.rollouts, state: parts.state, registry: parts.registry, clock: parts.rolloutClock
        ).run()
      }
      group.addTask { try await parts.rotation.run() }
      group.addTask { try await parts.renewal.run() }
      group.addTask { try await expireLeases(parts.registry) }
      group.addTask { try await renewCertificate(parts.tls) }
      group.addTask {
        await stop.wait()
        await parts.rollouts.freeze()
        await parts.registry.freeze()
        await parts.hub.closeAll()
        parts.proxies.beginGracefulShutdown()
        parts.admin.beginGracefulShutdown()
        try? await Task.sleep(for: Self.shutdownGrace)
        throw CancellationError()
      }
      // None of these ends by itself, so the first end is everybody's. `waitForAll` would wait for the others.
      do {
        try await group.next()
      } catch is CancellationError {
      } catch {
        group.cancelAll()
        guard stop.isRaised || Task.isCancelled else { throw error }
      }
      group.cancelAll()
      while await group.nextResult() != nil {}
    }
  }

  private func expireLeases(_ registry: WorkloadRegistry) async throws {
    while true {
      try await Task.sleep(for: .seconds(1))
      await registry.expire()
      await registry.save()
    }
  }

  /// At half of its life, then hourly until it works.
  private func renewCertificate(_ tls: ServerTLS) async throws {
    var wait = ServerTLS.lifetime / 2
    while true {
      try await Task.sleep(for: .seconds(wait))
      do {
        try tls.renew(now: options.clock.wall())
        wait = ServerTLS.lifetime / 2
      } catch {
        log.error("cannot renew the controller's certificate", metadata: ["error": "\(error)"])
        wait = 3600
      }
    }
  }
}
