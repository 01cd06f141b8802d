import MeshCore
import MeshRuntime

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
