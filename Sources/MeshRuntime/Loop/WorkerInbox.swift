internal import CLinux
internal import Synchronization

/// The one way into a worker loop from other threads.
///
/// Work is queued under a lock and runs on the loop between turns, in the order it was posted; an eventfd wakes the
/// loop once per batch. Work posted after the worker has stopped is dropped. Unbounded: posters are the process's own
/// control threads.
package final class WorkerInbox: Sendable {
  private struct State {
    var work: [@Sendable (Worker) -> Void] = []
    var isClosed = false
  }

  private let state = Mutex(State())
  let descriptor: Int32

  init() throws(RuntimeError) {
    descriptor = clinux_eventfd()
    guard descriptor >= 0 else { throw .cannotCreateLoop(call: "eventfd", code: -descriptor) }
  }

  deinit { clinux_close(descriptor) }

  /// Runs `work` on the worker's loop soon. False when the worker has stopped and the work was dropped.
  @discardableResult
  package func post(_ work: @escaping @Sendable (Worker) -> Void) -> Bool {
    let (isFirst, isOpen) = state.withLock { state in
      if state.isClosed { return (false, false) }
      state.work.append(work)
      return (state.work.count == 1, true)
    }
    if isFirst { _ = clinux_eventfd_signal(descriptor) }
    return isOpen
  }

  /// Asks the worker to stop; `run` returns after the turn in which it is seen.
  package func stop() {
    post { $0.stop() }
  }

  /// Takes everything posted so far into `batch`, which must be empty and gives its storage in exchange.
  func take(into batch: inout [@Sendable (Worker) -> Void]) {
    _ = clinux_eventfd_drain(descriptor)
    state.withLock { swap(&$0.work, &batch) }
  }

  func close() { state.withLock { $0.isClosed = true } }
}
