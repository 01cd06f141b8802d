import MeshCore
import MeshRuntime

/// Reaches one worker's data plane from other threads.
///
/// `@unchecked Sendable`: `worker` is read and written on the worker's own loop only, inside closures posted to its inbox.
final class ProxyWorkerHandle: @unchecked Sendable {
  let index: Int
  private let inbox: WorkerInbox
  private var worker: ProxyWorker?

  init(index: Int, inbox: WorkerInbox) {
    self.index = index
    self.inbox = inbox
  }

  /// Called on the loop, once, before anything is posted.
  func bind(_ worker: ProxyWorker) { self.worker = worker }

  /// Runs `body` on the worker's loop soon.
  func post(_ body: @escaping @Sendable (ProxyWorker) -> Void) {
    inbox.post { [self] _ in
      if let worker { body(worker) }
    }
  }

  func stop() { inbox.stop() }
}

/// Reaches the control thread from workers and from the signal thread.
///
/// `@unchecked Sendable`: `control` is read and written on the control loop only.
final class ControlHandle: @unchecked Sendable {
  private let inbox: WorkerInbox
  private var control: ControlThread?

  init(inbox: WorkerInbox) { self.inbox = inbox }

  func bind(_ control: ControlThread) { self.control = control }

  func post(_ body: @escaping @Sendable (ControlThread) -> Void) {
    inbox.post { [self] _ in
      if let control { body(control) }
    }
  }

  func stop() { inbox.stop() }
}
