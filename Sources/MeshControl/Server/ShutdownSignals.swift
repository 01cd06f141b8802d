import Dispatch
import Glibc
import Synchronization

/// Turns SIGTERM and SIGINT, or a call of `raise`, into a wait that ends.
package final class ShutdownSignals: Sendable {
  private let raised = Mutex(false)
  private let stream: AsyncStream<Void>
  private let continuation: AsyncStream<Void>.Continuation
  /// Set up in `init` and then only kept alive.
  private nonisolated(unsafe) let sources: [any DispatchSourceSignal]

  /// `numbers` lose their default action in this process.
  package init(numbers: [Int32] = [SIGTERM, SIGINT]) {
    (stream, continuation) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    sources = numbers.map { number in
      // The source sees signals only when their default action is off.
      signal(number, SIG_IGN)
      return DispatchSource.makeSignalSource(signal: number, queue: .global())
    }
    for source in sources {
      source.setEventHandler { [weak self] in self?.raise() }
      source.resume()
    }
  }

  package func raise() {
    raised.withLock { $0 = true }
    continuation.yield()
    continuation.finish()
  }

  var isRaised: Bool { raised.withLock { $0 } }

  /// Ends when raised or when the task is cancelled.
  func wait() async {
    for await _ in stream { return }
  }
}
