import CLinux
import Glibc
import MeshCore
import MeshRuntime
import MeshTelemetry

/// The composition root of `apus-proxy`: makes the worker threads and the control thread, opens the listeners, and waits for
/// signals on the main thread.
///
/// SIGTERM and SIGINT drain; a second one ends the process at once.
package enum Proxy {
  /// Runs until the proxy is told to stop. Returns the process's exit status.
  package static func run(arguments: [String], joinToken: String) -> Int32 {
    let options: ProxyOptions
    do throws(UsageError) {
      guard let parsed = try ProxyOptions.parse(arguments, joinToken: joinToken) else {
        write(STDOUT_FILENO, ProxyOptions.help + "\n")
        return 0
      }
      options = parsed
    } catch {
      write(STDERR_FILENO, "apus-proxy: \(error)\n")
      return 64
    }
    let log = ProxyLog(name: options.workload.isEmpty ? "forward" : options.workload)
    do {
      return try serve(options, log)
    } catch {
      log.error("\(error)")
      return 1
    }
  }

  private static func serve(_ options: ProxyOptions, _ log: ProxyLog) throws -> Int32 {
    blockSignals()
    let options = protectKeys(options, log)
    if let limit = ProcessLimits.raiseOpenFiles() { ProcessLimits.reserveOpenFiles(min(limit, 16_384)) }
    var anchors: [UInt8] = []
    if options.controller != nil {
      guard let text = FileText.read(options.trustAnchorsFile) else {
        log.error("cannot read the trust anchors in \(options.trustAnchorsFile)")
        return 1
      }
      anchors = Array(text.utf8)
    }
    let forwardTLS = try options.forwardTLS.load()
    let (stops, startup) = try start(options, log, anchors, forwardTLS)
    guard startup.wait() else { return 1 }
    log.info("listening on \(options.address.host), \(stops.workers.count) worker(s)")
    waitForSignals(stops, log)
    return 0
  }

  /// Before the first key is made or read.
  private static func protectKeys(_ options: ProxyOptions, _ log: ProxyLog) -> ProxyOptions {
    var options = options
    if !options.allowsCoreDumps, !KeyMemory.forbidDumps() { log.warning("core dumps of keys cannot be forbidden") }
    let workers = workerCount(options)
    options.keyMemory = KeyMemory.prepare(workers: workers)
    options.keyMemoryBytes = options.keyMemory == .unprotected ? 0 : KeyMemory.size(workers: workers)
    if options.keyMemory != .locked {
      log.warning("the memory of keys is \(options.keyMemory.rawValue), so it may be swapped out; raise RLIMIT_MEMLOCK")
    }
    return options
  }

  private static func workerCount(_ options: ProxyOptions) -> Int {
    options.workers > 0 ? options.workers : min(4, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN))))
  }

  private struct Threads {
    var workers: [ProxyWorkerHandle]
    var control: ControlHandle
    var all: [WorkerThread]
  }

  private static func start(
    _ options: ProxyOptions, _ log: ProxyLog, _ anchors: [UInt8], _ forwardTLS: TLSConfiguration?
  ) throws -> (Threads, Startup) {
    let count = workerCount(options)
    let startup = Startup(parties: count + 1)
    var generator = SystemRandomNumberGenerator()
    let relay = ControlRelay()
    let shared = SharedLimits(options.limits)
    var handles: [ProxyWorkerHandle] = []
    var threads: [WorkerThread] = []
    for index in 0..<count {
      let cell = HandleCell()
      let thread = try WorkerThread(index: index, seed: generator.next()) { loop in
        let handle = ProxyWorkerHandle(index: index, inbox: loop.inbox)
        cell.put(handle)
        let part = WorkerPart(index: index, count: count)
        startup.arrive(setUpWorker(loop, handle, part, options, relay, shared, log, forwardTLS))
      }
      handles.append(cell.take())
      threads.append(thread)
    }
    let workers = handles
    let cell = ControlCell()
    let controlThread = try WorkerThread(index: 0, seed: generator.next(), name: "control") { loop in
      let control = ControlThread(
        loop: loop, options: options, workers: workers, shared: shared, log: log, anchors: anchors)
      let handle = control.makeHandle()
      relay.set(handle)
      cell.put(handle)
      startup.arrive(setUpControl(control, options, log))
    }
    threads.append(controlThread)
    return (Threads(workers: workers, control: cell.take(), all: threads), startup)
  }

  private static func setUpWorker(
    _ loop: Worker, _ handle: ProxyWorkerHandle, _ part: WorkerPart, _ options: ProxyOptions, _ relay: ControlRelay,
    _ shared: SharedLimits, _ log: ProxyLog, _ forwardTLS: TLSConfiguration?
  ) -> Bool {
    let index = handle.index
    let worker = ProxyWorker(
      loop: loop, limits: options.limits, part: part, namespace: options.namespace, client: options.identity,
      accessLog: AccessLogWriter(policy: options.accessLog, pool: loop.pool), log: log,
      shared: shared, share: { report in relay.post { $0.share(report, from: index) } },
      names: { notice in relay.post { $0.discovery.names.take(notice, from: index) } },
      subscribe: { key in relay.post { $0.discovery.subscribe(key, for: index) } })
    worker.refreshKeys = { source in relay.post { $0.keySets.refresh(source) } }
    handle.bind(worker)
    worker.plaintext.report = { contact in relay.post { $0.callers.met(contact) } }
    var address = options.address
    do {
      let tls = try forwardTLS.map { try TLSContext($0) }
      for forward in options.forwards {
        try worker.listen(.forward(forward.upstream, options.forwardProtocol), on: forward.local, tls: tls)
      }
      for mapped in options.mappedListeners { try worker.listen(.mapped(mapped.service), on: mapped.local) }
      guard options.controller != nil else { return true }
      address.port = options.ports.outbound
      try worker.listen(.outboundProxy, on: address)
      address.port = options.ports.inboundPlaintext
      try worker.listen(.inboundPlaintext, on: address)
      return true
    } catch {
      log.error("\(error)")
      return false
    }
  }

  private static func setUpControl(_ control: ControlThread, _ options: ProxyOptions, _ log: ProxyLog) -> Bool {
    guard options.controller != nil || options.metricsPort != nil else {
      control.start()
      return true
    }
    var address = options.address
    do throws(RuntimeError) {
      address.port = options.ports.metrics
      _ = try control.loop.listen(address, handler: control.retain(AdminServer(.metrics, control: control)))
      if options.controller == nil {
        control.start()
        return true
      }
      if let problem = AdminGuard.problem(of: options.adminTokenFile) {
        log.error(problem)
        return false
      }
      _ = try control.loop.listen(options.adminAddress, handler: control.retain(AdminServer(.admin, control: control)))
    } catch {
      log.error("\(error)")
      return false
    }
    control.start()
    return true
  }

  // MARK: - Signals

  private static func blockSignals() {
    signal(SIGPIPE, SIG_IGN)
    var set = sigset_t()
    sigemptyset(&set)
    sigaddset(&set, SIGTERM)
    sigaddset(&set, SIGINT)
    pthread_sigmask(SIG_BLOCK, &set, nil)
  }

  private static func waitForSignals(_ threads: Threads, _ log: ProxyLog) {
    var set = sigset_t()
    sigemptyset(&set)
    sigaddset(&set, SIGTERM)
    sigaddset(&set, SIGINT)
    var number: Int32 = 0
    while sigwait(&set, &number) != 0 {}
    let drained = Startup(parties: 1)
    threads.control.post { control in
      control.drain { drained.arrive(true) }
    }
    // A second signal while draining ends the process as signals do.
    signal(SIGTERM, SIG_DFL)
    signal(SIGINT, SIG_DFL)
    pthread_sigmask(SIG_UNBLOCK, &set, nil)
    _ = drained.wait()
    log.info("drained")
    for worker in threads.workers { worker.stop() }
    threads.control.stop()
    for thread in threads.all { thread.join() }
  }

  private static func write(_ descriptor: Int32, _ text: String) {
    var text = text
    text.withUTF8 { _ = Glibc.write(descriptor, $0.baseAddress, $0.count) }
  }
}
