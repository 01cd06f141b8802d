package import MeshCore

/// The life of one `apus run`: registration, proxy, program, drain, exit. Pure: events in, actions out.
///
/// Order held: register, start the proxy, proxy ready, start the program, program accepts, mark ready. On SIGTERM or
/// SIGINT: leave the endpoint sets, wait `drainDelay`, pass the signal on, wait for the program (at most `drainTimeout`),
/// stop the proxy, release the lease, exit as the program did. The proxy is restarted, the program never is.
package struct RunMachine: Sendable {
  package enum Event: Hashable, Sendable {
    case start
    /// The controller accepted the registration, the first time or again.
    case registered(Grant)
    case registrationRefused(String)
    case controllerLost(String)
    case proxyStartFailed(String)
    case proxyReady
    case proxyExited(ExitStatus)
    case programStartFailed(SpawnFailure)
    /// The program accepts connections on its first port.
    case programAccepts
    case programExited(ExitStatus)
    case signal(Int32)
    case timer(Timer)
  }

  package enum Timer: Hashable, Sendable {
    /// Registration and the proxy's first readiness.
    case readiness
    case proxyRestart
    case drainDelay
    case drainTimeout
    case proxyStop
  }

  package enum Action: Hashable, Sendable {
    case register
    case startProxy(Grant)
    case awaitProxyReady
    case startProgram(Grant)
    case awaitProgram
    case heartbeat(ready: Bool, draining: Bool)
    case signalProgram(Int32)
    case signalProxy(Int32)
    case schedule(Timer, TimeSpan)
    case cancel(Timer)
    case release
    case say(String)
    case exit(Int32)
  }

  private enum Phase: Equatable {
    case idle
    case registering
    /// The proxy is on its way; the program is held.
    case preparing
    case running
    /// Endpoints are leaving; the signal to pass on afterwards.
    case draining(Int32)
    /// The program was told to end.
    case stopping
    /// The program has ended; the proxy finishes what it has.
    case closing(code: Int32)
    case exited
  }

  private enum Proxy: Equatable {
    case none, starting, ready, restarting
  }

  private var phase = Phase.idle
  private var proxy = Proxy.none
  private var grant: Grant?
  private var accepts = false
  private var controllerAway = false
  private var restarts = 0
  private let readyTimeout: TimeSpan
  private let drainDelay: TimeSpan
  private let drainTimeout: TimeSpan

  /// How long a proxy that was told to stop may take.
  package static let proxyStopTimeout: TimeSpan = .seconds(10)
  package static let firstRestartDelay: TimeSpan = .milliseconds(200)
  package static let maximumRestartDelay: TimeSpan = .seconds(5)

  package init(readyTimeout: TimeSpan, drainDelay: TimeSpan, drainTimeout: TimeSpan) {
    self.readyTimeout = readyTimeout
    self.drainDelay = min(drainDelay, drainTimeout)
    self.drainTimeout = drainTimeout
  }

  package mutating func event(_ event: Event) -> [Action] {
    if phase == .exited { return [] }
    switch event {
    case .start:
      guard phase == .idle else { return [] }
      phase = .registering
      return [.register, .schedule(.readiness, readyTimeout)]
    case .registered(let grant): return registered(grant)
    case .registrationRefused(let reason): return refused(reason)
    case .controllerLost(let reason): return lost(reason)
    case .proxyStartFailed(let reason): return proxyStartFailed(reason)
    case .proxyReady: return proxyReady()
    case .proxyExited(let status): return proxyExited(status)
    case .programStartFailed(let failure): return close(code: failure.exitCode, saying: failure.description)
    case .programAccepts:
      accepts = true
      return phase == .running ? [heartbeat] : []
    case .programExited(let status): return programExited(status)
    case .signal(let number): return signal(number)
    case .timer(let timer): return fired(timer)
    }
  }

  // MARK: - Controller

  private mutating func registered(_ new: Grant) -> [Action] {
    let old = grant
    grant = new
    if phase == .registering {
      phase = .preparing
      proxy = .starting
      return [.startProxy(new), .awaitProxyReady]
    }
    var actions: [Action] = []
    if controllerAway {
      controllerAway = false
      actions.append(.say("the control plane is back; \(new.workload) is registered again"))
    }
    actions.append(heartbeat)
    if let old, proxy == .starting, phase != .registering, old.keepsProxy(of: new), old.trustAnchors != new.trustAnchors
    {
      // It may wait for a controller that proves itself by the new ones alone.
      actions.append(.say("the mesh's trust anchors changed; restarting the proxy, which had not connected yet"))
      actions.append(.signalProxy(15))
    }
    if let old, !old.keepsProxy(of: new), proxy == .ready || proxy == .starting {
      actions.append(.say("the control plane changed the registration of \(new.workload); restarting its proxy"))
      actions.append(.signalProxy(15))
    }
    return actions
  }

  private mutating func refused(_ reason: String) -> [Action] {
    guard phase == .registering else { return [.say("the control plane refused to register again: \(reason)")] }
    phase = .exited
    return [.say("registration refused: \(reason)"), .exit(ExitCodes.failure)]
  }

  private mutating func lost(_ reason: String) -> [Action] {
    guard !controllerAway else { return [] }
    controllerAway = true
    if phase == .registering { return [.say("waiting for the control plane: \(reason)")] }
    return [.say("lost the control plane (\(reason)); the program goes on with the last configuration, reconnecting")]
  }

  /// What the controller should know now. Unready while the proxy is down: nobody could reach the program.
  private var heartbeat: Action {
    switch phase {
    case .running: .heartbeat(ready: accepts && proxy == .ready, draining: false)
    case .draining, .stopping, .closing: .heartbeat(ready: false, draining: true)
    default: .heartbeat(ready: false, draining: false)
    }
  }

  // MARK: - Proxy

  private mutating func proxyStartFailed(_ reason: String) -> [Action] {
    if phase == .preparing {
      phase = .exited
      return [.say(reason), .release, .exit(ExitCodes.failure)]
    }
    return scheduleRestart(saying: reason)
  }

  private mutating func proxyReady() -> [Action] {
    guard proxy == .starting, let grant else { return [] }
    proxy = .ready
    let again = restarts > 0
    restarts = 0
    switch phase {
    case .preparing:
      phase = .running
      return [.cancel(.readiness), .say("\(grant.workload) is in the mesh at \(grant.address)"), .startProgram(grant)]
        + [.awaitProgram]
    case .running:
      return (again ? [.say("the proxy is back")] : []) + [heartbeat]
    default: return []
    }
  }

  private mutating func proxyExited(_ status: ExitStatus) -> [Action] {
    switch phase {
    case .closing(let code):
      phase = .exited
      return [.cancel(.proxyStop), .release, .exit(code)]
    case .idle, .registering, .exited: return []
    default: return scheduleRestart(saying: "the proxy \(status)")
    }
  }

  private mutating func scheduleRestart(saying reason: String) -> [Action] {
    proxy = .restarting
    var delay = Self.firstRestartDelay
    for _ in 0..<min(restarts, 5) {
      delay = min(TimeSpan(nanoseconds: delay.nanoseconds * 2), Self.maximumRestartDelay)
    }
    restarts += 1
    let seconds = Format.fixed(delay.inSeconds, 1)
    return [.say("\(reason); restarting it in \(seconds) s (the program is not touched)"), heartbeat]
      + [.schedule(.proxyRestart, delay)]
  }

  // MARK: - Program

  private mutating func programExited(_ status: ExitStatus) -> [Action] {
    switch phase {
    case .running: return close(code: status.exitCode, saying: "the program \(status)")
    case .draining, .stopping: return close(code: status.exitCode, saying: nil)
    default: return []
    }
  }

  /// The program is gone (or never started): the proxy finishes its requests, then we end.
  private mutating func close(code: Int32, saying message: String?) -> [Action] {
    let timers: [Action] = [.cancel(.drainDelay), .cancel(.drainTimeout), .cancel(.proxyRestart), .cancel(.readiness)]
    let said: [Action] = message.map { [.say($0)] } ?? []
    guard proxy == .starting || proxy == .ready else {
      phase = .exited
      return timers + said + [.release, .exit(code)]
    }
    phase = .closing(code: code)
    return timers + said + [heartbeat, .signalProxy(15), .schedule(.proxyStop, Self.proxyStopTimeout)]
  }

  // MARK: - Signals and timers

  private mutating func signal(_ number: Int32) -> [Action] {
    let isStop = number == 15 || number == 2
    switch phase {
    case .idle, .registering:
      // Nothing to reload yet: whatever ends a program by default ends us.
      phase = .exited
      return [.release, .exit(128 + number)]
    case .preparing: return close(code: 128 + number, saying: nil)
    case .running where isStop:
      phase = .draining(number)
      return [heartbeat, .say("draining; the program gets \(SignalName.of(number)) afterwards")]
        + [.schedule(.drainDelay, drainDelay), .schedule(.drainTimeout, drainTimeout)]
    case .running: return [.signalProgram(number)]
    case .draining(let first) where isStop:
      // Asked twice: no more waiting.
      phase = .stopping
      return [.cancel(.drainDelay), .signalProgram(first)]
    case .draining, .stopping: return [.signalProgram(number)]
    case .closing where isStop: return [.signalProxy(9)]
    case .closing, .exited: return []
    }
  }

  private mutating func fired(_ timer: Timer) -> [Action] {
    switch (timer, phase) {
    case (.readiness, .registering):
      phase = .exited
      return [
        .say("not registered in \(Format.fixed(readyTimeout.inSeconds, 0)) s; is the control plane up? (apus check)"),
        .exit(ExitCodes.notReady),
      ]
    case (.readiness, .preparing):
      return close(
        code: ExitCodes.notReady,
        saying: "the proxy was not ready in \(Format.fixed(readyTimeout.inSeconds, 0)) s, so the program was not "
          + "started; see apus check, or raise --ready-timeout")
    case (.proxyRestart, _):
      guard proxy == .restarting, let grant else { return [] }
      proxy = .starting
      return [.startProxy(grant), .awaitProxyReady]
    case (.drainDelay, .draining(let number)):
      phase = .stopping
      return [.signalProgram(number)]
    case (.drainTimeout, .draining), (.drainTimeout, .stopping):
      phase = .stopping
      return [.say("the program did not end in \(Format.fixed(drainTimeout.inSeconds, 0)) s; killing it")]
        + [.signalProgram(9)]
    case (.proxyStop, .closing): return [.say("the proxy did not end; killing it"), .signalProxy(9)]
    default: return []
    }
  }
}
