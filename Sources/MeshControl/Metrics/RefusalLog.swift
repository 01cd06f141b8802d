package import Logging
package import MeshCore
import Synchronization

/// Warnings about what strangers tried: at most `burst` at once and one more each `refill`, so that nobody fills the disk with them. How
/// many were left out stands in the next one; the metrics count them all.
package final class RefusalLog: Sendable {
  package static let burst = 50
  package static let refill: TimeSpan = .milliseconds(200)

  private struct State {
    var left = RefusalLog.burst
    var filled: Instant
    var omitted = 0
  }

  private let log: Logger
  private let clock: ControlClock
  private let state: Mutex<State>

  package init(log: Logger, clock: ControlClock) {
    self.log = log
    self.clock = clock
    state = Mutex(State(filled: clock.monotonic()))
  }

  package func warning(_ message: Logger.Message, metadata: Logger.Metadata) {
    guard let omitted = take() else { return }
    var metadata = metadata
    if omitted > 0 { metadata["omittedBefore"] = "\(omitted)" }
    log.warning(message, metadata: metadata)
  }

  /// How many were left out before this one; nil when it is left out, too.
  private func take() -> Int? {
    let now = clock.monotonic()
    return state.withLock { state in
      let gained = (now - state.filled).nanoseconds / Self.refill.nanoseconds
      state.filled = state.filled + TimeSpan(nanoseconds: gained * Self.refill.nanoseconds)
      state.left = min(Self.burst, state.left + Int(clamping: gained))
      guard state.left > 0 else {
        state.omitted += 1
        return nil
      }
      state.left -= 1
      defer { state.omitted = 0 }
      return state.omitted
    }
  }
}
