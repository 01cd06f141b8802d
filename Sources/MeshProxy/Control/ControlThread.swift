import MeshAPI
import MeshCore
import MeshPolicy
import MeshRuntime
import MeshTelemetry
import SwiftProtobuf

/// The control side of one proxy: discovery stream, certificate renewal, readiness.
///
/// Confined to the control loop, so that nothing here ever delays a request. Workers get immutable values by message.
/// When the controller is gone the last configuration and certificate stay in force; reconnection backs off to 5 s with jitter.
final class ControlThread: GRPCChannelDelegate, TimerHandler {
  private enum Timer: Int { case reconnect, renew, keepalive, ticketKey }

  let loop: Worker
  let options: ProxyOptions
  let workers: [ProxyWorkerHandle]
  let shared: SharedLimits
  let log: ProxyLog
  private(set) var store = ConfigStore()
  private(set) lazy var names = NameKeeper(
    loop: loop, servers: options.dnsServers, log: log, publish: { [unowned self] in publish($0) },
    tell: { [unowned self] in tell($0, $1) })
  private(set) lazy var keySets = makeKeySets()
  private(set) lazy var adminGuard = AdminGuard(token: AdminGuard.read(options.adminTokenFile), log: log)
  let callers: CallerProcesses
  var identity: IdentityKeeper?
  private(set) var workload: WorkloadConfig?
  var reporter = IdentityReporter()
  private var draining: DrainCounter?
  var isDraining: Bool { draining != nil }

  private var channel: GRPCChannel?
  private var stream: GRPCCall?
  private var certifying: GRPCCall?
  private var backoff = Backoff(minimum: .milliseconds(100), maximum: .seconds(5))
  private lazy var reconnectTimer = LoopTimer(owner: self, tag: Timer.reconnect.rawValue)
  private(set) lazy var renewTimer = LoopTimer(owner: self, tag: Timer.renew.rawValue)
  private lazy var keepaliveTimer = LoopTimer(owner: self, tag: Timer.keepalive.rawValue)
  private lazy var ticketKeyTimer = LoopTimer(owner: self, tag: Timer.ticketKey.rawValue)
  private let bootstrapAnchors: [UInt8]
  private var meshListening = false
  private var servers: [AdminServer] = []

  private(set) var version: UInt64 = 0
  private(set) var rejected: UInt64 = 0
  private(set) var lastRejection = ""
  /// When the configuration was last known to be the newest.
  private(set) var lastInSync: Instant?
  let startTime = WallClock.now

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
    if let id = options.identity { identity = IdentityKeeper(identity: id) }
  }

  /// Keeps a server alive as long as the control thread.
  func retain(_ server: AdminServer) -> AdminServer {
    servers.append(server)
    return server
  }

  func start() {
    loop.schedule(ticketKeyTimer, after: .seconds(Int64(TLSContext.sessionLifetime)))
    if options.controller != nil { connect() }
  }

  /// Certificate held and own workload known; a plain forwarder is ready at once.
  var isReady: Bool {
    if isDraining { return false }
    guard options.controller != nil else { return true }
    return workload != nil && identity?.isValid(nowSeconds: WallClock.now / 1000) == true
  }

  var isConnected: Bool { stream != nil }

  var configAge: TimeSpan? { isConnected ? .zero : lastInSync.map { loop.now - $0 } }

  // MARK: - Connection

  private func connect() {
    guard let address = options.controller, !isDraining else { return }
    do throws(TLSContextError) {
      var configuration = TLSConfiguration(
        role: .client, key: nil, trustAnchorsPEM: bootstrapAnchors, protocols: ["h2"])
      configuration.trust = identity?.current?.trust
      let context = try TLSContext(configuration)
      let domain = options.identity?.trustDomain ?? SPIFFEID.defaultTrustDomain
      let controller = SPIFFEID(trustDomain: domain, namespace: "apus-system", serviceAccount: "apus-controller")
      let channel = GRPCChannel(loop: loop, authority: "apus-controller.apus-system", token: options.joinToken)
      channel.delegate = self
      self.channel = channel
      channel.connect(
        to: address,
        tls: TLSClient(
          context: context, expectedIdentity: controller, serverName: "apus-controller.apus-system"))
    } catch {
      log.error("trust anchors cannot be used: \(error); check the file given by --trust-anchors")
      scheduleReconnect()
    }
  }

  func channelConnected() {
    log.info("connected to the controller at \(options.controller?.description ?? "")")
    openStream()
    if identity?.current == nil { certify() }
    loop.schedule(keepaliveTimer, after: .seconds(10))
  }

  func channelFailed(_ reason: String) {
    if isConnected { lastInSync = loop.now }
    if channel?.isConnected == true || stream != nil || backoff.attempts == 0 {
      log.warning("no connection to the controller: \(reason); serving on with the last configuration")
    }
    channel = nil
    stream = nil
    certifying = nil
    loop.cancel(keepaliveTimer)
    scheduleReconnect()
  }

  private func scheduleReconnect() {
    loop.schedule(reconnectTimer, after: backoff.next(using: &loop.random))
  }

  func timerFired(_ timer: LoopTimer) {
    switch Timer(rawValue: timer.tag) {
    case .reconnect: connect()
    case .renew: certify()
    case .keepalive: keepAlive()
    case .ticketKey: rotateTicketKey()
    case nil: break
    }
  }

  /// A controller that has stopped without closing (a paused or vanished machine) answers no ping; then the stream is worth nothing.
  private func keepAlive() {
    guard let channel else { return }
    guard channel.hasHeardSinceLastPing else {
      log.warning("no sign of life from the controller for 10 s: reconnecting")
      return channel.close()
    }
    channel.sendPing()
    loop.schedule(keepaliveTimer, after: .seconds(10))
  }

  // MARK: - Discovery

  private func openStream() {
    guard let channel, let call = channel.start("/apus.v1.Discovery/Stream") else { return }
    stream = call
    var hello = Apus_V1_Hello()
    hello.proxyID = options.workload
    hello.version = ApusVersion.current
    hello.held = store.hashes.map { key, hash in
      var held = Apus_V1_HeldResource()
      held.name = Apus_V1_ResourceName(key)
      held.hash = hash
      return held
    }
    sendDiscovery(.hello(hello))
    if !store.subscribed.isEmpty { sendSubscribe(store.subscribed.sorted()) }
    confirmIdentity()
  }

  private func sendSubscribe(_ keys: [ServicePort]) {
    var subscribe = Apus_V1_Subscribe()
    subscribe.names = keys.map { Apus_V1_ResourceName(.service($0)) }
    sendDiscovery(.subscribe(subscribe))
  }

  func sendDiscovery(_ kind: Apus_V1_DiscoveryRequest.OneOf_Kind) {
    guard let channel, let stream else { return }
    var request = Apus_V1_DiscoveryRequest()
    request.kind = kind
    guard let bytes: [UInt8] = try? request.serializedBytes() else { return }
    channel.send(bytes, on: stream, last: false)
  }

  /// A worker meets a service for the first time.
  func subscribe(_ key: ServicePort, for worker: Int) {
    let isNew = store.subscribe(key)
    if let update = store.answer(for: key) {
      workers[worker].post { $0.apply(update) }
    } else if isNew {
      sendSubscribe([key])
    }
  }

  /// What one worker's checks found out.
  func share(_ report: HealthReport, from worker: Int) {
    for handle in workers where handle.index != worker { handle.post { $0.take(report) } }
  }

  func call(_ call: GRPCCall, received message: [UInt8]) {
    if call === certifying { return receiveCertificate(message) }
    guard call === stream else { return }
    do {
      receive(try Apus_V1_DiscoveryResponse(serializedBytes: message))
    } catch {
      log.error("the controller sent a discovery message that cannot be read: \(error)")
      channel?.close()
    }
  }

  private func receive(_ response: Apus_V1_DiscoveryResponse) {
    backoff.reset()
    var accepted: [(MeshResource, UInt64)] = []
    var reject = Apus_V1_Reject()
    reject.version = response.version
    for message in response.resources {
      do throws(ConversionError) {
        accepted.append((try MeshResource(message), message.hash))
      } catch {
        var one = Apus_V1_RejectedResource()
        one.name = message.name
        one.error = "\(error)"
        reject.resources.append(one)
      }
    }
    let removed = response.removed.compactMap { try? DiscoveryKey($0) }
    let update = store.apply(resolve(accepted, removed), removed: removed, outside: response.outsideServices)
    version = response.version
    lastInSync = loop.now
    for handle in workers { handle.post { $0.apply(update) } }
    for (resource, _) in accepted {
      guard let problem = applyOwn(resource) else { continue }
      var one = Apus_V1_RejectedResource()
      one.name = Apus_V1_ResourceName(resource.key)
      one.error = problem
      reject.resources.append(one)
    }
    if reject.resources.isEmpty {
      var ack = Apus_V1_Ack()
      ack.version = response.version
      sendDiscovery(.ack(ack))
    } else {
      rejected += 1
      lastRejection = reject.resources.map { "\($0.name.name): \($0.error)" }.joined(separator: "; ")
      log.error("configuration \(response.version) rejected in part: \(lastRejection)")
      sendDiscovery(.reject(reject))
    }
    noteTrust(accepted, refused: reject.resources)
  }

  /// Endpoints whose addresses the DNS has still to say come later.
  private func resolve(_ resources: [(MeshResource, UInt64)], _ removed: [DiscoveryKey]) -> [(MeshResource, UInt64)] {
    for case .endpoints(let key) in removed { names.remove(key) }
    return resources.compactMap { resource, hash in
      guard case .endpoints(let set) = resource else { return (resource, hash) }
      if let known = names.take(set) { return (.endpoints(known), hash) }
      store.note(hash, of: resource.key)
      return nil
    }
  }

  private func publish(_ set: EndpointSet) {
    let update = store.apply([(.endpoints(set), store.hashes[.endpoints(set.key)] ?? 0)], removed: [])
    for handle in workers { handle.post { $0.apply(update) } }
  }

  private func tell(_ named: NamedSet, _ users: Set<Int>) {
    for handle in workers where users.contains(handle.index) { handle.post { $0.apply(ConfigUpdate(named: [named])) } }
  }

  /// A worker meets a host for the first time, or has no use for it any more.
  func take(_ notice: HostNotice, from worker: Int) { names.take(notice, from: worker) }

  /// Resources that concern this proxy itself. Returns why one cannot be used.
  private func applyOwn(_ resource: MeshResource) -> String? {
    switch resource {
    case .workload(let config):
      workload = config
      keySets.follow(config.ports)
      let update = workloadUpdate(config)
      for handle in workers { handle.post { $0.apply(ConfigUpdate(workload: update)) } }
      listenForPeers()
    case .trust(let bundle): return take(bundle)
    case .service, .endpoints, .hosts: break
    }
    return nil
  }

  private func workloadUpdate(_ config: WorkloadConfig) -> WorkloadUpdate {
    WorkloadUpdate(
      name: config.name,
      ports: config.ports.map { port in
        var application = options.applicationHost
        application.port = port.port
        let own = ServicePort(
          service: ServiceName(name: config.name, namespace: config.namespace), port: port.port)
        return InboundPortConfig(
          port: port.port, appProtocol: port.appProtocol, service: port.service ?? own, application: application,
          rateLimits: port.rateLimits, globalRateLimit: port.globalRateLimit, requestBody: port.requestBody,
          adaptiveConcurrency: port.adaptiveConcurrency, compression: port.compression,
          authorization: port.authorization, longestIdle: port.longestIdle, tokens: port.tokens,
          meshTLS: port.meshTLS)
      },
      locality: config.locality, egress: config.egress)
  }

  func call(_ call: GRPCCall, ended status: Int, _ message: String) {
    if call === certifying {
      certifying = nil
      if status != 0 {
        log.error("no certificate from the controller (gRPC status \(status)): \(message)")
        loop.schedule(renewTimer, after: backoff.next(using: &loop.random))
      }
      return
    }
    guard call === stream else { return }
    if status == 16 {
      log.error("the controller refused this proxy's token: \(message); the workload must register again")
    }
    channel?.close()
  }

  // MARK: - Identity

  private func certify() {
    guard let channel, certifying == nil, identity != nil else {
      // Without a channel: tried again once it is back, and by this timer.
      if identity?.current != nil { loop.schedule(renewTimer, after: .seconds(1)) }
      return
    }
    do throws(TLSContextError) {
      guard let request = try identity?.makeRequest(), let call = channel.start("/apus.v1.Identity/Certify") else {
        return loop.schedule(renewTimer, after: .seconds(1))
      }
      certifying = call
      var message = Apus_V1_CertifyRequest()
      message.csrPem = request
      guard let bytes: [UInt8] = try? message.serializedBytes() else { return }
      channel.send(bytes, on: call, last: true)
    } catch {
      log.error("cannot make a certificate request: \(error)")
    }
  }

  private func receiveCertificate(_ message: [UInt8]) {
    guard let response = try? Apus_V1_CertifyResponse(serializedBytes: message) else {
      return log.error("the controller sent a certificate that cannot be read")
    }
    do throws(TLSContextError) {
      try identity?.accept(response, nowSeconds: WallClock.now / 1000)
      backoff.reset()
      reporter.take(response)
      publishIdentity()
    } catch {
      log.error("the certificate from the controller cannot be used: \(error); keeping the old one")
      loop.schedule(renewTimer, after: .seconds(5))
    }
  }

  /// Sends the certificate to every worker.
  private func publishIdentity() {
    guard let keeper = identity, let material = keeper.current else { return }
    let log = log
    for handle in workers {
      handle.post { worker in
        do throws(TLSContextError) {
          worker.setIdentity(
            WorkerIdentity(
              identity: keeper.identity, clientContext: try keeper.context(material, .client),
              serverContext: try keeper.context(material, .server)))
        } catch {
          log.error("worker \(handle.index): \(error)")
        }
      }
    }
    listenForPeers()
    loop.schedule(renewTimer, after: keeper.renewalDelay(nowSeconds: WallClock.now / 1000, &loop.random))
    confirmIdentity()
    ProcessMemory.releaseCode()
  }

  /// Opens the mesh port once there is a certificate to show and it is known which ports the workload serves: a peer
  /// that came earlier, as one does when a proxy is restarted under load, would be told that there is no such port.
  private func listenForPeers() {
    guard !meshListening, identity?.current != nil, workload != nil else { return }
    meshListening = true
    var mesh = options.address
    mesh.port = options.ports.mesh
    for handle in workers {
      handle.post { [mesh, log] worker in
        do throws(RuntimeError) {
          try worker.listen(.mesh, on: mesh)
        } catch {
          log.error("cannot listen on the mesh port: \(error)")
        }
      }
    }
  }

  /// One key for all workers: a client comes back to any of them. Tickets of the last key stay good for their hour.
  private func rotateTicketKey() {
    let key = TLSTicketKey()
    identity?.rotateTicketKey(to: key)
    for handle in workers { handle.post { $0.rotateTicketKey(to: key) } }
    loop.schedule(ticketKeyTimer, after: .seconds(Int64(TLSContext.sessionLifetime)))
  }

  // MARK: - Drain

  /// SIGTERM: not ready any more, workers finish what is in flight. `done` is called once, at the latest after the drain timeout.
  func drain(done: @escaping @Sendable () -> Void) {
    if let draining { return draining.notify(done) }
    log.info("draining: finishing requests in flight, at most \(Int(options.limits.drainTimeout.inSeconds)) s")
    let counter = DrainCounter(workers.count, done)
    draining = counter
    let handle = ControlHandle(inbox: loop.inbox)
    handle.bind(self)
    for worker in workers {
      worker.post { $0.drain { handle.post { _ in counter.arrive() } } }
    }
    counter.arm(loop, options.limits.drainTimeout)
  }
}

/// Calls back when every worker has drained or the time is up, whichever is first. Touched on the control loop only.
final class DrainCounter: TimerHandler, @unchecked Sendable {
  private var waiting: Int
  private var listeners: [@Sendable () -> Void]
  private var isFinished = false
  private lazy var timer = LoopTimer(owner: self)

  init(_ count: Int, _ done: @escaping @Sendable () -> Void) {
    waiting = count
    listeners = [done]
  }

  /// Somebody else wants to know, too.
  func notify(_ done: @escaping @Sendable () -> Void) {
    if isFinished { done() } else { listeners.append(done) }
  }

  func arm(_ loop: Worker, _ timeout: TimeSpan) { loop.schedule(timer, after: timeout) }

  func arrive() {
    waiting -= 1
    if waiting <= 0 { finish() }
  }

  func timerFired(_ timer: LoopTimer) { finish() }

  private func finish() {
    isFinished = true
    for done in listeners { done() }
    listeners = []
  }
}
