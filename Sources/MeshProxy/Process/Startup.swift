import Glibc
import Synchronization

/// A count of parties that must arrive, and whether all succeeded. For start and stop; never on the request path.
final class Startup: Sendable {
  private struct State {
    var missing: Int
    var succeeded = true
  }

  private let state: Mutex<State>
  private let semaphore = Semaphore()

  init(parties: Int) { state = Mutex(State(missing: parties)) }

  func arrive(_ success: Bool) {
    let isLast = state.withLock { state in
      state.missing -= 1
      state.succeeded = state.succeeded && success
      return state.missing == 0
    }
    if isLast { semaphore.signal() }
  }

  /// Waits for all; false when one failed.
  func wait() -> Bool {
    semaphore.wait()
    return state.withLock { $0.succeeded }
  }
}

/// A POSIX semaphore.
///
/// `@unchecked Sendable`: the semaphore does its own synchronisation; the pointer never changes.
final class Semaphore: @unchecked Sendable {
  private let raw = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)

  init() { sem_init(raw, 0, 0) }

  deinit {
    sem_destroy(raw)
    raw.deallocate()
  }

  func signal() { sem_post(raw) }

  func wait() {
    while sem_wait(raw) != 0 {}
  }
}

/// Hands a value made on a new thread to the thread that started it.
final class HandOver<Value: Sendable>: Sendable {
  private let value = Mutex<Value?>(nil)
  private let semaphore = Semaphore()

  func put(_ new: Value) {
    value.withLock { $0 = new }
    semaphore.signal()
  }

  func take() -> Value {
    semaphore.wait()
    guard let taken = value.withLock({ $0 }) else { preconditionFailure("a semaphore was signalled without a value") }
    return taken
  }
}

typealias HandleCell = HandOver<ProxyWorkerHandle>
typealias ControlCell = HandOver<ControlHandle>

/// Lets workers, which start first, reach the control thread, which starts last. What comes before it is kept.
final class ControlRelay: Sendable {
  private struct State {
    var control: ControlHandle?
    var early: [@Sendable (ControlThread) -> Void] = []
  }

  private let state = Mutex(State())

  func set(_ control: ControlHandle) {
    let early = state.withLock { state in
      state.control = control
      defer { state.early = [] }
      return state.early
    }
    for body in early { control.post(body) }
  }

  func post(_ body: @escaping @Sendable (ControlThread) -> Void) {
    let control = state.withLock { state in
      if state.control == nil { state.early.append(body) }
      return state.control
    }
    control?.post(body)
  }
}
