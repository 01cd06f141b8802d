import MeshAPI
import MeshCore
import MeshPolicy
import MeshRuntime

/// The control side of one proxy: what it learns from the controller, whether it is ready, how it drains.
///
/// Confined to the control loop, so that nothing here ever delays a request. Workers get immutable values by message.
/// When the controller is gone the last configuration and certificate stay in force.
final class ControlThread: TimerHandler {
  let loop: Worker
  let options: ProxyOptions
  let workers: [ProxyWorkerHandle]
  let shared: SharedLimits
  let log: ProxyLog
  let callers: CallerProcesses
  let startTime = WallClock.now

  private(set) lazy var link = ControllerLink(self, anchors: bootstrapAnchors)
  private(set) lazy var discovery = DiscoveryClient(self)
  private(set) lazy var certificates = CertificateClient(self)
  private(set) lazy var keySets = makeKeySets()
  private(set) lazy var adminGuard = AdminGuard(token: AdminGuard.read(options.adminTokenFile), log: log)
  /// What this proxy serves; nil until the controller has said so.
  private(set) var workload: WorkloadConfig?

  private let bootstrapAnchors: [UInt8]
  private var meshListening = false
  private var draining: DrainCounter?
  private var servers: [AdminServer] = []
  private lazy var ticketKeyTimer = LoopTimer(owner: self)

  init(
    loop: Worker, options: ProxyOptions, workers: [ProxyWorkerHandle], shared: SharedLimits, log: ProxyLog,
    anchors: [UInt8]
  ) {
    self.loop = loop
    self.options = options
    self.workers = workers
    self.shared = shared
    self.log = log
    bootstrapAnchors = anchors
    callers = CallerProcesses(loop: loop)
  }

  /// Keeps a server alive as long as the control thread.
  func retain(_ server: AdminServer) -> AdminServer {
    servers.append(server)
    return server
  }

  func start() {
    loop.schedule(ticketKeyTimer, after: .seconds(Int64(TLSContext.sessionLifetime)))
    if options.controller != nil { link.connect() }
  }

  // MARK: - State

  var identity: IdentityKeeper? { certificates.keeper }
  var isDraining: Bool { draining != nil }
  var isConnected: Bool { discovery.isOpen }

  /// Certificate held and own workload known; a plain forwarder is ready at once.
  var isReady: Bool {
    if isDraining { return false }
    guard options.controller != nil else { return true }
    return workload != nil && identity?.isValid(nowSeconds: WallClock.now / 1000) == true
  }

  // MARK: - Controller

  func linkOpened() {
    discovery.linkOpened()
    certificates.linkOpened()
  }

  func linkLost() {
    discovery.linkLost()
    certificates.linkLost()
  }

  /// A resource that concerns this proxy itself. Returns why it cannot be used.
  func applyOwn(_ resource: MeshResource) -> String? {
    switch resource {
    case .workload(let config):
      workload = config
      keySets.follow(config.ports)
      let update = WorkloadUpdate(config, applicationHost: options.applicationHost)
      tellWorkers { $0.apply(ConfigUpdate(workload: update)) }
      listenForPeers()
    case .trust(let bundle): return certificates.take(bundle)
    case .service, .endpoints, .hosts: break
    }
    return nil
  }

  // MARK: - Workers

  func tellWorkers(_ body: @escaping @Sendable (ProxyWorker) -> Void) {
    for handle in workers { handle.post(body) }
  }

  /// The way back to here for what workers run.
  func makeHandle() -> ControlHandle {
    let handle = ControlHandle(inbox: loop.inbox)
    handle.bind(self)
    return handle
  }

  /// What one worker's checks found out.
  func share(_ report: HealthReport, from worker: Int) {
    for handle in workers where handle.index != worker { handle.post { $0.take(report) } }
  }

  /// Opens the mesh port once there is a certificate to show and it is known which ports the workload serves: a peer
  /// that came earlier, as one does when a proxy is restarted under load, would be told that there is no such port.
  func listenForPeers() {
    guard !meshListening, identity?.current != nil, workload != nil else { return }
    meshListening = true
    var mesh = options.address
    mesh.port = options.ports.mesh
    tellWorkers { [mesh, log] worker in
      do throws(RuntimeError) {
        try worker.listen(.mesh, on: mesh)
      } catch {
        log.error("cannot listen on the mesh port: \(error)")
      }
    }
  }

  func timerFired(_ timer: LoopTimer) { rotateTicketKey() }

  /// One key for all workers: a client comes back to any of them. Tickets of the last key stay good for their hour.
  private func rotateTicketKey() {
    let key = TLSTicketKey()
    certificates.rotateTicketKey(to: key)
    tellWorkers { $0.rotateTicketKey(to: key) }
    loop.schedule(ticketKeyTimer, after: .seconds(Int64(TLSContext.sessionLifetime)))
  }

  // MARK: - Drain

  /// SIGTERM: not ready any more, workers finish what is in flight. `done` is called once, at the latest after the drain timeout.
  func drain(done: @escaping @Sendable () -> Void) {
    if let draining { return draining.notify(done) }
    log.info("draining: finishing requests in flight, at most \(Int(options.limits.drainTimeout.inSeconds)) s")
    let counter = DrainCounter(workers.count, done)
    draining = counter
    let handle = makeHandle()
    tellWorkers { $0.drain { handle.post { _ in counter.arrive() } } }
    counter.arm(loop, options.limits.drainTimeout)
  }
}
