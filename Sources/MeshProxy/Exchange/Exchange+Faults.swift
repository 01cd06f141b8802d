import MeshCore
import MeshPolicy
import MeshRuntime
import MeshTelemetry

// Faults injected on purpose. They strike once per request, before a backend is chosen, so no attempt, no repeat and no endpoint's
// record knows of them (docs/design/0013-faults.md).
extension Exchange {
  /// False: the request goes on now, whatever may become of its body.
  func meets(_ plan: FaultPlan) -> Bool {
    let now = WallClock.now
    guard let verdict = plan.strike(request, isGRPC: isGRPC, now: now, &worker.loop.random), worker.admitFault() else {
      return false
    }
    let fault = InjectedFault(verdict, plan.policies, of: self, loop: worker.loop)
    self.fault = fault
    guard verdict.delay > .zero else { return endsByFault() }
    fault.delayBegan()
    phase = .delaying
    // No delay outlasts the experiment, and what would follow it is not part of one any more.
    let left = verdict.end.map { TimeSpan.milliseconds($0 - now) } ?? verdict.delay
    if left < verdict.delay { fault.endsWithDelay = true }
    attemptEnd = worker.loop.now + min(verdict.delay, left)
    armTimer()
    return true
  }

  /// The injected delay is over.
  func endDelay() {
    fault?.delayEnded()
    attemptEnd = nil
    phase = .resolving
    if !endsByFault() { worker.router.goOn(self) }
  }

  /// Whether the request ends here, with an answer or without.
  private func endsByFault() -> Bool {
    guard let fault, fault.verdict.isFinal, !fault.endsWithDelay, !fault.hasExpired else { return false }
    if let abort = fault.verdict.abort {
      fault.replaced(by: .abort)
      fail(.injected(abort))
    } else {
      fault.replaced(by: .reset)
      flag = .faultInjected
      downstream.abort()
      complete()
    }
    return true
  }

  /// The answer has had all of its body that a fault lets through.
  func cutResponse() {
    flag = .faultInjected
    downstream.cut()
    complete()
  }

  /// The faults are withdrawn while the exchange is in the middle of them.
  func endFault() {
    if phase == .delaying {
      fault?.delayEnded()
      attemptEnd = nil
      phase = .resolving
      return worker.router.goOn(self)
    }
    let before = generation
    fault?.endShaping()
    upstreamWritable()
    if generation == before { downstreamWritable() }
  }
}
