package import MeshCore
package import MeshHTTP

// What a rule's retries mean for one request.
extension RetryPolicy {
  /// The longest wait, as a multiple of the shortest.
  private static let longestBackoff: Int64 = 10

  package func allowsAnother(after repeatsSoFar: Int) -> Bool { repeatsSoFar < attempts }

  package func repeats(_ status: UInt16) -> Bool {
    // Nearly every answer is below the first of them.
    guard let first = statusCodes.first, status >= first else { return false }
    return statusCodes.contains(status)
  }

  /// Of a call that ended with its head: with messages before its status it has an answer that cannot be taken back.
  package func repeats(call head: MessageHead) -> Bool {
    guard !grpcStatuses.isEmpty, let text = head.value(.grpcStatus), let status = GRPCStatus(text) else { return false }
    return grpcStatuses.contains(status)
  }

  /// The wait before repeat `number`, from 1: never shorter than `backoff`, the rest drawn from a range that doubles, so that
  /// clients whose requests failed together do not come back together. At most ten times `backoff`.
  package func wait(before number: Int, _ random: inout SeededRandom) -> TimeSpan {
    guard backoff > .zero else { return .zero }
    // The shortest wait is itself bounded, so that the product fits.
    let floor = min(backoff.nanoseconds, 3_600_000_000_000)
    let steps = min(Int64(1) << min(max(number, 1), 8), Self.longestBackoff) - 1
    return .nanoseconds(floor + Int64(random.unit() * Double(floor * steps)))
  }

  /// The same after an answer that says when to come back: not before that, and with the same jitter behind it. Nil: so late that
  /// the answer is better than the wait.
  package func wait(before number: Int, _ random: inout SeededRandom, asked: RetryAfter?) -> TimeSpan? {
    let own = wait(before: number, &random)
    guard let asked, maximumRetryAfter > .zero else { return own }
    guard case .after(let span) = asked, span <= maximumRetryAfter else { return nil }
    return span > backoff ? span + (own - backoff) : own
  }
}
