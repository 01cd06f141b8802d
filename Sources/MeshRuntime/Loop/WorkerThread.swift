internal import CLinux
internal import Glibc
internal import Synchronization

/// A thread that makes a worker, runs it, and can be stopped and joined from any other thread.
package final class WorkerThread: Sendable {
  package let inbox: WorkerInbox
  private let thread: Mutex<pthread_t?>

  /// Starts a thread with a new worker. `setUp` runs on that thread before the first turn: open listeners there.
  package init(
    index: Int, seed: UInt64, name: String = "worker", setUp: @escaping @Sendable (Worker) -> Void
  ) throws(RuntimeError) {
    // The worker is made here and handed to its thread before anyone else can see it.
    let worker = try Worker(index: index, seed: seed)
    let start = ThreadStart(worker: worker, name: "\(name)-\(index)", setUp: setUp)
    inbox = worker.inbox
    var handle = pthread_t()
    let argument = Unmanaged.passRetained(start).toOpaque()
    let code = pthread_create(&handle, nil, runWorkerThread, argument)
    thread = Mutex(code == 0 ? handle : nil)
    guard code == 0 else {
      Unmanaged<ThreadStart>.fromOpaque(argument).release()
      throw .cannotStartThread(code: code)
    }
  }

  /// Waits until the worker has stopped. The first call joins the thread; later ones return at once.
  package func join() {
    let handle = thread.withLock { thread in
      defer { thread = nil }
      return thread
    }
    if let handle { pthread_join(handle, nil) }
  }

  package func stop() { inbox.stop() }
}

private final class ThreadStart {
  let worker: Worker
  let name: String
  let setUp: @Sendable (Worker) -> Void

  init(worker: Worker, name: String, setUp: @escaping @Sendable (Worker) -> Void) {
    self.worker = worker
    self.name = name
    self.setUp = setUp
  }
}

private func runWorkerThread(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
  guard let argument else { return nil }
  let start = Unmanaged<ThreadStart>.fromOpaque(argument).takeRetainedValue()
  clinux_name_thread(start.name)
  start.setUp(start.worker)
  start.worker.run()
  return nil
}
