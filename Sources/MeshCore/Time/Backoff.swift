/// Waiting times between attempts: exponential growth with full jitter above a floor.
///
/// Each wait is drawn evenly between half the current step and the whole step, so that many clients that lost the same
/// server do not come back together, and none comes back at once. Pure: randomness comes in, no clock is read.
public struct Backoff: Sendable {
  public let minimum: TimeSpan
  public let maximum: TimeSpan
  /// Attempts since the last `reset`.
  public private(set) var attempts = 0
  private var step: Int64

  /// `minimum` must be positive; `maximum` at least as long.
  public init(minimum: TimeSpan = .milliseconds(100), maximum: TimeSpan = .seconds(30)) {
    precondition(minimum > .zero && maximum >= minimum, "a backoff needs 0 < minimum <= maximum")
    self.minimum = minimum
    self.maximum = maximum
    step = minimum.nanoseconds
  }

  /// The wait before the next attempt; the one after will be drawn from twice the range.
  public mutating func next(using random: inout SeededRandom) -> TimeSpan {
    attempts += 1
    let half = step / 2
    let wait = half + Int64(random.unit() * Double(step - half))
    step = step > maximum.nanoseconds / 2 ? maximum.nanoseconds : step * 2
    return TimeSpan(nanoseconds: wait)
  }

  /// After a success: the next failure waits shortly again.
  public mutating func reset() {
    attempts = 0
    step = minimum.nanoseconds
  }
}
