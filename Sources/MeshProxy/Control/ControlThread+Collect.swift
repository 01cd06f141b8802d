import MeshRuntime

extension ControlThread {
  /// Asks every worker for a value and calls `then` on the control loop with all of them, in the workers' order.
  func collect<Value: Sendable>(
    _ read: @escaping @Sendable (ProxyWorker) -> Value, then done: @escaping ([Value]) -> Void
  ) {
    let gathering = Gathering<Value>(count: workers.count, done)
    let handle = makeHandle()
    for worker in workers {
      let index = worker.index
      worker.post { data in
        let value = read(data)
        handle.post { _ in gathering.arrive(index, value) }
      }
    }
  }
}

/// Values on their way from the workers.
///
/// `@unchecked Sendable`: made and changed on the control loop only; workers merely carry the reference.
private final class Gathering<Value: Sendable>: @unchecked Sendable {
  private var values: [Value?]
  private var missing: Int
  private let done: ([Value]) -> Void

  init(count: Int, _ done: @escaping ([Value]) -> Void) {
    values = Array(repeating: nil, count: count)
    missing = count
    self.done = done
  }

  func arrive(_ index: Int, _ value: Value) {
    values[index] = value
    missing -= 1
    if missing == 0 { done(values.compactMap { $0 }) }
  }
}
