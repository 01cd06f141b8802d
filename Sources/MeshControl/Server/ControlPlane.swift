import CLinux
import GRPCCore
import GRPCNIOTransportHTTP2Posix
import Glibc
package import Logging
import MeshAPI
package import MeshCore
import MeshIdentity
import NIOCore
import X509

#if canImport(FoundationEssentials)
package import FoundationEssentials
#else
package import Foundation
#endif

/// The control plane of one machine, composed: state directory, authority, registry, compiler, and the two gRPC servers
/// (Discovery and Identity over TLS for proxies, Admin on a Unix socket for the tool).
package struct ControlPlane: Sendable {
  package struct Options: Sendable {
    package var manifestDirectory: String
    package var stateDirectory: String
    package var listenAddress = MeshCore.SocketAddress(ipv4: 0x7F42_0001, port: 15010)
    /// Of the controller's own numbers, on `listenAddress`.
    package var metricsPort = MetricsServer.port
    package var trustDomain = SPIFFEID.defaultTrustDomain
    package var certificateLifetime = CertificateAuthority.defaultLifetime
    /// Of generated roots and issuers.
    package var rootLifetime = AuthorityMaker.rootLifetime
    package var issuerLifetime = AuthorityMaker.issuerLifetime
    /// Who signs issuers; nil: the mesh itself.
    package var signer: SignerOptions?
    package var version = ApusVersion.current
    package var clock = ControlClock.system
    package var isAddressFree: @Sendable (MeshCore.SocketAddress) -> Bool = AddressProbe.isFree

    package init(manifestDirectory: String, stateDirectory: String) {
      self.manifestDirectory = manifestDirectory
      self.stateDirectory = stateDirectory
    }
  }

  package let options: Options
  package let log: Logger

  package init(options: Options, log: Logger) {
    self.options = options
    self.log = log
  }

  /// Runs until SIGTERM, SIGINT (what `stop` says) or cancellation, then shuts down in good order. `ready` is called once
  /// everything listens.
  package func run(until stop: ShutdownSignals = ShutdownSignals(), ready: @Sendable () -> Void = {}) async throws {
    signal(SIGPIPE, SIG_IGN)
    let parts = try await assemble()
    defer { parts.cleanUp() }
    // The first compilation, with the registrations of the last controller, comes before the first connection, so that
    // no proxy sees an empty mesh at a restart.
    await parts.state.replace(ManifestDirectory.load(directory: options.manifestDirectory))
    await parts.state.compile()
    log.info(
      "controller started",
      metadata: ["listen": "\(options.listenAddress)", "manifests": "\(options.manifestDirectory)"])
    ready()
    try await serve(parts, until: stop)
    log.info("controller stopped")
  }

  // MARK: - Composition

  private func assemble() async throws -> Parts {
    try checkManifestDirectory()
    let directory = options.stateDirectory
    let lock = try claimStateDirectory()
    let now = options.clock.wall()
    let authority = try AuthorityKeeper(
      store: AuthorityStore(
        directory: directory + "/ca", trustDomain: options.trustDomain,
        maker: AuthorityMaker(rootLifetime: options.rootLifetime, issuerLifetime: options.issuerLifetime)),
      clock: options.clock, log: log)
    let issued = IssuedLog(path: directory + "/ca/issued.log")
    let anchorsFile = AnchorsFile(path: directory + "/trust-anchors.pem")
    try anchorsFile.write(authority.holder.current)
    let registry = try WorkloadRegistry(
      path: directory + "/addresses.json", trustDomain: options.trustDomain, clock: options.clock, log: log,
      isAddressFree: options.isAddressFree)
    registry.metrics.add(authority.holder.expiry)
    if let signer = options.signer { await attach(signer, to: authority, registry.metrics) }
    try await authority.revive()
    let joinTokens = try JoinTokenStore(path: directory + "/join-tokens.json", clock: options.clock, log: log) {
      await registry.living(joinedBy: $0).count
    }
    let hub = DiscoveryHub(clock: options.clock)
    let rolloutClock = RolloutClock(options.clock)
    let rollouts = try RolloutController(
      file: RolloutFile(path: directory + "/rollouts.json"), clock: rolloutClock, log: log)
    let state = MeshState(
      registry: registry, hub: hub, trust: await authority.bundle,
      faultSwitch: FaultSwitch(path: directory + "/faults-stopped"),
      rollouts: rollouts, sessionKey: try SessionSecret.loadOrCreate(directory + "/session.key"), clock: options.clock,
      log: log)
    let tls = try ServerTLS(authority: authority.holder, now: now)
    await follow(authority, tls, anchorsFile, state)
    let adminPath = directory + "/control.sock"
    let sockets = try Sockets(proxies: options.listenAddress, metricsPort: options.metricsPort, admin: adminPath)
    let identity = IdentityService(
      authority: authority, issued: issued, registry: registry, hub: hub, lifetime: options.certificateLifetime,
      clock: options.clock, log: log)
    let admin = AdminService(
      facts: facts(authority.holder, started: now), registry: registry, joinTokens: joinTokens, hub: hub, state: state,
      rollouts: rollouts, authority: authority, issued: issued)
    let join = JoinService(registrations: admin, joinTokens: joinTokens, clock: options.clock, log: log)
    let discovery = DiscoveryService(hub: hub, registry: registry, log: log)
    return Parts(
      lock: lock, registry: registry, hub: hub, state: state, rollouts: rollouts, rolloutClock: rolloutClock, tls: tls,
      rotation: RotationLoop(keeper: authority, registry: registry, hub: hub, clock: options.clock, log: log),
      renewal: RenewalLoop(keeper: authority),
      proxies: Self.server(socket: sockets.proxies, tls: tls, services: [discovery, identity, join]),
      admin: Self.server(socket: sockets.admin, tls: nil, services: [admin]),
      adminPath: adminPath, metricsSocket: sockets.metrics)
  }

  /// Makes the directory when it is new. No other controller uses it while the lock is held.
  private func claimStateDirectory() throws -> StateLock {
    try AtomicFile.makeDirectory(options.stateDirectory)
    try StateOwner.check(options.stateDirectory)
    return try StateLock(options.stateDirectory + "/controller.lock")
  }

  /// Has all who use the authority take up its changes.
  private func follow(
    _ authority: AuthorityKeeper, _ tls: ServerTLS, _ anchorsFile: AnchorsFile, _ state: MeshState
  ) async {
    await authority.start { [holder = authority.holder, clock = options.clock, log] news in
      // The next connection may come from a workload that knows the new authority alone.
      do {
        try tls.renew(now: clock.wall())
        try anchorsFile.write(holder.current)
      } catch {
        log.error("a changed authority is not in use everywhere", metadata: ["error": "\(error)"])
      }
      await state.setTrust(news.bundle, number: news.number)
    }
  }

  private func facts(_ authority: AuthorityHolder, started: Date) -> AdminService.Facts {
    AdminService.Facts(
      version: options.version, controller: options.listenAddress.description, trustDomain: options.trustDomain,
      authority: authority, manifestDirectory: options.manifestDirectory,
      started: Int64(started.timeIntervalSince1970 * 1000))
  }

  private func checkManifestDirectory() throws {
    guard clinux_file_status(options.manifestDirectory, 1).kind == Int32(CLINUX_DIRECTORY.rawValue) else {
      throw ControlPlaneError(
        "\(options.manifestDirectory) is not a directory: make it (it may be empty) or pass another --manifests")
    }
  }

  /// TLS is put in front by hand: the transport's own would accept TLS 1.2 and keep its first certificate.
  private static func server(
    socket: Int32, tls: ServerTLS?, services: [any RegistrableRPCService]
  ) -> GRPCServer<HTTP2ServerTransport.Posix> {
    let config = HTTP2ServerTransport.Posix.Config.defaults { config in
      config.connection.keepalive.time = .seconds(30)
      config.connection.keepalive.timeout = .seconds(10)
      config.connection.keepalive.clientBehavior.allowWithoutCalls = true
      config.connection.keepalive.clientBehavior.minPingIntervalWithoutCalls = .seconds(5)
      config.http2.maxConcurrentStreams = 100
      guard let tls else { return }
      config.channelDebuggingCallbacks.onAcceptTCPConnection = { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHandler(tls.handler(), position: .first)
        }
      }
    }
    return GRPCServer(
      transport: .http2NIOPosix(listeningSocketDescriptor: Int(socket), transportSecurity: .plaintext, config: config),
      services: services)
  }
}
