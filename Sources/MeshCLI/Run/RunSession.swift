internal import Foundation
internal import Glibc
internal import MeshControl
internal import MeshCore
internal import MeshIdentity

/// Carries out what `RunMachine` decides: the lease, the proxy, the program, timers and probes of one `apus run`.
///
/// All events pass through one stream, so the machine sees them one at a time; this actor guards the rest.
package actor RunSession {
  private static let proxyTag = "proxy"
  private static let programTag = "program"

  private let options: RunOptions
  private let directory: StateDirectory
  private let environment: [String: String]
  private let programPath: String
  private let proxyPath: String
  private let events: AsyncStream<RunMachine.Event>
  private let post: AsyncStream<RunMachine.Event>.Continuation
  private let keeper: ProcessKeeper
  private let lease: WorkloadLease

  private var machine: RunMachine
  private var plan: RunPlan?
  private var leaseTask: Task<Void, Never>?
  private var timers: [RunMachine.Timer: Task<Void, Never>] = [:]
  private var proxyProbe: Task<Void, Never>?
  private var programProbe: Task<Void, Never>?
  private var exitCode: Int32?

  /// Throws when the program or the proxy cannot be found, before anything is registered.
  package init(options: RunOptions, directory: StateDirectory, environment: [String: String]) throws {
    self.options = options
    self.directory = directory
    self.environment = environment
    do {
      programPath = try Executables.find(options.program[0], path: environment["PATH"])
    } catch {
      throw CLIFailure(error.description, exitCode: error.exitCode)
    }
    proxyPath = try Executables.companion("apus-proxy")
    let (events, post) = AsyncStream<RunMachine.Event>.makeStream()
    self.events = events
    self.post = post
    machine = RunMachine(
      readyTimeout: options.readyTimeout, drainDelay: options.drainDelay, drainTimeout: options.drainTimeout)
    keeper = try ProcessKeeper(signals: [SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2]) { event in
      switch event {
      case .signal(let number): post.yield(.signal(number))
      case .exited(Self.proxyTag, let status): post.yield(.proxyExited(status))
      case .exited(_, let status): post.yield(.programExited(status))
      }
    }
    lease = WorkloadLease(path: options.joinFile.map { .joining($0) } ?? .socket(directory), options: options) {
      event in
      switch event {
      case .granted(let grant): post.yield(.registered(grant))
      case .refused(let reason): post.yield(.registrationRefused(reason))
      case .lost(let reason): post.yield(.controllerLost(reason))
      }
    }
  }

  /// Runs to the end and returns the exit code.
  package func run() async -> Int32 {
    post.yield(.start)
    for await event in events {
      for action in machine.event(event) { await perform(action) }
      if let exitCode {
        removeProxyFiles()
        return exitCode
      }
    }
    return ExitCodes.failure
  }

  private func perform(_ action: RunMachine.Action) async {
    switch action {
    case .register: leaseTask = Task { [lease] in await lease.run() }
    case .startProxy(let grant): await startProxy(grant)
    case .awaitProxyReady: awaitProxy()
    case .startProgram: await startProgram()
    case .awaitProgram: awaitProgram()
    case .heartbeat(let ready, let draining): lease.pulse(ready: ready, draining: draining)
    case .signalProgram(let number): keeper.send(number, to: Self.programTag, group: number == SIGKILL)
    case .signalProxy(let number): keeper.send(number, to: Self.proxyTag)
    case .schedule(let timer, let span): schedule(timer, after: span)
    case .cancel(let timer): timers.removeValue(forKey: timer)?.cancel()
    case .release: await release()
    case .say(let text): Terminal.say(text)
    case .exit(let code): exitCode = code
    }
  }

  private func schedule(_ timer: RunMachine.Timer, after span: TimeSpan) {
    timers.removeValue(forKey: timer)?.cancel()
    timers[timer] = Task { [post] in
      do { try await Task.sleep(nanoseconds: UInt64(max(span.nanoseconds, 0))) } catch { return }
      post.yield(.timer(timer))
    }
  }

  /// Ends the stream and lets the controller hear it before we are gone; the lease would expire anyway.
  private func release() async {
    leaseTask?.cancel()
    await leaseTask?.value
  }

  // MARK: - Proxy

  private func startProxy(_ grant: Grant) async {
    do {
      let plan = try RunPlan(options: options, grant: grant) { port in
        SocketAddress(grant.address, defaultPort: port).map { HTTPFetch.isFree($0) } ?? false
      }
      // A restarted proxy keeps the ports the program was told.
      if self.plan?.grant.address != grant.address || self.plan == nil {
        self.plan = plan
      } else {
        self.plan?.grant = grant
      }
      try writeProxyFiles(grant)
    } catch {
      post.yield(.proxyStartFailed("\(error)"))
      return
    }
    guard let plan else { return }
    let command = ProgramCommand(
      path: proxyPath,
      arguments: plan.proxyArguments(
        trustAnchorsFile: directory.anchors(of: grant.workload),
        adminTokenFile: directory.adminToken(of: grant.workload)),
      environment: plan.proxyEnvironment(environment), withoutInput: true)
    do {
      _ = try await keeper.spawn(command, tag: Self.proxyTag)
    } catch {
      post.yield(.proxyStartFailed(error.description))
    }
  }

  private func awaitProxy() {
    proxyProbe?.cancel()
    guard let address = plan.flatMap({ SocketAddress($0.grant.address, defaultPort: RunPlan.metricsPort) }) else {
      return
    }
    proxyProbe = Task { [post] in
      while !Task.isCancelled {
        if let response = try? await HTTPFetch.get(address, path: "/ready", timeout: .seconds(1)),
          response.status == 200, !Task.isCancelled
        {
          post.yield(.proxyReady)
          return
        }
        try? await Task.sleep(for: .milliseconds(50))
      }
    }
  }

  /// The trust anchors, and a new token for the admin port: whoever read an old one has nothing.
  private func writeProxyFiles(_ grant: Grant) throws {
    let anchors = directory.anchors(of: grant.workload)
    do throws(StorageError) {
      try AtomicFile.makeDirectory(AtomicFile.parent(of: anchors))
      try AtomicFile.write(grant.trustAnchors, to: anchors)
      try AtomicFile.write(Secret.random() + "\n", to: directory.adminToken(of: grant.workload))
    } catch {
      throw CLIFailure(error.description, fix: "check permissions and space: df -h \(directory.path)")
    }
  }

  private func removeProxyFiles() {
    guard let workload = plan?.grant.workload else { return }
    for file in [directory.anchors(of: workload), directory.adminToken(of: workload)] { unlink(file) }
  }

  // MARK: - Program

  private func startProgram() async {
    guard let plan else { return }
    let command = ProgramCommand(
      path: programPath, arguments: options.program, environment: plan.programEnvironment(environment))
    do {
      _ = try await keeper.spawn(command, tag: Self.programTag)
    } catch {
      post.yield(.programStartFailed(error))
    }
  }

  private func awaitProgram() {
    programProbe?.cancel()
    guard let port = options.ports.first else {
      post.yield(.programAccepts)
      return
    }
    guard let address = plan.flatMap({ SocketAddress($0.appAddress, defaultPort: port) }) else { return }
    programProbe = Task { [post] in
      var delay: Int64 = 10
      while !Task.isCancelled {
        if await HTTPFetch.accepts(address) {
          post.yield(.programAccepts)
          return
        }
        try? await Task.sleep(for: .milliseconds(delay))
        delay = min(delay * 2, 250)
      }
    }
  }
}
