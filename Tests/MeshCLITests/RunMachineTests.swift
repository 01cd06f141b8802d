import MeshCore
import Testing

@testable import MeshCLI

@Suite struct RunMachineTests {
  private static let grant = Grant(
    workload: "web-1", address: "127.66.0.2", token: "t", controller: "127.66.0.1:15010", trustAnchors: "PEM",
    identity: "spiffe://cluster.local/ns/shop/sa/web")

  private func machine() -> RunMachine {
    RunMachine(readyTimeout: .seconds(30), drainDelay: .seconds(1), drainTimeout: .seconds(20))
  }

  /// A machine whose program runs and takes traffic.
  private func running() -> RunMachine {
    var machine = machine()
    for event in [.start, .registered(Self.grant), .proxyReady, .programAccepts] as [RunMachine.Event] {
      _ = machine.event(event)
    }
    return machine
  }

  /// Without words and timers that were cancelled: the order of what is done.
  private func deeds(_ actions: [RunMachine.Action]) -> [RunMachine.Action] {
    actions.filter {
      switch $0 {
      case .say, .cancel: false
      default: true
      }
    }
  }

  @Test("the order is register, proxy, proxy ready, program, program accepts, ready mark")
  func order() {
    var machine = machine()
    #expect(machine.event(.start) == [.register, .schedule(.readiness, .seconds(30))])
    #expect(machine.event(.registered(Self.grant)) == [.startProxy(Self.grant), .awaitProxyReady])
    #expect(deeds(machine.event(.proxyReady)) == [.startProgram(Self.grant), .awaitProgram])
    #expect(machine.event(.programAccepts) == [.heartbeat(ready: true, draining: false)])
  }

  @Test("the program is not started before the proxy is ready, whatever else happens")
  func held() {
    var machine = machine()
    var all = machine.event(.start) + machine.event(.registered(Self.grant))
    all += machine.event(.proxyExited(.code(1))) + machine.event(.timer(.proxyRestart))
    all += machine.event(.controllerLost("x")) + machine.event(.registered(Self.grant)) + machine.event(.programAccepts)
    #expect(!all.contains(.startProgram(Self.grant)))
    #expect(machine.event(.proxyReady).contains(.startProgram(Self.grant)))
  }

  @Test("SIGTERM leaves the mesh, waits, passes the signal on, then stops the proxy and exits as the program did")
  func drain() {
    var machine = running()
    #expect(
      deeds(machine.event(.signal(15))) == [
        .heartbeat(ready: false, draining: true), .schedule(.drainDelay, .seconds(1)),
        .schedule(.drainTimeout, .seconds(20)),
      ])
    #expect(machine.event(.timer(.drainDelay)) == [.signalProgram(15)])
    #expect(
      deeds(machine.event(.programExited(.code(3)))) == [
        .heartbeat(ready: false, draining: true), .signalProxy(15),
        .schedule(.proxyStop, RunMachine.proxyStopTimeout),
      ])
    #expect(deeds(machine.event(.proxyExited(.code(0)))) == [.release, .exit(3)])
    #expect(machine.event(.signal(15)).isEmpty)
  }

  @Test("SIGINT goes on as SIGINT, and a second one at once")
  func twice() {
    var machine = running()
    _ = machine.event(.signal(2))
    #expect(deeds(machine.event(.signal(2))) == [.signalProgram(2)])
    #expect(deeds(machine.event(.signal(15))) == [.signalProgram(15)])
    #expect(machine.event(.timer(.drainDelay)).isEmpty)
  }

  @Test("a program that ignores its signal is killed when the drain timeout passes")
  func drainTimeout() {
    var machine = running()
    _ = machine.event(.signal(15)) + machine.event(.timer(.drainDelay))
    #expect(deeds(machine.event(.timer(.drainTimeout))) == [.signalProgram(9)])
    _ = machine.event(.programExited(.signal(9)))
    #expect(deeds(machine.event(.proxyExited(.code(0)))) == [.release, .exit(137)])
  }

  @Test("the drain delay is never longer than the drain timeout")
  func shortDrain() {
    var machine = RunMachine(readyTimeout: .seconds(1), drainDelay: .seconds(5), drainTimeout: .seconds(2))
    for event in [.start, .registered(Self.grant), .proxyReady] as [RunMachine.Event] { _ = machine.event(event) }
    #expect(machine.event(.signal(15)).contains(.schedule(.drainDelay, .seconds(2))))
  }

  @Test("SIGHUP, SIGUSR1 and SIGUSR2 are passed on without draining", arguments: [Int32(1), 10, 12])
  func passedOn(signal: Int32) {
    var machine = running()
    #expect(machine.event(.signal(signal)) == [.signalProgram(signal)])
  }

  @Test("a signal before registration ends at once; while the proxy starts, the proxy is stopped first")
  func early() {
    var first = machine()
    _ = first.event(.start)
    #expect(first.event(.signal(15)) == [.release, .exit(143)])
    var second = machine()
    _ = second.event(.start) + second.event(.registered(Self.grant))
    #expect(second.event(.signal(2)).contains(.signalProxy(15)))
    #expect(deeds(second.event(.proxyExited(.signal(15)))) == [.release, .exit(130)])
  }

  @Test("the program's own end stops the proxy and gives its exit code")
  func exitCodes() {
    let ends: [(MeshCLI.ExitStatus, Int32)] = [(.code(0), 0), (.code(42), 42), (.signal(11), 139)]
    for (status, code) in ends {
      var machine = running()
      #expect(machine.event(.programExited(status)).contains(.signalProxy(15)))
      #expect(machine.event(.proxyExited(.code(0))).contains(.exit(code)))
    }
  }

  @Test("a program that cannot be started gives the shell's code")
  func notStarted() {
    var machine = machine()
    for event in [.start, .registered(Self.grant), .proxyReady] as [RunMachine.Event] { _ = machine.event(event) }
    _ = machine.event(.programStartFailed(SpawnFailure(program: "x", code: 8)))
    #expect(machine.event(.proxyExited(.code(0))).contains(.exit(126)))
  }

  @Test("a dead proxy takes the workload out, is restarted with backoff, and brings it back; the program is untouched")
  func proxyCrash() {
    var machine = running()
    let crash = machine.event(.proxyExited(.signal(11)))
    #expect(
      deeds(crash) == [.heartbeat(ready: false, draining: false), .schedule(.proxyRestart, .milliseconds(200))])
    #expect(crash.contains { if case .say(let text) = $0 { text.contains("SIGSEGV") } else { false } })
    #expect(machine.event(.timer(.proxyRestart)) == [.startProxy(Self.grant), .awaitProxyReady])
    #expect(machine.event(.proxyExited(.code(1))).contains(.schedule(.proxyRestart, .milliseconds(400))))
    _ = machine.event(.timer(.proxyRestart))
    #expect(deeds(machine.event(.proxyReady)) == [.heartbeat(ready: true, draining: false)])
    #expect(machine.event(.proxyExited(.code(1))).contains(.schedule(.proxyRestart, .milliseconds(200))))
  }

  @Test("the restart delay stops growing")
  func restartBackoff() {
    var machine = running()
    var delays: [TimeSpan] = []
    for _ in 0..<8 {
      for case .schedule(.proxyRestart, let span) in machine.event(.proxyExited(.code(1))) { delays.append(span) }
      _ = machine.event(.timer(.proxyRestart))
    }
    #expect(delays.count == 8)
    #expect(delays.last == RunMachine.maximumRestartDelay)
  }

  @Test("a lost controller is told once and touches neither program nor proxy; its return repeats the state")
  func controllerLoss() {
    var machine = running()
    #expect(deeds(machine.event(.controllerLost("gone"))).isEmpty)
    #expect(machine.event(.controllerLost("still gone")).isEmpty)
    #expect(deeds(machine.event(.registered(Self.grant))) == [.heartbeat(ready: true, draining: false)])
  }

  @Test("a changed token restarts the proxy; new trust anchors alone do not")
  func changedGrant() {
    var machine = running()
    var other = Self.grant
    other.trustAnchors = "NEW"
    #expect(!machine.event(.registered(other)).contains(.signalProxy(15)))
    other.token = "t2"
    #expect(machine.event(.registered(other)).contains(.signalProxy(15)))
    _ = machine.event(.proxyExited(.code(0)))
    #expect(machine.event(.timer(.proxyRestart)).contains(.startProxy(other)))
  }

  @Test("a proxy that never got ready is restarted with the anchors that came since, one that is ready is not")
  func changedAnchors() {
    var machine = machine()
    _ = machine.event(.start)
    _ = machine.event(.registered(Self.grant))
    var other = Self.grant
    other.trustAnchors = "NEW"
    #expect(machine.event(.registered(other)).contains(.signalProxy(15)))
    #expect(!machine.event(.registered(other)).contains(.signalProxy(15)))
    _ = machine.event(.proxyExited(.code(0)))
    #expect(machine.event(.timer(.proxyRestart)).contains(.startProxy(other)))
    #expect(machine.event(.proxyReady).contains(.startProgram(other)))
    #expect(!machine.event(.registered(Self.grant)).contains(.signalProxy(15)))
  }

  @Test("registration that is refused, or too late, exits without starting anything")
  func registration() {
    var refused = machine()
    _ = refused.event(.start)
    #expect(deeds(refused.event(.registrationRefused("no such account"))) == [.exit(1)])
    var late = machine()
    _ = late.event(.start)
    #expect(deeds(late.event(.timer(.readiness))) == [.exit(75)])
    #expect(late.event(.registered(Self.grant)).isEmpty)
  }

  @Test("a proxy that is never ready ends the run with its own code, and the program was never started")
  func neverReady() {
    var machine = machine()
    var all = machine.event(.start) + machine.event(.registered(Self.grant)) + machine.event(.timer(.readiness))
    all += machine.event(.proxyExited(.signal(15)))
    #expect(all.contains(.exit(75)))
    #expect(!all.contains(.startProgram(Self.grant)))
  }

  @Test("a proxy that does not stop is killed")
  func stuckProxy() {
    var machine = running()
    _ = machine.event(.programExited(.code(0)))
    #expect(deeds(machine.event(.timer(.proxyStop))) == [.signalProxy(9)])
    #expect(machine.event(.proxyExited(.signal(9))).contains(.exit(0)))
  }
}
